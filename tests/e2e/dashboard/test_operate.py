from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from keeper_grpc.client import KeeperClient, NotFound
from keeper_grpc.client.credentials import Credentials
from keeper_grpc.dashboard.sections.operator.audit import PAGE
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from tests.e2e.conftest import starter
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
from tests.e2e.dashboard.network import Network
from tests.e2e.dashboard.words import unexplained, unreadable
from tests.e2e.waiting import SOON
from tests.rpc.access.identities import entry, write

if chromium() is None:
    pytest.skip(MISSING, allow_module_level=True)

expect.set_options(timeout=1000 * SOON)

MakeDirectory = Callable[[], Path]

ROLES = {
    "page": ["observe"],
    "ada": ["operate", "observe"],
    "reader": ["observe"],
    "service": ["capture", "operate"],
}
"""Who calls, by the name that the audit log has; the token is the name and a few words."""

ACTION = "Send guests a card for the season"

SCRIPT = "Dear {name}, the season begins, and your place is kept."


def token(name: str) -> str:
    """The token of one of them."""
    return f"{name}-token-of-this-test-alone"


@dataclass(frozen=True)
class Operated:
    """A server that asks who calls, its dashboard, and a pattern of three accounts."""

    target: str
    page: Dashboard
    pattern_id: str

    def as_(self, name: str) -> KeeperClient:
        return client(self.target, name)


def client(target: str, name: str) -> KeeperClient:
    """Calls as one of them."""
    return KeeperClient(target, credentials=Credentials(token=lambda: token(name)))


async def learned(target: str) -> str:
    """Let three accounts say the same, and a fourth that will be forgotten: the pattern's id."""
    async with client(target, "service") as keeper, client(target, "ada") as ada:
        for account in ("one", "two", "three", "leaver"):
            await keeper.register_account(account, "spa")
            insight = Insight(type="churn_prevention", action=ACTION, script=SCRIPT, confidence=0.6)
            await keeper.capture(account, insight, Outcome(success=True))
        (pattern,) = [found async for found in ada.list_patterns()]
        return pattern.pattern_id


@pytest.fixture(scope="module")
async def operated(make_directory: MakeDirectory, database_url: str) -> AsyncIterator[Operated]:
    """The server exports its metrics, and the dashboard knows where."""
    identities = write(
        make_directory() / "identities.yaml",
        *(entry(name, *roles, token=token(name), accounts="all") for name, roles in ROLES.items()),
    )
    async with starter(make_directory) as start:
        server = await start(
            database_url=database_url,
            KEEPER_IDENTITIES_FILE=str(identities),
            KEEPER_METRICS_PORT="0",
        )
        (serving,) = server.events("serving")
        pattern_id = await learned(server.address)
        async with dashboard(
            server.address,
            make_directory(),
            options=[
                *("--metrics", f"http://127.0.0.1:{serving['metrics_port']}/metrics"),
                *("--metrics", "http://127.0.0.1:9/metrics"),
                *("--operator-token-header", "X-Forwarded-Access-Token"),
            ],
            settings={"KEEPER_TOKEN": token("page")},
        ) as page:
            yield Operated(server.address, page, pattern_id)


def signed_in(
    browser: Browser, operated: Operated, query: str = "", **context: Any
) -> AbstractAsyncContextManager[Page]:
    """The page as a proxy opens it for an operator."""
    return opened(
        browser,
        f"{operated.page.url}operate{query}",
        extra_http_headers={"X-Forwarded-Access-Token": token("ada")},
        **context,
    )


