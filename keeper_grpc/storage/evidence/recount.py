"""Recounting patterns from the ledger, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.sums import PatternSums
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.ledger_sums import sum_ledger
from keeper_grpc.storage.evidence.replacing import replace_shares, replace_shares_of
from keeper_grpc.storage.evidence.totals import Change, refresh_evidence


async def recount(connection: Connection, keys: Collection[PatternKey], counting: Counting) -> int:
    """Recount patterns within the caller's transaction, which owns their scopes: from how many observations."""
    return await replace_evidence(
        connection, await sum_ledger(connection, keys, counting.half_life), counting
    )


async def replace_evidence(
    connection: Connection, sums: Mapping[PatternKey, PatternSums], counting: Counting
) -> int:
    """Let the rows and the totals of these patterns say what their sums do, as `recount`: from how many observations."""
    await replace_shares(connection, sums)
    await refresh_evidence(connection, dict.fromkeys(sums, Change()), counting.rule)
    return sum(own.observations for own in sums.values())


async def recount_account(
    connection: Connection, key: PatternKey, account_key: str, counting: Counting
) -> None:
    """Recount one account's shares of a pattern within the caller's transaction, which owns its scope.

    Its observations are still of the same insights: only their outcomes may have changed. The pattern's totals
    are left to the caller.
    """
    sums = await sum_ledger(connection, [key], counting.half_life, account_key)
    await replace_shares_of(connection, key, account_key, sums[key])
