"""The accounts table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keeper_grpc.domain.accounts.account import Account, NewAccount
from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.errors import AccountForgotten
from keeper_grpc.storage.accounts.audit import append_event
from keeper_grpc.storage.accounts.standing import count_change, note_standing, own_standing
from keeper_grpc.storage.database import Connection, Database


class PostgresAccounts:
    """Accounts, by pseudonym; see usecases/accounts/ for what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_account(self, keys: Sequence[str]) -> Account | None:
        """The account that is known by one of these pseudonyms, the oldest if by several."""
        return await self.read_account(keys)

    async def read_account(self, keys: Sequence[str]) -> Account | None:
        """The account that is known by one of these pseudonyms, the oldest if by several."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                """
                SELECT account_key, business_category, owner_key, forgetting FROM accounts
                 WHERE account_key = ANY($1::text[]) ORDER BY created_at LIMIT 1
                """,
                list(keys),
            )
        return Account(*row) if row else None

    async def add_account(
        self,
        account: NewAccount,
        tombstone_keys: Sequence[str],
        registration: AuditEvent | None = None,
        returned: AuditEvent | None = None,
    ) -> bool:
        """Add it unless it is there; whether it was added. Then the event of its `registration` is written, if any.

        Raises AccountForgotten while it has one of these tombstones, unless it is `returned`: then they go, and that
        event is written instead.
        """
        async with self._database.transaction() as connection:
            added = await connection.fetchval(
                """
                INSERT INTO accounts (account_key, business_category, joined_time, created_at,
                                      registered, qualified, declared_owner_key)
                VALUES ($1, $2, $3, $4, $5, $6, $7)
                ON CONFLICT (account_key) DO NOTHING RETURNING true
                """,
                account.key,
                account.business_category,
                account.joined_time,
                account.created_time,
                account.registered,
                account.qualified,
                account.owner_key,
            )
            # After the insert, which waits for a ForgetAccount that is at its end. In its transaction, so that
            # an account that is not added keeps its tombstone.
            if added and returned is not None and await _unbury(connection, tombstone_keys):
                registration = returned
            elif (
                added
                and returned is None
                and await connection.fetchval(
                    """
                SELECT EXISTS (SELECT 1 FROM account_tombstones
                                WHERE tombstone_key = ANY($1::text[]) AND expire_time > $2)
                """,
                    list(tombstone_keys),
                    account.created_time,
                )
            ):
                raise AccountForgotten
            if added and registration is not None:
                await append_event(connection, registration)
        return bool(added)

    async def known_owner(self, keys: Sequence[str]) -> str | None:
        """Under which of these pseudonyms an owner has accounts."""
        async with self._database.connection() as connection:
            known: str | None = await connection.fetchval(
                """
                SELECT declared_owner_key FROM accounts
                 WHERE declared_owner_key = ANY($1::text[]) ORDER BY created_at LIMIT 1
                """,
                list(keys),
            )
        return known

    async def register_known(
        self, key: str, joined_time: datetime | None, owner_key: str | None, event: AuditEvent
    ) -> bool:
        """Register an account that is known from its first call; False where it has this owner not."""
        async with self._database.transaction() as connection:
            # Waits for outcomes under way, and they for this: each is judged by one time of joining.
            await own_standing(connection, key)
            row = await connection.fetchrow(
                "SELECT registered, declared_owner_key, forgetting FROM accounts WHERE account_key = $1",
                key,
            )
            if row is None or row["forgetting"]:
                return True
            if row["registered"]:
                return owner_key in (None, row["declared_owner_key"])
            await connection.execute(
                """
                UPDATE accounts
                   SET registered = true, joined_time = coalesce($2, joined_time),
                       declared_owner_key = $3
                 WHERE account_key = $1
                """,
                key,
                joined_time,
                owner_key,
            )
            await append_event(connection, event)
            if owner_key is not None:
                await note_standing(connection, key)
            await connection.execute(
                """
                UPDATE account_milestones SET first_success_time = (
                    SELECT min(o.success_time)
                      FROM (SELECT account_key, occurred_time AS success_time FROM observations WHERE success
                            UNION ALL
                            SELECT account_key, first_success_time FROM archived_days) o
                      JOIN accounts a USING (account_key)
                     WHERE o.account_key = $1 AND o.success_time >= a.joined_time)
                 WHERE account_key = $1
                """,
                key,
            )
            await count_change(connection)
        return True

    async def correct(
        self,
        key: str,
        business_category: str | None,
        owner_key: str | None,
        event: AuditEvent,
        *,
        change_owner: bool,
    ) -> bool:
        """Correct the account's category or owner; whether that changed anything."""
        async with self._database.transaction() as connection:
            await own_standing(connection, key)
            before = await connection.fetchrow(
                "SELECT business_category, declared_owner_key FROM accounts WHERE account_key = $1",
                key,
            )
            if before is None:
                return False
            category = business_category or before["business_category"]
            owner = owner_key if change_owner else before["declared_owner_key"]
            moved = category != before["business_category"]
            if not moved and owner == before["declared_owner_key"]:
                return False
            await connection.execute(
                """
                UPDATE accounts SET business_category = $2, declared_owner_key = $3
                 WHERE account_key = $1
                """,
                key,
                category,
                owner,
            )
            await note_standing(connection, key, recount=moved)
            await append_event(connection, event)
            await count_change(connection)
        return True


async def _unbury(connection: Connection, tombstone_keys: Sequence[str]) -> bool:
    """Let the account come back; whether it had a tombstone."""
    removed = await connection.fetch(
        "DELETE FROM account_tombstones WHERE tombstone_key = ANY($1::text[]) RETURNING 1",
        list(tombstone_keys),
    )
    return bool(removed)
