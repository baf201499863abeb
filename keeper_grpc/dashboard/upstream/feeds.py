"""Every feed that the pages show, each read once however many pages are open."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from keeper_grpc.client import KeeperClient
from keeper_grpc.dashboard.filters import Filter
from keeper_grpc.dashboard.listing import Sought
from keeper_grpc.dashboard.upstream.feed import EmergingFeed, Fetched, MetricsFeed, Shared
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import AuditEvent
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetPatternResponse
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

_PATTERNS = 200
"""Patterns read for the overview, in one call."""

_PAGE = 500
"""Patterns of one call: the API's own bound."""

MOST_LISTED = 2_000
"""Patterns read for the page of all of them: more are narrowed by a search."""

_AUDIT_EVENTS = 10


class Feeds:
    """Feeds by what they show. `stale_after` is in seconds; see MetricsFeed."""

    def __init__(self, client: KeeperClient, stale_after: float) -> None:
        self.client = client
        """For calls that are of one page alone."""
        self.metrics: Shared[Filter, MetricsFeed] = Shared(
            lambda where: MetricsFeed(client, where, stale_after)
        )
        self.emerging: Shared[str, EmergingFeed] = Shared(
            lambda category: EmergingFeed(client, category)
        )
        self.patterns: Shared[str, Fetched[Sequence[Pattern]]] = Shared(
            lambda category: Fetched(lambda: self._list(Sought(category), _PATTERNS))
        )
        self.listed: Shared[Sought, Fetched[Sequence[Pattern]]] = Shared(
            lambda sought: Fetched(lambda: self._list(sought, MOST_LISTED))
        )
        self.histories: Shared[str, Fetched[GetPatternResponse]] = Shared(
            lambda pattern_id: Fetched(lambda: client.get_pattern_history(pattern_id))
        )
        self.audit: Shared[None, Fetched[Sequence[AuditEvent]]] = Shared(
            lambda _: Fetched(lambda: client.list_audit_events(page_size=_AUDIT_EVENTS))
        )

    def close(self) -> None:
        """End all of them."""
        for shared in (
            self.metrics,
            self.emerging,
            self.patterns,
            self.listed,
            self.histories,
            self.audit,
        ):
            shared.close()

    async def _list(self, sought: Sought, most: int) -> Sequence[Pattern]:
        found: list[Pattern] = []
        pages = self.client.list_patterns(
            business_category=sought.category,
            pattern_type=sought.pattern_type,
            search=sought.search,
            page_size=min(most, _PAGE),
        )
        async with aclosing(pages):
            async for pattern in pages:
                found.append(pattern)
                if len(found) == most:
                    break
        return found
