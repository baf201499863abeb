"""Appending to the ledger, and counting what is appended."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg

from keeper_grpc.domain.errors import OutcomeAlreadyReported, RequestIdReused
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.fading import FAST, SLOW
from keeper_grpc.domain.insight import Outcome
from keeper_grpc.domain.observation import Disposition, Observation, Vectors
from keeper_grpc.domain.patterns.situation import facets
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.totals import refresh_evidence
from keeper_grpc.storage.insight_columns import OBSERVATIONS
from keeper_grpc.storage.patterns.words import MOST_WORDINGS, News
from keeper_grpc.storage.rows import insert_row


async def append_observation(
    connection: Connection,
    observation: Observation,
    counting: Counting,
    joined: Vectors | None = None,
) -> None:
    """Write one observation and count it into its pattern, script and situation.

    `joined` are its vectors where they are to turn the pattern's.

    Within the caller's transaction, which owns the pattern's scope. Raises RequestIdReused and
    OutcomeAlreadyReported.
    """
    if observation.pattern_id is not None:
        news = await _count(connection, observation, observation.pattern_id, counting.half_life)
        await refresh_evidence(
            connection,
            observation.pattern_id,
            counting.rule,
            occurred_time=observation.occurred_time,
            joined=joined,
            news=news,
        )
    await _write(connection, observation)


async def _write(connection: Connection, observation: Observation) -> None:
    row = OBSERVATIONS.values(observation.insight) | {
        "id": observation.observation_id,
        "account_key": observation.account_key,
        "request_id": observation.request_id,
        "fingerprint": observation.fingerprint,
        "disposition": observation.disposition.value,
        "pattern_id": observation.pattern_id,
        "enhancement_id": observation.enhancement_id,
        "instead_of": observation.instead_of,
        "similarity": observation.similarity,
        "embedding_model": observation.scope.embedding_model,
        "anonymization": {
            "masked": dict(observation.report.masked),
            "dropped": [[drop.field, drop.reason] for drop in observation.report.dropped],
        },
        "occurred_time": observation.occurred_time,
        "recorded_time": observation.recorded_time,
        **outcome_columns(observation.outcome),
    }
    try:
        await insert_row(connection, "observations", row)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name in {"observations_enhancement_id_key", "observations_question"}:
            raise OutcomeAlreadyReported from error
        # The same request_id was used in another scope while this one waited: another body.
        raise RequestIdReused from error


def outcome_columns(outcome: Outcome) -> dict[str, object]:
    """An outcome by column, for the ledger."""
    return {
        "success": outcome.success,
        "revenue_impact": outcome.revenue_impact,
        "customer_retained": outcome.customer_retained,
        "response_rate": outcome.response_rate,
        "cost": outcome.cost,
        "complained": outcome.complained,
        "unsubscribed": outcome.unsubscribed,
        "final": outcome.final,
    }


async def _count(
    connection: Connection, observation: Observation, pattern_id: UUID, half_life: timedelta
) -> News:
    """Add one outcome to the account's shares of the pattern, of its facets and of its script.

    Unless it is of a category that the account is no longer in: see usecases/accounts/update.py. One
    statement, because a round trip costs more than any of its parts.
    """
    insight, outcome = observation.insight, observation.outcome
    weight, fast, slow = (
        recency_weight(observation.occurred_time, span) for span in (half_life, FAST, SLOW)
    )
    (row,) = await connection.fetch(
        """
        WITH account AS (
            SELECT account_key FROM accounts
             WHERE account_key = $2 AND business_category = $11 FOR KEY SHARE
        ), pattern AS (
            INSERT INTO pattern_accounts AS a (
                pattern_id, account_key, occurrence_count, success_count, revenue_total,
                revenue_count, recent_trials, recent_successes,
                fast_trials, fast_successes, slow_trials, slow_successes)
            SELECT $1, account_key, 1, $3, $4, $5, $6, $7, $15, $16, $17, $18 FROM account
            ON CONFLICT (pattern_id, account_key) DO UPDATE
               SET occurrence_count = a.occurrence_count + 1,
                   success_count = a.success_count + excluded.success_count,
                   revenue_total = a.revenue_total + excluded.revenue_total,
                   revenue_count = a.revenue_count + excluded.revenue_count,
                   recent_trials = a.recent_trials + excluded.recent_trials,
                   recent_successes = a.recent_successes + excluded.recent_successes,
                   fast_trials = a.fast_trials + excluded.fast_trials,
                   fast_successes = a.fast_successes + excluded.fast_successes,
                   slow_trials = a.slow_trials + excluded.slow_trials,
                   slow_successes = a.slow_successes + excluded.slow_successes
        ), facets AS (
            INSERT INTO pattern_facets AS f (
                pattern_id, facet, account_key, occurrence_count, success_count,
                recent_trials, recent_successes)
            SELECT $1, facet, account_key, 1, $3, $6, $7 FROM account, unnest($8::text[]) AS facet
            ON CONFLICT (pattern_id, facet, account_key) DO UPDATE
               SET occurrence_count = f.occurrence_count + 1,
                   success_count = f.success_count + excluded.success_count,
                   recent_trials = f.recent_trials + excluded.recent_trials,
                   recent_successes = f.recent_successes + excluded.recent_successes
            RETURNING facet, occurrence_count = 1 AS new
        ), wording AS (
            INSERT INTO pattern_wordings (pattern_id, account_key, action_hash, action)
            SELECT $1, account_key, sha256(convert_to($12::text, 'UTF8')), $12 FROM account
             WHERE $13::boolean AND $14::bigint > (SELECT count(*) FROM pattern_wordings
                                   WHERE pattern_id = $1 AND account_key = $2)
            ON CONFLICT DO NOTHING RETURNING true
        ), script AS (
            INSERT INTO pattern_scripts AS s (id, pattern_id, template, template_hash)
            SELECT $9, $1, $10::text, sha256(convert_to($10::text, 'UTF8')) FROM account
             WHERE $10::text <> ''
            ON CONFLICT (pattern_id, template_hash) DO UPDATE SET template = s.template
            RETURNING id
        ), script_share AS (
            INSERT INTO script_accounts AS a (
                script_id, account_key, occurrence_count, success_count,
                recent_trials, recent_successes)
            SELECT script.id, account_key, 1, $3, $6, $7 FROM account, script
            ON CONFLICT (script_id, account_key) DO UPDATE
               SET occurrence_count = a.occurrence_count + 1,
                   success_count = a.success_count + excluded.success_count,
                   recent_trials = a.recent_trials + excluded.recent_trials,
                   recent_successes = a.recent_successes + excluded.recent_successes
        )
        SELECT EXISTS (SELECT FROM wording) AS wording,
               ARRAY (SELECT facet FROM facets WHERE new) AS facets
        """,
        pattern_id,
        observation.account_key,
        int(outcome.success),
        outcome.net_revenue or 0.0,
        int(outcome.net_revenue is not None),
        weight,
        weight * outcome.success,
        facets(insight.conditions),
        uuid4(),
        insight.script,
        observation.scope.business_category,
        insight.action,
        observation.disposition is not Disposition.REPORTED,
        MOST_WORDINGS,
        fast,
        fast * outcome.success,
        slow,
        slow * outcome.success,
    )
    return News(row["wording"], row["facets"])
