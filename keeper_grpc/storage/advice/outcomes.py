"""Reading what an account was advised, and the transaction of one reported outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.errors import AccountBeingForgotten, PatternsMoved
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.expectation import Basis
from keeper_grpc.domain.observation import CaptureRequest, Revision, Standing
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.storage.advice.revisions import revise_outcome
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.insight_columns import ENHANCEMENTS
from keeper_grpc.storage.locks import lock_scope
from keeper_grpc.storage.patterns.captures import PostgresCapture
from keeper_grpc.storage.patterns.keys import merged_into
from keeper_grpc.storage.patterns.view import see_pattern
from keeper_grpc.storage.patterns.words import action_in_words

_OF_CAPTURE = """
    outcome_requests r JOIN observations o
      ON o.scope_id = r.scope_id AND o.id = r.observation_id AND r.account_key = $1
     AND r.request_id = $2 AND NOT r.revises
"""

_OF_ENHANCEMENT = """
    enhancement_outcomes x JOIN observations o ON o.id = x.observation_id AND x.enhancement_id = $2
"""
"""What was done instead of the advice is none of its outcomes."""


class PostgresOutcomes:
    """The enhancements and ledger of usecases/advice/report_outcome.py and generate_task.py."""

    def __init__(self, database: Database, counting: Counting) -> None:
        self._database = database
        self._counting = counting

    async def handed_out(self, account_key: str, enhancement_id: UUID) -> HandedOut | None:
        """What this account was given under this id; None for another account's."""
        async with self._database.transaction(read_only=True) as connection:
            row = await connection.fetchrow(
                f"""
                SELECT {ENHANCEMENTS.names}, id, CASE WHEN NOT holdout AND authored IS DISTINCT FROM 'withheld'
                            THEN pattern_id END AS pattern_id,
                       advised_scope_id, embedding_model, similarity, expected_success_rate, script, created_at,
                       coalesce(authored = 'given', false) AS authored, basis
                  FROM enhancements WHERE id = $1 AND account_key = $2
                """,  # noqa: S608 - only constants are interpolated
                enhancement_id,
                account_key,
            )
            if row is None:
                return None
            pattern = (
                await see_pattern(
                    connection,
                    PatternKey(row["advised_scope_id"], row["pattern_id"]),
                    self._counting.rule,
                    account_key,
                )
                if row["pattern_id"]
                else None
            )
        return HandedOut(
            enhancement_id=row["id"],
            scope=Scope(row["pattern_type"], row["business_category"], row["embedding_model"]),
            insight=ENHANCEMENTS.read(row),
            pattern=pattern,
            similarity=row["similarity"],
            expected_success_rate=row["expected_success_rate"],
            script=row["script"],
            created_at=row["created_at"],
            authored=row["authored"],
            basis=Basis(row["basis"]) if row["basis"] else None,
        )

    @asynccontextmanager
    async def report(self) -> AsyncIterator[PostgresReport]:
        """A transaction that commits at the end of the block unless that raises."""
        try:
            async with self._database.transaction() as connection:
                yield PostgresReport(connection, self._counting)
        except asyncpg.ForeignKeyViolationError as error:
            # The pattern is kept, so only the account's row can be gone.
            raise AccountBeingForgotten from error


class PostgresReport(PostgresCapture):
    """One report's reads and writes; see usecases/advice/report_outcome.py for what each promises."""

    def __init__(self, connection: Connection, counting: Counting) -> None:
        super().__init__(connection, counting)
        self._model = ""

    async def lock_scope(self, scope: Scope) -> None:
        """Own the scope of the pattern that was applied, or the one that advice from elsewhere goes into."""
        self._model = scope.embedding_model
        await lock_scope(self._connection, scope)

    async def outcome_of(self, account_key: str, source: UUID | CaptureRequest) -> Standing | None:
        found, name = (
            (_OF_CAPTURE, source.request_id)
            if isinstance(source, CaptureRequest)
            else (_OF_ENHANCEMENT, source)
        )
        row = await self._connection.fetchrow(
            f"""
            SELECT o.id, o.pattern_type, o.business_category, o.pattern_id, o.final,
                   -- Its pattern may have been moved to another model since.
                   coalesce(p.embedding_model, o.embedding_model) AS embedding_model
              FROM {found}
              LEFT JOIN network_patterns p ON p.scope_id = o.scope_id AND p.id = o.pattern_id
             WHERE o.account_key = $1 AND (o.disposition = 'reported') = $3
            """,  # noqa: S608 - one of two constants
            account_key,
            name,
            not isinstance(source, CaptureRequest),
        )
        if row is None:
            return None
        scope = Scope(row["pattern_type"], row["business_category"], row["embedding_model"])
        return Standing(row["id"], scope, row["pattern_id"], row["final"])

    async def dismissed(self, account_key: str, enhancement_id: UUID) -> bool:
        # Reactions own the account before they read what was reported.
        await self._connection.execute(
            "SELECT FROM accounts WHERE account_key = $1 FOR NO KEY UPDATE", account_key
        )
        return bool(
            await self._connection.fetchval(
                "SELECT reaction = 'dismissed' FROM enhancements WHERE id = $1", enhancement_id
            )
        )

    async def revise(self, revision: Revision) -> None:
        await revise_outcome(self._connection, revision, self._counting)

    async def pin_pattern(self, key: PatternKey) -> str | None:
        row = await self._connection.fetchrow(
            f"""
            SELECT {action_in_words("p")} AS action, p.embedding_model FROM network_patterns p
             WHERE p.scope_id = $1 AND p.id = $2 FOR KEY SHARE OF p
            """,  # noqa: S608 - a constant
            *key,
        )
        if row is None:
            if await merged_into(self._connection, key) is not None:
                raise PatternsMoved
            return None
        if row["embedding_model"] != self._model:
            raise PatternsMoved
        action: str = row["action"]
        return action
