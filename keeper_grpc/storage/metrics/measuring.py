"""Keeping the measures while the ledger changes: each path into and out of it calls one of these.

The statements are functions of the schema (09_measuring.sql), beside the views that count the same from the whole
ledger; that of questions is called by `record_questions`, which writes them. All are called within the caller's transaction, which holds the accounts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from keeper_grpc.storage.database import Connection


async def measure_outcomes(
    connection: Connection,
    scope_ids: Collection[int],
    observation_ids: Sequence[UUID],
    advised: Collection[UUID],
) -> None:
    """Measure observations of these scopes that were just written, in this order, with those of their accounts that wait.

    `advised` are those that are outcomes of advice.
    """
    await connection.execute(
        "SELECT measure_outcomes($1::bigint[], $2::uuid[], $3::uuid[])",
        sorted(scope_ids),
        observation_ids,
        list(advised),
    )


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
