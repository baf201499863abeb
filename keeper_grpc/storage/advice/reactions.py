"""The ledger of reactions, and the reactions that stand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from keeper_grpc.domain.advice.reaction import GivenAdvice, Reaction, ReportedReaction
from keeper_grpc.domain.errors import RequestIdReused
from keeper_grpc.domain.evidence.steps import reactions_due
from keeper_grpc.storage.accounts.holding import own_reactions
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.rows import insert_row


class PostgresReactions:
    """Begins the transactions of usecases/advice/report_reaction.py."""

    def __init__(self, database: Database, step: int) -> None:
        self._database = database
        self._step = step

    @asynccontextmanager
    async def reaction(self) -> AsyncIterator[PostgresReaction]:
        """A transaction that commits at the end of the block unless that raises."""
        async with self._database.transaction() as connection:
            yield PostgresReaction(connection, self._step)


class PostgresReaction:
    """One report's reads and writes; see the use case for what each promises."""

    def __init__(self, connection: Connection, step: int) -> None:
        self._connection = connection
        self._step = step
        self._scope_id = 0
        """Of the enhancement, once it is given."""

    async def given(self, account_key: str, enhancement_id: UUID) -> GivenAdvice | None:
        # In this order: a rebuild locks the table, ForgetAccount the account and then what it was given. The account
        # alone: a reaction may count others of it, and its outcomes ask whether their advice was dismissed.
        await self._connection.execute("LOCK TABLE enhancements IN ROW EXCLUSIVE MODE")
        await own_reactions(self._connection, [account_key])
        row = await self._connection.fetchrow(
            """
            SELECT e.scope_id, e.no_match_reason IS NULL OR coalesce(e.authored = 'given', false) AS advised,
                   e.reaction, EXISTS (SELECT 1 FROM observations o
                                        WHERE o.scope_id = e.scope_id AND o.enhancement_id = e.id) AS followed
              FROM enhancements e WHERE e.id = $1 AND e.account_key = $2
            """,
            enhancement_id,
            account_key,
        )
        if row is None:
            return None
        self._scope_id = row["scope_id"]
        reaction = row["reaction"]
        return GivenAdvice(
            row["advised"], Reaction(reaction) if reaction else None, followed=row["followed"]
        )

    async def reacted(self, account_key: str, request_id: UUID) -> bytes | None:
        fingerprint: bytes | None = await self._connection.fetchval(
            "SELECT fingerprint FROM reaction_requests WHERE account_key = $1 AND request_id = $2",
            account_key,
            request_id,
        )
        return fingerprint

    async def record(self, reported: ReportedReaction, *, stands: bool) -> None:
        reason = reported.reason.value if reported.reason else None
        request = {
            "account_key": reported.account_key,
            "request_id": reported.request_id,
            "fingerprint": reported.fingerprint,
        }
        row = {
            "scope_id": self._scope_id,
            "account_key": reported.account_key,
            "enhancement_id": reported.enhancement_id,
            "reaction": reported.reaction.value,
            "reason": reason,
            "recorded_time": reported.recorded_time,
        }
        row["pattern_id"] = pattern_id = await self._connection.fetchval(
            "SELECT pattern_id FROM enhancements WHERE scope_id = $1 AND id = $2",
            self._scope_id,
            reported.enhancement_id,
        )
        try:
            await insert_row(self._connection, "reaction_requests", request)
        except asyncpg.UniqueViolationError as error:
            # The same request_id was used for another enhancement while this one waited.
            raise RequestIdReused from error
        await insert_row(self._connection, "reactions", row)
        if stands:
            await self._connection.execute(
                """
                UPDATE enhancements SET reaction = $3, dismissal_reason = $4
                 WHERE scope_id = $1 AND id = $2
                """,
                self._scope_id,
                reported.enhancement_id,
                reported.reaction.value,
                reason,
            )
        await self._count_in_steps(reported, pattern_id)

    async def _count_in_steps(self, reported: ReportedReaction, pattern_id: UUID | None) -> None:
        """Let the account's reactions to the pattern's advice count, once they are a step."""
        (reactions,) = await self._connection.fetch(
            """
            SELECT count(counted_time)::integer AS counted, count(*)::integer AS reported
              FROM reactions WHERE account_key = $1 AND pattern_id IS NOT DISTINCT FROM $2
            """,
            reported.account_key,
            pattern_id,
        )
        # All of those that were archived count.
        archived: int = await self._connection.fetchval(
            "SELECT coalesce(sum(reactions), 0)::integer FROM archived_steps WHERE account_key = $1 AND pattern_id = $2",
            reported.account_key,
            pattern_id or UUID(int=0),
        )
        counted, number = reactions["counted"] + archived, reactions["reported"] + archived
        if not reactions_due(counted, number, self._step):
            return
        await self._connection.execute(
            """
            WITH waiting AS (
                UPDATE reactions SET counted_time = $3
                 WHERE account_key = $1 AND pattern_id IS NOT DISTINCT FROM $2
                   AND counted_time IS NULL
                RETURNING enhancement_id
            )
            UPDATE enhancements
               SET adopted = reaction, adopted_reason = dismissal_reason, adopted_time = $3
             WHERE id IN (SELECT enhancement_id FROM waiting)
            """,
            reported.account_key,
            pattern_id,
            reported.recorded_time,
        )
