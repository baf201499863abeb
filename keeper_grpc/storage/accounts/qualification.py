"""Which accounts count: the flag of the accounts table, and the settings that it was decided by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keeper_grpc.domain.accounts.qualification import Qualification
from keeper_grpc.storage.accounts.standing import note_standing, own_standing
from keeper_grpc.storage.database import Database

# $1 to $3 are the rule at one moment; see domain/accounts/qualification.py.
_QUALIFIES = """
    (($1 OR a.registered) AND a.created_at <= $2
     AND ($3 = 0 OR (SELECT count(*)
                       FROM (SELECT (o.recorded_time AT TIME ZONE 'UTC')::date
                               FROM observations o WHERE o.account_key = a.account_key
                              UNION
                             SELECT d.recorded_day
                               FROM archived_days d WHERE d.account_key = a.account_key) active) >= $3))
"""


class PostgresQualification:
    """See usecases/accounts/qualify.py for what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, rule: Qualification, now: datetime, limit: int) -> Sequence[str]:
        return await self._accounts(f"NOT a.qualified AND {_QUALIFIES}", rule, now, limit)

    async def unfit(self, rule: Qualification, now: datetime, limit: int) -> Sequence[str]:
        return await self._accounts(f"a.qualified AND NOT {_QUALIFIES}", rule, now, limit)

    async def qualify(self, account_key: str, *, qualified: bool) -> None:
        async with self._database.transaction() as connection:
            await own_standing(connection, account_key)
            if await connection.fetchval(
                """
                UPDATE accounts SET qualified = $2
                 WHERE account_key = $1 AND qualified <> $2 AND NOT forgetting RETURNING true
                """,
                account_key,
                qualified,
            ):
                await note_standing(connection, account_key)

    async def is_decided_by(self, rule: Qualification) -> bool:
        async with self._database.connection() as connection:
            return bool(
                await connection.fetchval(
                    """
                    SELECT (open_accounts, min_age, min_active_days) = ($1, $2, $3)
                      FROM qualification_settings
                    """,
                    rule.open_accounts,
                    rule.min_age,
                    rule.min_active_days,
                )
            )

    async def decided_by(self, rule: Qualification) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                """
                INSERT INTO qualification_settings (open_accounts, min_age, min_active_days)
                VALUES ($1, $2, $3)
                ON CONFLICT (id) DO UPDATE
                   SET open_accounts = $1, min_age = $2, min_active_days = $3
                """,
                rule.open_accounts,
                rule.min_age,
                rule.min_active_days,
            )

    async def _accounts(
        self, condition: str, rule: Qualification, now: datetime, limit: int
    ) -> Sequence[str]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f"""
                SELECT a.account_key FROM accounts a
                 WHERE NOT a.forgetting AND {condition} LIMIT $4
                """,  # noqa: S608 - constants of this module
                rule.open_accounts,
                now - rule.min_age,
                rule.min_active_days,
                limit,
            )
        return [row["account_key"] for row in rows]
