"""Patterns' observations summed up: what their rows of shares, harms, scripts and wordings should say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from keeper_grpc.domain.evidence.sums import Counted, Draw, PatternSums
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.archives.sums import sums_of
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.keys import by_column

if TYPE_CHECKING:
    from asyncpg import Record

COUNTED = """
    o.account_key, o.disposition, o.context, o.action, o.script, o.success, o.net_revenue,
    o.occurred_time, o.complained, o.unsubscribed, o.final,
    o.cost IS NOT NULL AND o.net_revenue IS NOT NULL AS costed, d.inverse, d.expected
"""
"""What `to_counted` reads of observations `o` and drawn_scripts `d`."""


def to_counted(row: Record | Mapping[str, Any]) -> Counted:
    """One observation with the columns of `COUNTED`."""
    return Counted(
        account_key=row["account_key"],
        conditions=row["context"],
        action=row["action"],
        script=row["script"],
        success=row["success"],
        net_revenue=row["net_revenue"],
        costed=row["costed"],
        complained=row["complained"],
        unsubscribed=row["unsubscribed"],
        occurred_time=row["occurred_time"],
        own_words=row["disposition"] != "reported",
        final=row["final"],
        draw=None if row["inverse"] is None else Draw(row["inverse"], row["expected"]),
    )


async def sum_ledger(
    connection: Connection,
    keys: Collection[PatternKey],
    half_life: timedelta,
    account_key: str | None = None,
) -> dict[PatternKey, PatternSums]:
    """Sum up these patterns' ledger of all accounts or of one: only the sums are held, and those of what was archived.

    What an account observed in a category that it is no longer in does not count, nor what waits for a step.
    """
    sums = {key: PatternSums() for key in keys}
    for row in await connection.fetch(
        """
        SELECT p.* FROM archived_parts p JOIN accounts a USING (account_key, business_category)
         WHERE p.scope_id = ANY($1::bigint[]) AND p.pattern_id = ANY($2::uuid[])
           AND ($3::text IS NULL OR p.account_key = $3)
        """,
        *by_column(keys),
        account_key,
    ):
        key = PatternKey(row["scope_id"], row["pattern_id"])
        sums[key].join(sums_of(row["account_key"], row))
    await add_rows(connection, sums, half_life, account_key)
    return sums


async def add_rows(
    connection: Connection,
    sums: Mapping[PatternKey, PatternSums],
    half_life: timedelta,
    account_key: str | None = None,
    *,
    rows: str = "observations",
    draws: str = "drawn_scripts",
) -> None:
    """Add what counts of these rows of the patterns, one by one; `rows` and `draws` are tables of this module's callers."""
    async for row in connection.cursor(
        f"""
        SELECT o.scope_id, o.pattern_id, {COUNTED}
          FROM {rows} o JOIN accounts a USING (account_key, business_category)
          LEFT JOIN {draws} d USING (scope_id, enhancement_id)
         WHERE o.scope_id = ANY($1::bigint[]) AND o.pattern_id = ANY($2::uuid[]) AND o.counted
           AND ($3::text IS NULL OR o.account_key = $3)
         ORDER BY o.recorded_time, o.id
        """,  # noqa: S608 - constants
        *by_column(sums),
        account_key,
        prefetch=1000,
    ):
        sums[PatternKey(row["scope_id"], row["pattern_id"])].add(to_counted(row), half_life)
