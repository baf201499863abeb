from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    AuditEvent,
    ListAuditEventsRequest,
    ListAuditEventsResponse,
)
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import (
    AdminServiceServicer,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsResponse,
    GetPatternRequest,
    GetPatternResponse,
    ListPatternsRequest,
    ListPatternsResponse,
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
    StreamNetworkMetricsRequest,
    StreamNetworkMetricsResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
    NetworkLearningServiceServicer,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence, Pattern
from tests.e2e.dashboard.browsing import (
    MISSING,
    PHONE,
    Dashboard,
    chromium,
    dashboard,
    opened,
    overflow,
    serious,
)
from tests.e2e.waiting import SOON
from tests.stand_in_server import serving

Context: TypeAlias = grpc.aio.ServicerContext[object, object]

PATTERN = Pattern(
    pattern_id="00000000-0000-4000-8000-000000000007",
    pattern_type="churn_prevention",
    business_category="spa",
    action="Send a personal reminder",
    evidence=Evidence(occurrence_count=4, success_count=3, account_count=4, success_rate=0.75),
)

SECTIONS = {
    "Emerging now": "The list of what is emerging",
    "Top patterns": "The list of patterns",
    "Privacy": "The list of what operators did",
}
"""The sections that read a feed of their own, and what they call it."""

if chromium() is None:
    pytest.skip(MISSING, allow_module_level=True)

expect.set_options(timeout=1000 * SOON)


class Half(NetworkLearningServiceServicer, AdminServiceServicer):
    """A server that always has metrics, and all else while it is not broken."""

    def __init__(self) -> None:
        self._broken = asyncio.Event()

    def heal(self) -> None:
        """Answer everything."""
        self._broken.clear()

    def break_down(self) -> None:
        """Answer with errors, and end the streams with them."""
        self._broken.set()

    async def _answers(self, context: Context) -> None:
        if self._broken.is_set():
            await context.abort(grpc.StatusCode.INTERNAL, "as planned")

    async def StreamNetworkMetrics(  # noqa: N802 - gRPC names it
        self, request: StreamNetworkMetricsRequest, context: Context
    ) -> AsyncIterator[StreamNetworkMetricsResponse]:
        while True:
            # Each makes the page ask for all else anew.
            yield StreamNetworkMetricsResponse(report=GetNetworkMetricsResponse(withheld=True))
            await asyncio.sleep(0.5)

    async def StreamEmergingPatterns(  # noqa: N802 - as above
        self, request: StreamEmergingPatternsRequest, context: Context
    ) -> AsyncIterator[StreamEmergingPatternsResponse]:
        await self._answers(context)
        complete = StreamEmergingPatternsResponse.SnapshotComplete()
        yield StreamEmergingPatternsResponse(snapshot_complete=complete)
        await self._broken.wait()
        await self._answers(context)

    async def ListPatterns(  # noqa: N802 - as above
        self, request: ListPatternsRequest, context: Context
    ) -> ListPatternsResponse:
        await self._answers(context)
        return ListPatternsResponse(patterns=[PATTERN])

    async def GetPattern(  # noqa: N802 - as above
        self, request: GetPatternRequest, context: Context
    ) -> GetPatternResponse:
        await self._answers(context)
        return GetPatternResponse(pattern=PATTERN)

    async def ListAuditEvents(  # noqa: N802 - as above
        self, request: ListAuditEventsRequest, context: Context
    ) -> ListAuditEventsResponse:
        await self._answers(context)
        return ListAuditEventsResponse(audit_events=[AuditEvent(action="forget_account")])


@pytest.fixture
async def half() -> Half:
    """What the dashboard reads."""
    return Half()  # type: ignore[abstract]  # what it does not say is UNIMPLEMENTED


@pytest.fixture
async def served(half: Half, make_directory: Callable[[], Path]) -> AsyncIterator[Dashboard]:
    """The dashboard of that server."""
    async with (
        serving(half) as port,
        dashboard(f"127.0.0.1:{port}", make_directory()) as started,
    ):
        yield started


def notice(page: Page, section: str) -> Locator:
    """What is announced of a section's feed."""
    return page.get_by_role("region", name=section).locator("[aria-live=polite]")


async def test_a_list_that_cannot_be_read_says_so_under_live_metrics(
    browser: Browser, served: Dashboard, half: Half
) -> None:
    """What was read stays, and the notices go when the lists are read again."""
    async with opened(browser, served.url, viewport=PHONE) as page:
        # Folded on a phone.
        await page.get_by_role("heading", name="Top patterns").click()
        table = page.get_by_role("table", name="Top patterns")
        await expect(table).to_contain_text(PATTERN.action)
        for section in SECTIONS:
            await expect(notice(page, section)).to_have_text("")

        half.break_down()

        for section, what in SECTIONS.items():
            await expect(notice(page, section)).to_contain_text(
                f"{what} may be out of date and cannot be read now (INTERNAL). Trying again."
            )
            await expect(notice(page, section)).to_have_class("notice")
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
        await expect(table).to_contain_text(PATTERN.action)
        assert await serious(page) == []
        assert await overflow(page) <= 0

        half.heal()

        for section in SECTIONS:
            await expect(notice(page, section)).to_have_text("")


async def test_what_was_never_read_is_not_only_loading(
    browser: Browser, served: Dashboard, half: Half
) -> None:
    """A page that is opened while the lists cannot be read says that, and heals; so does a pattern's."""
    half.break_down()
    async with opened(browser, served.url) as page:
        for section, what in SECTIONS.items():
            await expect(notice(page, section)).to_contain_text(
                f"{what} cannot be read now (INTERNAL). Trying again."
            )
        await page.goto(f"{served.url}patterns/{PATTERN.pattern_id}")
        said = page.locator("#content [aria-live=polite]")
        await expect(said).to_contain_text("This pattern cannot be read now (INTERNAL).")

        half.heal()

        await expect(page.get_by_role("heading", level=1)).to_have_text(PATTERN.action)
        await expect(said).to_have_text("")
        await page.goto(served.url)
        await expect(page.get_by_role("table", name="Top patterns")).to_be_visible()
