"""Keeping the measures while the ledger changes: each path into and out of it calls one of these.

The statements are functions of the schema (09_measuring.sql), beside the views that count the same from the whole
ledger; that of questions is called by `record_questions`, which writes them. All are called within the caller's transaction, which holds the accounts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from keeper_grpc.storage.database import Connection


async def measure_outcomes(connection: Connection, observation_ids: Sequence[UUID]) -> None:
    """Measure observations that were just written, in this order, with those of their accounts that wait."""
    await connection.execute("SELECT measure_outcomes($1::uuid[])", observation_ids)


async def measure_account(connection: Connection, account_key: str) -> None:
    """Let what the account did count, or not, by its row, which the caller has changed."""
    await connection.execute("SELECT measure_account($1)", account_key)


async def delete_outcomes(connection: Connection, observation_ids: Collection[UUID]) -> int:
    """Delete observations with what they are in the measures, but for milestones: how many."""
    deleted: int = await connection.fetchval(
        "SELECT delete_outcomes($1::uuid[])", list(observation_ids)
    )
    return deleted


async def delete_questions(connection: Connection, account_key: str) -> int:
    """Delete all enhancements of an account with what they are in the measures, but for milestones: how many."""
    deleted: int = await connection.fetchval("SELECT delete_questions($1)", account_key)
    return deleted
