"""Writing the catalog's patterns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from keeper_grpc.domain.evidence.priors import Source
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import AuthoredPattern, PatternKey, Scope, Seeded
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.totals import Change, refresh_evidence
from keeper_grpc.storage.locks import lock_searched_scope
from keeper_grpc.storage.patterns.centres import place_action
from keeper_grpc.storage.patterns.versions import open_scope, touch

_NO_CLAIM = "DELETE FROM authored_claims WHERE scope_id = $1 AND pattern_id = $2"

_NO_AUTHORED_SCRIPT = (
    "UPDATE pattern_scripts SET authored = false WHERE scope_id = $1 AND pattern_id = $2"
)


class PostgresAuthored:
    """Authored patterns, one row for each key, category and embedding model."""

    def __init__(self, database: Database, rule: PublicationRule) -> None:
        self._database = database
        self._rule = rule

    async def has_seeded(self, catalog_version: int, embedding_model: str) -> bool:
        """Whether this version of the catalog, or a later one, was seeded for this model."""
        async with self._database.connection() as connection:
            found = await connection.fetchval(
                """
                SELECT EXISTS (SELECT 1 FROM seeded_catalogs
                                WHERE embedding_model = $1 AND catalog_version >= $2)
                """,
                embedding_model,
                catalog_version,
            )
        return bool(found)

    async def record_seeded(
        self, catalog_version: int, embedding_model: str, now: datetime
    ) -> None:
        """Remember that the whole catalog of this version is there."""
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO seeded_catalogs VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                embedding_model,
                catalog_version,
                now,
            )

    async def seed(
        self,
        pattern_id: UUID,
        pattern: AuthoredPattern,
        embedding_model: str,
        vectors: Vectors,
        now: datetime,
    ) -> Seeded:
        """Add it, or replace a lower version of it, keeping the evidence it has gathered.

        A pattern with observations keeps its vectors too: they are where its observations are. What
        accounts observed of an action that the key meant before `action_since` stays with that action.
        """
        prior = pattern.claim.prior()
        async with self._database.transaction() as connection:
            # Without it a capture would see no pattern here, and create another beside this one.
            scope = Scope(pattern.pattern_type, pattern.business_category, embedding_model)
            await lock_searched_scope(connection, scope)
            await open_scope(connection, scope)
            released = await self._release(connection, scope, pattern)
            row = await connection.fetchrow(
                """
                INSERT INTO network_patterns AS p (
                    id, pattern_type, business_category, embedding_model, pattern_embedding,
                    context, action_template, prior_successes, prior_failures, prior_source,
                    catalog_key, catalog_version, first_discovered, created_at, trigger, scope_id)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $14, $10, $11, $12, $12, $13, $15)
                ON CONFLICT (scope_id, catalog_key, embedding_model)
                      WHERE catalog_key IS NOT NULL
                DO UPDATE SET
                    context = excluded.context, action_template = excluded.action_template,
                    prior_successes = excluded.prior_successes,
                    prior_failures = excluded.prior_failures,
                    prior_source = excluded.prior_source,
                    catalog_version = excluded.catalog_version,
                    trigger = excluded.trigger,
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
                prior.successes,
                prior.failures,
                pattern.key,
                pattern.version,
                now,
                pattern.trigger.text,
                (Source.DEFAULT if pattern.claim.success_rate is None else Source.AUTHOR).value,
                scope.scope_id,
            )
            if row is None:
                return Seeded.UNCHANGED
            key = PatternKey(scope.scope_id, row["id"])
            if row["occurrence_count"] == 0:
                await place_action(connection, key, vectors.action)
            await self._author_scripts(connection, key, pattern.scripts)
            await self._author_claim(connection, key, pattern.claim)
            await refresh_evidence(connection, {key: Change()}, self._rule)
            await touch(connection, [key, *released])
        return Seeded.ADDED if row["id"] == pattern_id else Seeded.UPGRADED

    async def _release(
        self, connection: Connection, scope: Scope, pattern: AuthoredPattern
    ) -> Sequence[PatternKey]:
        """Make an observed pattern of an earlier action one of its accounts', no longer the catalog's; it, if any."""
        released = await connection.fetchval(
            """
            UPDATE network_patterns
               SET catalog_key = NULL, catalog_version = NULL, trigger = NULL,
                   prior_successes = DEFAULT, prior_failures = DEFAULT,
                   prior_source = DEFAULT, prior_patterns = DEFAULT,
                   cautious_successes = DEFAULT, cautious_failures = DEFAULT
             WHERE scope_id = $1 AND catalog_key = $2 AND embedding_model = $3
               AND catalog_version < $4 AND occurrence_count > 0
            RETURNING id
            """,
            scope.scope_id,
            pattern.key,
            scope.embedding_model,
            pattern.action_since,
        )
        if released is None:
            return []
        key = PatternKey(scope.scope_id, released)
        await connection.execute(_NO_CLAIM, *key)
        await connection.execute(_NO_AUTHORED_SCRIPT, *key)
        await refresh_evidence(connection, {key: Change()}, self._rule)
        return [key]

    async def _author_claim(self, connection: Connection, key: PatternKey, claim: Claim) -> None:
        """Make these the pattern's claims."""
        await connection.execute(_NO_CLAIM, *key)
        await connection.execute(
            """
            INSERT INTO authored_claims (
                scope_id, pattern_id, follow_up_action, success_rate, learned_from,
                monthly_revenue_dollars, adoption_rate, rating_improvement, improvement_factor,
                improvement_days, reason, guardrails)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            """,
            *key,
            claim.follow_up_action,
            claim.success_rate,
            claim.learned_from,
            claim.monthly_revenue_dollars,
            claim.adoption_rate,
            claim.rating_improvement,
            claim.improvement_factor,
            claim.improvement_days,
            claim.reason,
            list(claim.guardrails),
        )

    async def _author_scripts(
        self, connection: Connection, key: PatternKey, scripts: Sequence[str]
    ) -> None:
        """Make these the pattern's authored scripts. What accounts used keeps its evidence."""
        await connection.execute(_NO_AUTHORED_SCRIPT, *key)
        await connection.execute(
            """
            INSERT INTO pattern_scripts (id, scope_id, pattern_id, template, template_hash, authored)
            SELECT s.id, $1, $2, s.template, s.template_hash, true
              FROM unnest($3::uuid[], $4::text[], $5::bytea[]) AS s (id, template, template_hash)
            ON CONFLICT (scope_id, pattern_id, template_hash) DO UPDATE SET authored = true
            """,
            *key,
            [uuid4() for _ in scripts],
            list(scripts),
            [hashlib.sha256(script.encode()).digest() for script in scripts],
        )
