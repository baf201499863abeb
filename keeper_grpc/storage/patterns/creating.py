"""Creating the patterns that observations of a group begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgvector import Vector

from keeper_grpc.domain.evidence.priors import DEFAULT_PRIOR
from keeper_grpc.domain.observation import Observation
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.versions import open_scope


async def create_patterns(
    connection: Connection, created: Mapping[PatternKey, tuple[Observation, Position]]
) -> None:
    """Create patterns, worded as the observation that began each, where they lie.

    Within the caller's transaction, which owns their scopes; their totals are left to the caller.
    """
    if not created:
        return
    for scope in sorted({one.scope for one, _ in created.values()}, key=lambda each: each.scope_id):
        await open_scope(connection, scope)
    observations = [one for one, _ in created.values()]
    positions = [position for _, position in created.values()]
    sources = await _sources(connection, observations)
    await connection.execute(
        """
        WITH new AS (
            SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                                 $6::vector[], $7::float8[], $8::vector[], $9::float8[],
                                 $10::jsonb[], $11::text[], $12::timestamptz[], $13::uuid[],
                                 $18::bigint[])
                AS n (scope_id, id, pattern_type, business_category, model, sentence, sentence_weight,
                      action_vector, action_weight, context, action, discovered, worded_from, worded_scope_id)
        ), patterns AS (
            INSERT INTO network_patterns (
                id, scope_id, pattern_type, business_category, embedding_model, pattern_embedding,
                embedding_weight, context, action_template, first_discovered,
                prior_successes, prior_failures, prior_source, prior_patterns,
                cautious_successes, cautious_failures, worded_from, worded_from_scope_id)
            SELECT n.id, n.scope_id, n.pattern_type, n.business_category, n.model, n.sentence,
                   n.sentence_weight, n.context, n.action,
                   n.discovered, coalesce(l.successes, $14), coalesce(l.failures, $15),
                   coalesce(l.source, 'default'), coalesce(l.patterns, 0),
                   coalesce(l.cautious_successes, $16), coalesce(l.cautious_failures, $17),
                   n.worded_from, n.worded_scope_id
              FROM new n
              LEFT JOIN LATERAL (
                   SELECT * FROM learned_priors
                    WHERE pattern_type IN (n.pattern_type, '')
                      AND business_category IN (n.business_category, '')
                    ORDER BY pattern_type DESC, business_category DESC LIMIT 1) l ON true
        )
        INSERT INTO pattern_actions (scope_id, pattern_id, action_embedding, action_weight)
        SELECT scope_id, id, action_vector, action_weight FROM new
        """,
        [key.scope_id for key in created],
        [key.pattern_id for key in created],
        [one.scope.pattern_type for one in observations],
        [one.scope.business_category for one in observations],
        [one.scope.embedding_model for one in observations],
        [Vector(each.sentence) for each in positions],
        [each.sentence_weight for each in positions],
        [Vector(each.action) for each in positions],
        [each.action_weight for each in positions],
        [dict(one.insight.conditions) for one in observations],
        [one.insight.action for one in observations],
        [one.occurred_time for one in observations],
        [key and key.pattern_id for key in sources],
        DEFAULT_PRIOR.prior.successes,
        DEFAULT_PRIOR.prior.failures,
        DEFAULT_PRIOR.cautious.successes,
        DEFAULT_PRIOR.cautious.failures,
        [key and key.scope_id for key in sources],
    )


async def _sources(
    connection: Connection, observations: Sequence[Observation]
) -> list[PatternKey | None]:
    """For each observation the pattern in whose words it speaks, which may be of another scope; None: in its own."""
    reported = {one.enhancement_id: one for one in observations if one.enhancement_id is not None}
    if not reported:
        return [None] * len(observations)
    advised = await connection.fetch(
        """
        SELECT id, advised_scope_id, pattern_id FROM enhancements
         WHERE scope_id = ANY($1::bigint[]) AND id = ANY($2::uuid[]) AND pattern_id IS NOT NULL
        """,
        list({one.scope.scope_id for one in reported.values()}),
        list(reported),
    )
    patterns = await connection.fetch(
        """
        SELECT id, coalesce(worded_from_scope_id, scope_id) AS source_scope_id,
               coalesce(worded_from, id) AS source_id
          FROM network_patterns WHERE scope_id = ANY($1::bigint[]) AND id = ANY($2::uuid[])
        """,
        list({row["advised_scope_id"] for row in advised}),
        [row["pattern_id"] for row in advised],
    )
    source_of = {
        row["id"]: PatternKey(row["source_scope_id"], row["source_id"]) for row in patterns
    }
    by_question = {row["id"]: source_of.get(row["pattern_id"]) for row in advised}
    return [
        None if one.enhancement_id is None else by_question.get(one.enhancement_id)
        for one in observations
    ]
