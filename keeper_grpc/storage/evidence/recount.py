"""Recounting one pattern from the ledger, within the caller's transaction."""

from __future__ import annotations

from uuid import UUID

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.ledger_sums import sum_ledger
from keeper_grpc.storage.evidence.shares import replace_shares, replace_shares_of
from keeper_grpc.storage.evidence.totals import refresh_evidence


async def recount(connection: Connection, pattern_id: UUID, counting: Counting) -> int:
    """Recount one pattern within the caller's transaction, which owns its scope: from how much."""
    sums = await sum_ledger(connection, pattern_id, counting.half_life)
    await replace_shares(connection, pattern_id, sums)
    await refresh_evidence(connection, pattern_id, counting.rule)
    return sums.observations


async def recount_account(
    connection: Connection, pattern_id: UUID, account_key: str, counting: Counting
) -> None:
    """Recount one account's shares of a pattern within the caller's transaction, which owns its scope.

    Its observations are still of the same insights: only their outcomes may have changed. The pattern's totals
    are left to the caller.
    """
    sums = await sum_ledger(connection, pattern_id, counting.half_life, account_key)
    await replace_shares_of(connection, pattern_id, account_key, sums)
