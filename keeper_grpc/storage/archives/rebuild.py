"""Recounting everything from the ledger and from what was archived of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.recounting import Recounted
from keeper_grpc.domain.evidence.sums import PatternSums
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.storage.archives.files import PostgresArchiveFiles
from keeper_grpc.storage.archives.parts import Parts, add_parts, add_row, drop_parts, net_revenue
from keeper_grpc.storage.archives.rows import IMPLIED, QUESTION, STORED, Row
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.ledger_sums import add_rows
from keeper_grpc.storage.evidence.rebuild import MEASURES_TIMEOUT, PostgresRebuild
from keeper_grpc.storage.evidence.recount import replace_evidence
from keeper_grpc.storage.patterns.keys import by_column
from keeper_grpc.storage.patterns.own import own_patterns
from keeper_grpc.storage.patterns.versions import touch
from keeper_grpc.storage.rows import insert_rows

_TYPES = {
    **STORED,
    "account_key": "text",
    "net_revenue": "float8",
    "final": "boolean",
    "counted": "boolean",
}

_BOTH = "(SELECT * FROM observations UNION ALL SELECT * FROM archived_observations)"


class ArchivesNeeded(OperatorError):
    """The evidence cannot be counted with another half-life without the archived observations."""

    def __init__(self, observations: int) -> None:
        super().__init__(
            f"{observations} observations are archived, and a new half-life is counted from every one: "
            "name their directory, keeper rebuild --archives DIR"
        )


async def check_archives_needed(database: Database, counting: Counting) -> None:
    """Raise ArchivesNeeded where sums of what was archived are of another half-life than this one."""
    async with database.connection() as connection:
        archived: int = await connection.fetchval(
            """
            SELECT coalesce(sum(p.observations), 0)::bigint FROM archived_parts p
             WHERE EXISTS (SELECT 1 FROM evidence_settings e WHERE e.half_life IS DISTINCT FROM $1)
            """,
            counting.half_life,
        )
    if archived:
        raise ArchivesNeeded(archived)


class ArchivedRebuild(PostgresRebuild):
    """The counts as a whole, also of what is in archives; see usecases/evidence/rebuild.py for what is promised."""

    def __init__(self, database: Database, connection: Connection) -> None:
        super().__init__(database)
        self._connection = connection

    async def recount(self, keys: Sequence[PatternKey], counting: Counting) -> Recounted:
        connection = self._connection
        async with connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = 0")
            there = await own_patterns(connection, keys)
            await drop_parts(connection, there)
            await add_parts(connection, await self._parts(there, counting.half_life))
            sums = {key: PatternSums() for key in there}
            await add_rows(
                connection, sums, counting.half_life, rows=_BOTH, draws="pg_temp.all_draws"
            )
            observations = await replace_evidence(connection, sums, counting)
            await touch(connection, there)
        return Recounted(len(there), observations)

    async def _parts(self, keys: Sequence[PatternKey], half_life: timedelta) -> Parts:
        parts: Parts = {}
        async for row in self._connection.cursor(
            """
            SELECT o.*, d.inverse, d.expected FROM archived_observations o
              LEFT JOIN pg_temp.all_draws d ON d.scope_id = o.scope_id AND d.enhancement_id = o.enhancement_id
             WHERE o.scope_id = ANY($1::bigint[]) AND o.pattern_id = ANY($2::uuid[])
             ORDER BY o.recorded_time, o.id
            """,
            *by_column(keys),
            prefetch=1000,
        ):
            key = PatternKey(row["scope_id"], row["pattern_id"])
            add_row(parts, row["account_key"], key, dict(row), half_life)
        return parts

    async def recount_measures(self) -> int:
        async with self._connection.transaction():
            await self._connection.execute("SET LOCAL statement_timeout = 0")
            wrong: int = await self._connection.fetchval(_WRONG_DAYS, timeout=MEASURES_TIMEOUT)
            await self._connection.execute("DELETE FROM archived_days", timeout=MEASURES_TIMEOUT)
            await self._connection.execute(
                "INSERT INTO archived_days SELECT * FROM pg_temp.days", timeout=MEASURES_TIMEOUT
            )
        return wrong + await super().recount_measures()


_DAYS = """
    CREATE TEMPORARY VIEW days AS
    SELECT o.account_key, o.business_category, o.measured_day,
           (o.occurred_time AT TIME ZONE 'UTC')::date AS occurred_day,
           (o.recorded_time AT TIME ZONE 'UTC')::date AS recorded_day,
           a.qualified AND a.business_category = o.business_category AS measured, count(*) AS observations,
           min(o.occurred_time) FILTER (WHERE o.success) AS first_success_time,
           sum(m.advised_outcomes) AS advised_outcomes, sum(m.advised_successes) AS advised_successes,
           sum(m.advised_measured) AS advised_measured, sum(m.advised_revenue) AS advised_revenue,
           sum(m.advised_retention_known) AS advised_retention_known, sum(m.advised_retained) AS advised_retained,
           sum(m.held_out_outcomes) AS held_out_outcomes, sum(m.held_out_successes) AS held_out_successes,
           sum(m.held_out_retention_known) AS held_out_retention_known, sum(m.held_out_retained) AS held_out_retained
      FROM archived_observations o JOIN accounts a USING (account_key)
      LEFT JOIN archived_enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
     CROSS JOIN LATERAL observation_measures(
           o.success, o.net_revenue, o.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     GROUP BY 1, 2, 3, 4, 5, 6
"""

_DRAWS = """
    CREATE TEMPORARY VIEW all_draws AS
    SELECT scope_id, enhancement_id, inverse, expected FROM drawn_scripts
    UNION ALL
    SELECT scope_id, id, 1 / script_propensity, expected_success_rate FROM archived_enhancements
     WHERE script_propensity > 0 AND script_propensity < 1 AND NOT holdout AND advised_category = business_category
"""
"""drawn_scripts, also of archived questions."""

_ADD_QUESTIONS = """
    INSERT INTO archived_enhancements
    SELECT q.* FROM jsonb_array_elements($1::jsonb) j
     CROSS JOIN LATERAL jsonb_populate_record(NULL::pg_temp.archived_enhancements, j) q
"""

_WRONG_DAYS = """
    SELECT count(DISTINCT (account_key, measured_day)) FROM (
        (SELECT * FROM pg_temp.days EXCEPT SELECT * FROM archived_days)
        UNION ALL (SELECT * FROM archived_days EXCEPT SELECT * FROM pg_temp.days)) d
"""


@asynccontextmanager
async def loaded(
    database: Database, groups: Iterable[Sequence[Row]]
) -> AsyncIterator[ArchivedRebuild]:
    """The archived observations beside the ledger, until the block ends: those of accounts that are not forgotten."""
    subjects = await PostgresArchiveFiles(database).subjects()
    async with database.connection() as connection:
        try:
            await connection.execute(
                "CREATE TEMPORARY TABLE archived_observations AS SELECT * FROM observations WITH NO DATA"
            )
            await connection.execute(
                "CREATE TEMPORARY TABLE archived_enhancements AS SELECT * FROM enhancements WITH NO DATA"
            )
            merged = {
                row["pattern_id"]: row["into_id"]
                for row in await connection.fetch("SELECT pattern_id, into_id FROM merged_patterns")
            }
            for group in groups:
                rows = [_to_observation(row, subjects, merged) for row in group]
                await insert_rows(
                    connection,
                    "archived_observations",
                    _TYPES,
                    [row for row in rows if row is not None],
                )
                await connection.execute(
                    _ADD_QUESTIONS, [row[QUESTION] for row in group if row[QUESTION] is not None]
                )
            await connection.execute(
                "CREATE INDEX ON archived_observations (scope_id, pattern_id)",
                timeout=MEASURES_TIMEOUT,
            )
            await connection.execute(
                "CREATE INDEX ON archived_enhancements (scope_id, id)", timeout=MEASURES_TIMEOUT
            )
            await connection.execute("ANALYZE archived_observations")
            await connection.execute("ANALYZE archived_enhancements")
            await connection.execute(_DAYS)
            await connection.execute(_DRAWS)
            yield ArchivedRebuild(database, connection)
        finally:
            if not connection.is_closed():
                await connection.execute(
                    "DROP TABLE IF EXISTS archived_observations, archived_enhancements CASCADE"
                )


def _to_observation(
    row: Row, subjects: Mapping[UUID, str], merged: Mapping[UUID, UUID]
) -> Mapping[str, object] | None:
    """As the ledger had it; None of a forgotten account. Its pattern may have gone into another one since."""
    account_key = subjects.get(row["subject"])
    if account_key is None:
        return None
    return {
        **{column: value for column, value in row.items() if column != QUESTION},
        **IMPLIED,
        "account_key": account_key,
        "pattern_id": merged.get(row["pattern_id"], row["pattern_id"]),
        "net_revenue": net_revenue(row),
    }
