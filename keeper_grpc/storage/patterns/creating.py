"""Creating the patterns that observations of a group begin."""

from __future__ import annotations

from collections.abc import Mapping

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
    await connection.execute(
        """
        WITH new AS (
            SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                                 $6::vector[], $7::float8[], $8::vector[], $9::float8[],
                                 $10::jsonb[], $11::text[], $12::timestamptz[], $13::uuid[])
                AS n (scope_id, id, pattern_type, business_category, model, sentence, sentence_weight,
                      action_vector, action_weight, context, action, discovered, enhancement_id)
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
                   advised.id, advised.scope_id
              FROM new n
              LEFT JOIN LATERAL (
                   SELECT coalesce(p.worded_from, p.id) AS id,
                          coalesce(p.worded_from_scope_id, p.scope_id) AS scope_id
                     FROM enhancements e JOIN network_patterns p
                       ON p.scope_id = e.advised_scope_id AND p.id = e.pattern_id
                    WHERE e.scope_id = n.scope_id AND e.id = n.enhancement_id) advised ON true
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
        [one.enhancement_id for one in observations],
        DEFAULT_PRIOR.prior.successes,
        DEFAULT_PRIOR.prior.failures,
        DEFAULT_PRIOR.cautious.successes,
        DEFAULT_PRIOR.cautious.failures,
    )
