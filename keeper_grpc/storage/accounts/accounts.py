"""The accounts table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.storage.database import Database


class PostgresAccounts:
    """Accounts, by pseudonym."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_account(self, keys: Sequence[str]) -> Account | None:
        """The account that is known by one of these pseudonyms, the oldest if by several."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                """
                SELECT account_key, business_category, forgetting FROM accounts
                 WHERE account_key = ANY($1::text[]) ORDER BY created_at LIMIT 1
                """,
                list(keys),
            )
        return Account(*row) if row else None

    async def add_account(
        self, account: Account, joined_time: datetime, *, registered: bool
    ) -> bool:
        """Add it unless it is there; whether it was added."""
        async with self._database.connection() as connection:
            added = await connection.fetchval(
                """
                INSERT INTO accounts (account_key, business_category, joined_time, registered)
                VALUES ($1, $2, $3, $4) ON CONFLICT (account_key) DO NOTHING RETURNING true
                """,
                account.key,
                account.business_category,
                joined_time,
                registered,
            )
        return bool(added)

    async def register_known(self, key: str, joined_time: datetime | None) -> None:
        """See usecases/accounts/resolver.py."""
        async with self._database.transaction() as connection:
            # Waits for outcomes under way, and they for this: each is judged by one time of joining.
            if not await connection.fetchval(
                """
                SELECT true FROM accounts
                 WHERE account_key = $1 AND NOT registered AND NOT forgetting FOR UPDATE
                """,
                key,
            ):
                return
            await connection.execute(
                """
                UPDATE accounts SET registered = true, joined_time = coalesce($2, joined_time)
                 WHERE account_key = $1
                """,
                key,
                joined_time,
            )
            await connection.execute(
                """
                UPDATE account_milestones SET first_success_time = (
                    SELECT min(o.occurred_time)
                      FROM observations o JOIN accounts a USING (account_key)
                     WHERE o.account_key = $1 AND o.success AND o.occurred_time >= a.joined_time)
                 WHERE account_key = $1
                """,
                key,
            )