async def test_only_who_may_operate_signs_in_and_out(browser: Browser, operated: Operated) -> None:
    """No token, a token of another role: refused in words, with nothing shown. The token stays in no address."""
    async with opened(browser, f"{operated.page.url}operate") as page:
        sign_in = page.get_by_role("button", name="Sign in")
        for wrong, why in (
            ("", "wants a token"),
            ("no-token", "wants a token"),
            (token("reader"), "does not allow that"),
        ):
            await page.get_by_label("Token").fill(wrong)
            await sign_in.click()
            await expect(page.get_by_role("alert").first).to_contain_text(why)
            await expect(page.get_by_role("region")).to_have_count(0)

        await page.get_by_label("Token").fill(token("ada"))
        await sign_in.click()

        await expect(page.get_by_role("region", name="What operators did")).to_contain_text(
            "service"
        )
        assert page.url == f"{operated.page.url}operate"
        await expect(page.get_by_label("Token")).to_have_value("")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("region")).to_have_count(0)
        await expect(sign_in).to_be_visible()


async def test_it_shows_how_the_service_is(browser: Browser, operated: Operated) -> None:
    """Health, each process, calls with their rates, the gate, the detector, and what cannot be reached."""
    async with signed_in(browser, operated) as page:
        health = page.get_by_role("region", name="Health")
        await expect(health.locator(".status")).to_have_text(["\N{CHECK MARK}Serving"] * 3)
        processes = page.get_by_role("table", name="The server's processes").locator("tbody tr")
        await expect(processes).to_have_count(2)
        await expect(processes.first).to_contain_text("detects for all")
        await expect(processes.last).to_contain_text("it does not answer")
        calls = page.get_by_role("table", name="Calls a second")
        audit = calls.get_by_role("row").filter(has_text="ListAuditEvents")
        # Looks at the audit log, of this page itself, within the last minute.
        await expect(audit.get_by_role("cell").first).to_have_text(re.compile(r"^0?\.?\d"))
        gate = page.get_by_role("table", name="The admission gate")
        await expect(gate.get_by_role("row").filter(has_text="Operation")).to_contain_text(
            "Keeps up"
        )
        background = page.get_by_role("region", name="What goes on by itself")
        await expect(background).to_contain_text(re.compile(r"Detector's last step.*ago"))
        await expect(background).to_contain_text("the database itself is read")
        await expect(background).to_contain_text(re.compile(r"created 1"))
        await expect(page.get_by_role("table", name="Rows that retention deleted")).to_contain_text(
            "Questions"
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_accessible_and_fits_a_phone(
    browser: Browser, operated: Operated, scheme: str
) -> None:
    """Every section open, every word explained, and a question asked, in both themes."""
    async with signed_in(browser, operated, color_scheme=scheme, viewport=PHONE) as page:
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        folded = page.locator("details:not([open]) > summary:visible")
        while await folded.count():
            await folded.first.click()
        assert await unexplained(page) == set()
        assert await unreadable(page) == []
        await page.get_by_label("Account", exact=True).fill("nobody")
        await page.get_by_role("button", name="Forget this account").click()
        await expect(page.get_by_role("alertdialog")).to_be_focused()
        assert await serious(page) == []
        assert await overflow(page) <= 0


async def test_a_pattern_is_retired_and_put_back(browser: Browser, operated: Operated) -> None:
    """After a look at who stands behind it and a confirmation; the audit log has who did it, and why."""
    async with (
        signed_in(browser, operated, f"?pattern={operated.pattern_id}") as page,
        operated.as_("ada") as keeper,
    ):
        await expect(page.get_by_label("Pattern's id")).to_have_value(operated.pattern_id)
        await page.get_by_label("Why, for the audit log").select_option("outdated")
        await page.get_by_role("button", name="Look at it first").click()
        dialog = page.get_by_role("alertdialog")
        await expect(dialog).to_contain_text(ACTION)
        await expect(dialog).to_contain_text("owners with")
        await expect(dialog).to_contain_text("as if it did not exist")
        await dialog.get_by_role("button", name="Change nothing").click()
        await expect(dialog).to_be_hidden()
        assert (await keeper.get_pattern(operated.pattern_id)).action == ACTION

        await page.get_by_role("button", name="Look at it first").click()
        await dialog.get_by_role("button", name="Retire the pattern").click()

        await expect(page.get_by_role("status").filter(has_text="Withdrawn")).to_be_visible()
        newest = page.get_by_role("table", name="What operators did").locator("tbody tr").first
        await expect(newest).to_contain_text(re.compile("retire pattern.*because outdated.*ada"))
        with pytest.raises(NotFound):
            await keeper.get_pattern(operated.pattern_id)

        await page.get_by_label("What to do").select_option("restore")
        await page.get_by_role("button", name="Look at it first").click()
        await dialog.get_by_role("button", name="Put the pattern back").click()
        await expect(page.get_by_role("status").filter(has_text="Put back")).to_be_visible()
        assert (await keeper.get_pattern(operated.pattern_id)).action == ACTION


async def test_an_account_is_forgotten_after_its_id_was_typed_twice(
    browser: Browser, operated: Operated
) -> None:
    """The consequences are named; another id does nothing; afterwards its part is gone."""
    async with signed_in(browser, operated) as page, operated.as_("ada") as keeper:
        before = await keeper.get_pattern_support(operated.pattern_id)
        await page.get_by_label("Account", exact=True).fill("leaver")
        await page.get_by_role("button", name="Forget this account").click()
        dialog = page.get_by_role("alertdialog")
        await expect(dialog).to_contain_text("It cannot be undone")
        await expect(dialog).to_contain_text("no longer published to anyone")
        again = dialog.get_by_label("The account's id once more")
        await again.fill("another")
        await dialog.get_by_role("button", name="Forget it for good").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("Nothing was done")
        assert await keeper.get_pattern_support(operated.pattern_id) == before

        await again.fill("leaver")
        await dialog.get_by_role("button", name="Forget it for good").click()

        await expect(page.get_by_role("status").filter(has_text="Forgotten")).to_contain_text(
            "1 observation"
        )
        after = await keeper.get_pattern_support(operated.pattern_id)
        assert after.account_count == before.account_count - 1
        newest = page.get_by_role("table", name="What operators did").locator("tbody tr").first
        await expect(newest).to_contain_text(re.compile("forget account.*ada"))
        await expect(page.locator("body")).not_to_contain_text("leaver")


async def test_pressing_twice_adds_one_page_of_what_operators_did(
    browser: Browser, operated: Operated, database_url: str
) -> None:
    """The second press comes while the first one's answer is waited for: it neither fails nor adds a page."""
    async with operated.as_("ada") as keeper:
        for number in range(3 * PAGE):
            await keeper.register_account(f"branch-{number}", "spa")
    async with (
        asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool,
        pool.acquire() as database,
        signed_in(browser, operated) as page,
    ):
        rows = page.get_by_role("table", name="What operators did").locator("tbody tr")
        await expect(rows).to_have_count(PAGE)
        older = page.get_by_role("button", name="Show older ones")
        async with database.transaction():
            await database.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE")
            await older.evaluate("(button) => { button.click(); button.click(); }")
            # Comes to the dashboard behind both, so that both are under way when the table is free again.
            await page.get_by_label("Account", exact=True).fill("nobody")
            await page.get_by_role("button", name="Forget this account").click()
            await expect(page.get_by_role("alertdialog")).to_be_visible()
        await expect(rows).to_have_count(2 * PAGE)
        await older.click()
        await expect(rows).to_have_count(3 * PAGE)


async def test_a_server_that_asks_nobody_is_not_operated_by_whoever_sees_the_page(
    browser: Browser, network: Network, make_directory: MakeDirectory
) -> None:
    """Unless the dashboard was told so in as many words."""
    async with (
        dashboard(network.address, make_directory()) as guarded,
        opened(browser, f"{guarded.url}operate") as page,
    ):
        await page.get_by_label("Token").fill("anything")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert").first).to_contain_text("asks nobody who calls")
        await expect(page.get_by_role("region")).to_have_count(0)
    async with (
        dashboard(
            network.address, make_directory(), options=["--operate-without-token"]
        ) as open_to_all,
        opened(browser, f"{open_to_all.url}operate") as page,
    ):
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("region", name="Health")).to_be_visible()
        await expect(page.get_by_role("region", name="Health")).to_contain_text(
            "No process is named"
        )
