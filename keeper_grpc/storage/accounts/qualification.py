"""Which accounts count: the flag of the accounts table, and the settings that it was decided by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keeper_grpc.domain.accounts.qualification import Qualification
from keeper_grpc.storage.accounts.standing import note_standing, own_standing
from keeper_grpc.storage.database import Database

# $1 to $3 are the rule at one moment; see domain/accounts/qualification.py. $4 is the flag as it is. What an account did is read
# for all of them at once, by their keys: where tables are spread, no worker can look into those that are not.
_OTHERWISE = """
    WITH asked AS MATERIALIZED (
        SELECT a.account_key, ($1 OR a.registered) AND a.created_at <= $2 AS old_enough FROM accounts a
         WHERE NOT a.forgetting AND a.qualified = $4
    ), days AS (
        SELECT o.account_key, (o.recorded_time AT TIME ZONE 'UTC')::date AS day FROM observations o
         WHERE $3 > 0 AND o.account_key IN (SELECT q.account_key FROM asked q WHERE q.old_enough)
         UNION
        SELECT d.account_key, d.recorded_day FROM archived_days d
         WHERE $3 > 0 AND d.account_key IN (SELECT q.account_key FROM asked q WHERE q.old_enough)
    ), active AS (
        SELECT d.account_key FROM days d GROUP BY 1 HAVING count(*) >= $3
    )
    SELECT q.account_key FROM asked q
     WHERE (q.old_enough AND ($3 = 0 OR q.account_key IN (SELECT c.account_key FROM active c))) <> $4
     LIMIT $5
"""


class PostgresQualification:
    """See usecases/accounts/qualify.py for what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, rule: Qualification, now: datetime, limit: int) -> Sequence[str]:
        return await self._otherwise(rule, now, limit, qualified=False)

    async def unfit(self, rule: Qualification, now: datetime, limit: int) -> Sequence[str]:
        return await self._otherwise(rule, now, limit, qualified=True)

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

    async def _otherwise(
        self, rule: Qualification, now: datetime, limit: int, *, qualified: bool
    ) -> Sequence[str]:
        """Accounts that count, or not, where the rule says otherwise."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                _OTHERWISE,
                rule.open_accounts,
                now - rule.min_age,
                rule.min_active_days,
                qualified,
                limit,
            )
        return [row["account_key"] for row in rows]
