"""Reading the patterns that have a trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from keeper_grpc.domain.authored.suggestions import StoredTrigger
from keeper_grpc.domain.patterns.pattern import Pattern
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.patterns.rows import CLAIM, scripts_of, to_pattern

_WITHOUT = f"""
    SELECT p.id, p.pattern_type, p.business_category, p.embedding_model, p.context,
           p.action_template, p.prior_successes, p.prior_failures,
           p.catalog_key IS NOT NULL AS authored, p.first_discovered, p.last_validated,
           {CLAIM},
           p.occurrence_count - coalesce(own.occurrence_count, 0)   AS occurrence_count,
           p.success_count - coalesce(own.success_count, 0)         AS success_count,
           p.account_count - (own.account_key IS NOT NULL)::integer AS account_count,
           p.revenue_total - coalesce(own.revenue_total, 0)         AS revenue_total,
           p.revenue_count - coalesce(own.revenue_count, 0)         AS revenue_count,
           (SELECT coalesce(max(a.occurrence_count), 0) FROM pattern_accounts a
             WHERE a.pattern_id = p.id AND a.account_key <> $2) AS largest_account_occurrences
      FROM network_patterns p
      LEFT JOIN pattern_accounts own ON own.pattern_id = p.id AND own.account_key = $2
     WHERE p.id = ANY($1::uuid[])
"""  # noqa: S608 - only a constant is interpolated


class PostgresMoves:
    """The tables of usecases/advice/suggest.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def triggers(
        self, business_category: str, embedding_model: str
    ) -> Sequence[StoredTrigger]:
        """The triggers of a category's patterns in one embedding model's space."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT id, trigger FROM network_patterns
                 WHERE business_category = $1 AND embedding_model = $2 AND trigger IS NOT NULL
                """,
                business_category,
                embedding_model,
            )
        return [StoredTrigger(row["id"], row["trigger"]) for row in rows]

    async def patterns_without(
        self, account_key: str, pattern_ids: Sequence[UUID]
    ) -> Mapping[UUID, Pattern]:
        """These patterns, as far as they exist, without this account's own evidence."""
        if not pattern_ids:
            return {}
        async with self._database.transaction(read_only=True) as connection:
            rows = await connection.fetch(_WITHOUT, list(pattern_ids), account_key)
            scripts = await scripts_of(connection, [row["id"] for row in rows], account_key)
        return {row["id"]: to_pattern(row, scripts.get(row["id"], [])) for row in rows}
