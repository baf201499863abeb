"""The listed patterns as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from keeper_grpc.client import KeeperClient
from keeper_grpc.dashboard.listing import Sought
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

_PAGE = 500
"""Patterns of one call: the API's own bound."""

HEADER = (
    *("pattern_id", "pattern_type", "business_category", "action", "success_rate", "lower_bound"),
    *("occurrence_count", "success_count", "account_count", "state", "last_validated"),
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a cell that a spreadsheet would compute."""


async def patterns_csv(client: KeeperClient, sought: Sought) -> AsyncIterator[str]:
    """All patterns that are sought, the surest first, line by line. Raises KeeperClientError."""
    yield _line(HEADER)
    listing = client.list_patterns(
        business_category=sought.category,
        pattern_type=sought.pattern_type,
        search=sought.search,
        page_size=_PAGE,
    )
    async with aclosing(listing):
        async for pattern in listing:
            yield _line(_cells(pattern))


def _cells(pattern: Pattern) -> Sequence[object]:
    evidence = pattern.evidence
    last = pattern.last_validated_time
    return (
        pattern.pattern_id,
        pattern.pattern_type,
        pattern.business_category,
        harmless(pattern.action),
        round(evidence.success_rate, 4),
        round(evidence.lower_bound, 4),
        evidence.occurrence_count,
        evidence.success_count,
        evidence.account_count,
        Pattern.State.Name(pattern.state).removeprefix("STATE_").lower(),
        f"{last.ToDatetime():%Y-%m-%d}" if last.ByteSize() else "",
    )


def harmless(text: str) -> str:
    """The text as a spreadsheet shows it: one that would be a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: Sequence[object]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue()
