"""A ledger made of plain rows, with the numbers that counting.py makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

import asyncpg

from keeper_grpc.domain.evidence.steps import EXACT
from keeper_grpc.domain.metrics.inputs import Gathered
from keeper_grpc.domain.patterns.pattern import Scope, scope_id
from keeper_grpc.storage.metrics.experiment import count_in_experiment
from keeper_grpc.storage.metrics.measuring import (
    delete_outcomes,
    delete_questions,
    measure_outcomes,
)
from keeper_grpc.storage.patterns.versions import open_scope
from tests.integration.metrics.counting import TABLES, Row, count

VECTOR = "[" + ",".join(["0"] * 1536) + "]"
MEASURES = (
    "measure_changes",
    "daily_measures",
    "pattern_advice",
    "account_milestones",
    "waiting_outcomes",
    "experiment_outcomes",
    # Accounts that are truncated take them along, but for where tables are spread.
    "rolled_questions",
    "rolled_accounts",
    "rolled_arms",
    "rolled_advice",
)


@dataclass(frozen=True)
class Ledger:
    """Writes rows as use cases do, but with values of the test's choice."""

    connection: asyncpg.Connection[asyncpg.Record]
    rolled: list[Row] = field(default_factory=list)
    """Questions that were rolled up, as they were."""

    async def clear(self) -> None:
        """Empty the tables."""
        self.rolled.clear()
        await self.connection.execute(f"TRUNCATE {', '.join((*TABLES, *MEASURES))} CASCADE")

    async def account(
        self, key: str, category: str, joined: datetime, *, registered: bool = True
    ) -> None:
        """An account, registered or known from its first call."""
        await self.connection.execute(
            """
            INSERT INTO accounts (account_key, business_category, joined_time, registered,
                                  qualified)
            VALUES ($1, $2, $3, $4, true)
            """,
            key,
            category,
            joined,
            registered,
        )

    async def pattern(
        self,
        category: str,
        discovered: datetime,
        validated: datetime,
        *,
        accounts: int,
        occurrences: int,
        authored: bool = False,
        words: str = "act",
        worded_from: UUID | None = None,
        retired: bool = False,
    ) -> UUID:
        """A pattern with these counts, of the catalog if it is `authored`. Without `words` of its own it may speak in
        those of another one of its scope.
        """
        pattern_id = uuid4()
        await open_scope(self.connection, Scope("pricing", category, "model"))
        await self.connection.execute(
            """
            INSERT INTO network_patterns (
                id, scope_id, pattern_type, business_category, embedding_model, pattern_embedding, context,
                action_template, shown_action, first_discovered, last_validated, occurrence_count,
                account_count, catalog_key, worded_from, worded_from_scope_id, retired_time)
            VALUES ($1, $9, 'pricing', $2, 'model', $3::text::vector, '{}', 'act', $10, $4, $5, $6,
                    $7, $8, $11, $12, CASE WHEN $13 THEN now() END)
            """,
            pattern_id,
            category,
            VECTOR,
            discovered,
            validated,
            occurrences,
            accounts,
            str(pattern_id) if authored else None,
            scope_id("pricing", category),
            words,
            worded_from,
            scope_id("pricing", category) if worded_from else None,
            retired,
        )
        return pattern_id

    async def enhancement(self, account: Row, pattern: Row | None, given: Row) -> UUID:
        """A question: advised when there is a pattern, unless held out."""
        enhancement_id = uuid4()
        held_out = pattern is not None and given["held_out"]
        reason = "holdout" if held_out else None if pattern else "no_patterns"
        measured = await self.connection.fetchval(
            "SELECT qualified AND business_category = $2 FROM accounts WHERE account_key = $1",
            account["key"],
            account["category"],
        )
        await self.connection.execute(
            """
            INSERT INTO enhancements (
                id, account_key, pattern_id, no_match_reason, pattern_type, business_category,
                embedding_model, similarity, base_confidence, confidence, expected_success_rate,
                transfer, script, holdout, context, action, created_at, advised_category,
                expected_deviation, holdout_share, scope_id, advised_scope_id, exploration_loss,
                measured)
            VALUES ($1, $2, $3, $4, 'pricing', $5, 'model', 1, $6, $7, $8, 1, '', $9, '{}', '',
                    $10, $11, $12, $13, $14, $15, $16, $17)
            """,
            enhancement_id,
            account["key"],
            pattern["id"] if pattern else None,
            reason,
            account["category"],
            given["base"],
            given["base"] * 1.25 if pattern else given["base"],
            given["expected"] if pattern else 0.0,
            held_out,
            given["at"],
            pattern["category"] if pattern else None,
            given["deviation"] if pattern else None,
            given.get("share", 0.5),
            scope_id("pricing", account["category"]),
            scope_id("pricing", pattern["category"]) if pattern else None,
            given.get("loss", 0.0) if pattern else 0.0,
            measured,
        )
        await self.connection.execute(
            """
            SELECT measure_questions(
                       array_agg(account_key), array_agg(created_at), array_agg(business_category),
                       array_agg(advised_category), array_agg(no_match_reason), array_agg(holdout),
                       array_agg(base_confidence), array_agg(confidence), array_agg(exploration_loss),
                       array_agg(advised_scope_id), array_agg(pattern_id), array_agg(measured))
              FROM enhancements WHERE id = $1
            """,
            enhancement_id,
        )
        return enhancement_id

    async def observation(
        self,
        account: Row,
        outcome: Row,
        *,
        pattern: UUID | None,
        enhancement: UUID | None,
        instead_of: UUID | None = None,
    ) -> None:
        """A captured outcome, perhaps of something else than was advised, or a reported one."""
        observation_id = uuid4()
        await self.connection.execute(
            """
            INSERT INTO observations (
                id, scope_id, account_key, disposition, pattern_id, enhancement_id,
                similarity, pattern_type, business_category, embedding_model, context, action,
                script, confidence, dollar_value, potential_value, success, revenue_impact,
                customer_retained, anonymization, occurred_time, recorded_time, instead_of)
            VALUES ($1, $12, $2, $3, $4, $5, 1, 'pricing', $6, 'model', '{}', 'act', '', 0.5, 0,
                    0, $7, $8, $9, '{}', $10, $10, $11)
            """,
            observation_id,
            account["key"],
            "reported" if enhancement else "merged" if pattern else "withheld",
            pattern,
            enhancement,
            account["category"],
            outcome["success"],
            outcome["revenue"],
            outcome["retained"],
            outcome["at"],
            instead_of,
            scope_id("pricing", account["category"]),
        )
        if enhancement or instead_of:
            await self.connection.execute(
                """
                INSERT INTO enhancement_outcomes (scope_id, enhancement_id, observation_id)
                SELECT scope_id, id, $2 FROM enhancements WHERE id = $1
                """,
                enhancement or instead_of,
                observation_id,
            )
        await measure_outcomes(
            self.connection,
            {scope_id("pricing", account["category"])},
            [observation_id],
            [observation_id] if enhancement else [],
        )
        await count_in_experiment(self.connection, {account["key"]}, EXACT)

    async def roll_up(self, before: datetime) -> None:
        """Roll up the questions from before a time, one by one, and remember them."""
        had = await self.connection.fetch("SELECT * FROM enhancements")
        while await self.connection.fetchval("SELECT roll_up_questions($1, 1)", before):
            pass
        there = {row["id"] for row in await self.connection.fetch("SELECT id FROM enhancements")}
        self.rolled.extend(dict(row) for row in had if row["id"] not in there)

    async def forget(self, key: str) -> None:
        """Delete an account as ForgetAccount does: its observations pattern by pattern, the rest."""
        async with self.connection.transaction():
            for row in await self.connection.fetch(
                "SELECT DISTINCT pattern_id FROM observations WHERE account_key = $1", key
            ):
                found = await self.connection.fetch(
                    "SELECT id FROM observations "
                    "WHERE account_key = $1 AND pattern_id IS NOT DISTINCT FROM $2",
                    key,
                    row["pattern_id"],
                )
                await delete_outcomes(self.connection, [each["id"] for each in found])
            await delete_questions(self.connection, key)
            # No foreign key reaches it where tables are spread.
            await self.connection.execute(
                "DELETE FROM account_milestones WHERE account_key = $1", key
            )
            await self.connection.execute("DELETE FROM accounts WHERE account_key = $1", key)
        self.rolled[:] = [row for row in self.rolled if row["account_key"] != key]

    async def counted(self, category: str, start: datetime, k: int) -> Gathered:
        """The metrics of the rows that are stored, by brute force."""
        tables = {
            name: [dict(row) for row in await self.connection.fetch(f"SELECT * FROM {name}")]  # noqa: S608 - a constant
            for name in TABLES
        }
        tables["enhancements"].extend(map(dict, self.rolled))
        return count(tables, category, start, k)
