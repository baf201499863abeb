"""Reading what an account was advised and reported, and the transaction of one revised outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.expectation import Basis
from keeper_grpc.domain.observation import CaptureRequest, Recorded, Revision, Standing
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Scope
from keeper_grpc.storage.advice.revisions import revise_outcome
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.insight_columns import ENHANCEMENTS
from keeper_grpc.storage.locks import lock_scope
from keeper_grpc.storage.patterns.known import find_recorded
from keeper_grpc.storage.patterns.view import see_pattern

_OF_CAPTURE = """
    SELECT observation_id FROM outcome_requests
     WHERE account_key = $1 AND request_id = $2 AND NOT revises
"""

_OF_ENHANCEMENT = "SELECT observation_id FROM enhancement_outcomes WHERE enhancement_id = $1"
"""What was done instead of the advice is none of its outcomes."""


@dataclass(frozen=True, slots=True)
class Given:
    """What an enhancement's row says, without the pattern that was `advised`, if any was."""

    handed_out: HandedOut
    advised: PatternKey | None


async def find_given(
    connection: Connection, account_key: str, enhancement_id: UUID
) -> Given | None:
    """What this account was given under this id; None for another account's."""
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
    return Given(
        HandedOut(
            enhancement_id=row["id"],
            scope=Scope(row["pattern_type"], row["business_category"], row["embedding_model"]),
            insight=ENHANCEMENTS.read(row),
            pattern=None,
            similarity=row["similarity"],
            expected_success_rate=row["expected_success_rate"],
            script=row["script"],
            created_at=row["created_at"],
            authored=row["authored"],
            basis=Basis(row["basis"]) if row["basis"] else None,
        ),
        PatternKey(row["advised_scope_id"], row["pattern_id"]) if row["pattern_id"] else None,
    )


class PostgresOutcomes:
    """The enhancements and ledger of usecases/advice/report_outcome.py and generate_task.py."""

    def __init__(self, database: Database, counting: Counting) -> None:
        self._database = database
        self._counting = counting

    async def handed_out(self, account: Account, enhancement_id: UUID) -> HandedOut | None:
        """What this account was given under this id; None for another account's."""
        async with self._database.transaction(read_only=True) as connection:
            given = await find_given(connection, account.key, enhancement_id)
            if given is None:
                return None
            if given.advised is None:
                return given.handed_out
            pattern = await see_pattern(connection, given.advised, self._counting.rule, account.key)
        return replace(given.handed_out, pattern=pattern)

    async def outcome_of(self, account_key: str, source: UUID | CaptureRequest) -> Standing | None:
        """What the ledger has of an enhancement or a capture of this account."""
        async with self._database.connection() as connection:
            return await _outcome_of(connection, account_key, source)

    @asynccontextmanager
    async def revision(self, scope: Scope) -> AsyncIterator[PostgresRevision]:
        """A transaction that owns the scope and commits at the end of the block unless that raises."""
        async with self._database.transaction() as connection:
            await lock_scope(connection, scope)
            yield PostgresRevision(connection, self._counting)


class PostgresRevision:
    """One revision's reads and writes; see usecases/advice/revise_outcome.py for what each promises."""

    def __init__(self, connection: Connection, counting: Counting) -> None:
        self._connection = connection
        self._counting = counting

    async def recorded(self, account_key: str, request_id: UUID) -> Recorded | None:
        request = account_key, request_id
        return (await find_recorded(self._connection, [request])).get(request)

    async def outcome_of(self, account_key: str, source: UUID | CaptureRequest) -> Standing | None:
        return await _outcome_of(self._connection, account_key, source)

    async def revise(self, revision: Revision) -> None:
        await revise_outcome(self._connection, revision, self._counting)

    async def pattern(self, key: PatternKey, account_key: str) -> Pattern:
        pattern = await see_pattern(self._connection, key, self._counting.rule, account_key)
        if pattern is None:
            # A foreign key holds the ledger and its pattern together.
            message = "a recorded pattern is missing"
            raise RuntimeError(message)
        return pattern


async def _outcome_of(
    connection: Connection, account_key: str, source: UUID | CaptureRequest
) -> Standing | None:
    observation_id = (
        await connection.fetchval(_OF_CAPTURE, account_key, source.request_id)
        if isinstance(source, CaptureRequest)
        else await connection.fetchval(_OF_ENHANCEMENT, source)
    )
    if observation_id is None:
        return None
    row = await connection.fetchrow(
        """
        SELECT o.id, o.pattern_type, o.business_category, o.pattern_id, o.final,
               -- Its pattern may have been moved to another model since.
               coalesce(p.embedding_model, o.embedding_model) AS embedding_model
          FROM observations o
          LEFT JOIN network_patterns p ON p.scope_id = o.scope_id AND p.id = o.pattern_id
         WHERE o.id = $2 AND o.account_key = $1 AND (o.disposition = 'reported') = $3
        """,
        account_key,
        observation_id,
        not isinstance(source, CaptureRequest),
    )
    if row is None:
        return None
    scope = Scope(row["pattern_type"], row["business_category"], row["embedding_model"])
    return Standing(row["id"], scope, row["pattern_id"], row["final"])
