"""Writing the catalog's patterns."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID, uuid4

from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.pattern import AuthoredPattern, Scope, Seeded
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.totals import refresh_evidence
from keeper_grpc.storage.patterns.centres import place_action
from keeper_grpc.storage.scope_lock import lock_scope


class PostgresAuthored:
    """Authored patterns, one row for each key, category and embedding model."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seed(
        self,
        pattern_id: UUID,
        pattern: AuthoredPattern,
        embedding_model: str,
        vectors: Vectors,
        now: datetime,
    ) -> Seeded:
        """Add it, or replace a lower version of it, keeping the evidence it has gathered.

        A pattern with observations keeps its vectors too: they are where its observations are.
        """
        async with self._database.transaction() as connection:
            # Without it a capture would see no pattern here, and create another beside this one.
            await lock_scope(
                connection,
                Scope(pattern.pattern_type, pattern.business_category, embedding_model),
            )
            row = await connection.fetchrow(
                """
                INSERT INTO network_patterns AS p (
                    id, pattern_type, business_category, embedding_model, pattern_embedding,
                    context, action_template, prior_successes, prior_failures, catalog_key,
                    catalog_version, first_discovered, created_at, trigger, learned_from)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)
                ON CONFLICT (catalog_key, business_category, embedding_model)
                      WHERE catalog_key IS NOT NULL
                DO UPDATE SET
                    context = excluded.context, action_template = excluded.action_template,
                    prior_successes = excluded.prior_successes,
                    prior_failures = excluded.prior_failures,
                    catalog_version = excluded.catalog_version,
                    trigger = excluded.trigger, learned_from = excluded.learned_from,
                    pattern_embedding = CASE WHEN p.occurrence_count = 0
                        THEN excluded.pattern_embedding ELSE p.pattern_embedding END
                -- A row without trigger was seeded before there were any.
                WHERE (p.catalog_version, p.trigger IS NOT NULL) < (excluded.catalog_version, true)
                RETURNING id, occurrence_count
                """,
                pattern_id,
                pattern.pattern_type,
                pattern.business_category,
                embedding_model,
                vectors.sentence,
                pattern.conditions,
                pattern.action,
                pattern.prior.successes,
                pattern.prior.failures,
                pattern.key,
                pattern.version,
                now,
                pattern.trigger.text,
                pattern.learned_from,
            )
            if row is None:
                return Seeded.UNCHANGED
            if row["occurrence_count"] == 0:
                await place_action(connection, row["id"], vectors.action)
            await self._author_script(connection, row["id"], pattern.script)
            await refresh_evidence(connection, row["id"])
        return Seeded.ADDED if row["id"] == pattern_id else Seeded.UPGRADED

    async def _author_script(self, connection: Connection, pattern_id: UUID, script: str) -> None:
        """Make this the pattern's one authored script. What accounts used keeps its evidence."""
        template_hash = hashlib.sha256(script.encode()).digest()
        await connection.execute(
            "UPDATE pattern_scripts SET authored = false WHERE pattern_id = $1", pattern_id
        )
        await connection.execute(
            """
            INSERT INTO pattern_scripts (id, pattern_id, template, template_hash, authored)
            VALUES ($1, $2, $3, $4, true)
            ON CONFLICT (pattern_id, template_hash) DO UPDATE SET authored = true
            """,
            uuid4(),
            pattern_id,
            script,
            template_hash,
        )
