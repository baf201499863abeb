"""Locking accounts until the transaction ends, each function in the order of their keys.

On one server the locks are of their rows; where tables are spread, of the coordinator
(keeper_grpc/storage/schema/migrations/0012_hold_accounts.sql).
"""

from __future__ import annotations

from collections.abc import Collection

from keeper_grpc.storage.database import Connection


async def hold_accounts(connection: Connection, keys: Collection[str]) -> set[str]:
    """Let nobody delete these accounts or change their standing; those that are there."""
    rows = await connection.fetch("SELECT account_key FROM hold_accounts($1::text[])", sorted(keys))
    return {row["account_key"] for row in rows}


async def own_reactions(connection: Connection, keys: Collection[str]) -> None:
    """As `hold_accounts`; and let nobody else record what these accounts did with advice."""
    await connection.execute("SELECT own_reactions($1::text[])", sorted(keys))


async def own_account(connection: Connection, account_key: str) -> None:
    """Let nobody else write what refers to the account."""
    await connection.execute("SELECT own_account($1)", account_key)


async def settle_accounts(connection: Connection, keys: Collection[str]) -> set[str]:
    """Let nobody change these accounts' standing or record what they did with advice; those that are there."""
    return set(await connection.fetchval("SELECT settle_accounts($1::text[])", sorted(keys)))
