"""Reading patterns: one, or a page of them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from keeper_grpc.domain.history import WeekShare
from keeper_grpc.domain.listing import Cursor, PatternFilter
from keeper_grpc.domain.pattern import Pattern
from keeper_grpc.domain.publication import PublicationRule
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.pattern_rows import COLUMNS, fetch_pattern, scripts_of, to_pattern

# Evidence that may not be shown counts as none, or the order and the filter would tell it.
_LIST = f"""
    WITH listed AS (
        SELECT {COLUMNS},
               CASE WHEN shown THEN p.confidence_score ELSE 0 END AS listed_score
          FROM (SELECT q.*, q.account_count >= $4
                            AND q.largest_account_occurrences * 2 <= q.occurrence_count AS shown
                  FROM network_patterns q
                 WHERE ($1 = '' OR q.pattern_type = $1)
                   AND ($2 = '' OR q.business_category = $2)) p
         WHERE (shown OR p.catalog_key IS NOT NULL)
           AND CASE WHEN shown THEN p.success_rate ELSE 0 END >= $3
    )
    SELECT * FROM listed
     WHERE $5::double precision IS NULL OR (-listed_score, id) > (-$5::double precision, $6::uuid)
     ORDER BY -listed_score, id LIMIT $7
"""  # noqa: S608 - only a constant is interpolated


class PostgresPatterns:
    """Patterns, for reading."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_pattern(self, pattern_id: UUID) -> Pattern | None:
        """One pattern with all its evidence, published or not."""
        async with self._database.transaction(read_only=True) as connection:
            return await fetch_pattern(connection, pattern_id)

    async def find_history(self, pattern_id: UUID) -> tuple[Pattern, Sequence[WeekShare]] | None:
        """One pattern, and by account and week what its evidence consists of."""
        async with self._database.transaction(read_only=True) as connection:
            pattern = await fetch_pattern(connection, pattern_id)
            if pattern is None:
                return None
            rows = await connection.fetch(
                """
                SELECT date_trunc('week', occurred_time, 'UTC') AS week, account_key,
                       count(*) AS trials, count(*) FILTER (WHERE success) AS successes
                  FROM observations WHERE pattern_id = $1 GROUP BY 1, 2
                """,
                pattern_id,
            )
        return pattern, [WeekShare(*row) for row in rows]

    async def list_patterns(
        self, where: PatternFilter, rule: PublicationRule, after: Cursor | None, limit: int
    ) -> Sequence[Pattern]:
        """Published or authored patterns in listing order: lower bound descending, then id."""
        async with self._database.transaction(read_only=True) as connection:
            rows = await connection.fetch(
                _LIST,
                where.pattern_type,
                where.business_category,
                where.min_success_rate,
                rule.k,
                after.lower_bound if after else None,
                after.pattern_id if after else None,
                limit,
            )
            scripts = await scripts_of(connection, [row["id"] for row in rows])
        return [to_pattern(row, scripts.get(row["id"], [])) for row in rows]
