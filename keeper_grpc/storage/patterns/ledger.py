"""Appending to the ledger, and counting what is appended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

import asyncpg

from keeper_grpc.domain.errors import OutcomeAlreadyReported, RequestIdReused
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.fading import FAST, SLOW
from keeper_grpc.domain.evidence.guardrails import HARM_HALF_LIFE, OwnHarms
from keeper_grpc.domain.evidence.steps import EXACT, due
from keeper_grpc.domain.insight import AnonymizedInsight, Outcome
from keeper_grpc.domain.observation import Disposition, Observation, Revision, Vectors
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.situation import facets
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.totals import refresh_evidence
from keeper_grpc.storage.insight_columns import OBSERVATIONS
from keeper_grpc.storage.metrics.experiment import count_in_experiment
from keeper_grpc.storage.patterns.versions import touch
from keeper_grpc.storage.patterns.words import MOST_WORDINGS, News
from keeper_grpc.storage.rows import insert_row

if TYPE_CHECKING:
    from asyncpg import Record


async def append_observation(
    connection: Connection,
    observation: Observation,
    counting: Counting,
    joined: Vectors | None = None,
) -> None:
    """Write one observation, and count it into its pattern, script and situation with those that wait for it.

    It may have to wait itself (domain/evidence/steps.py), there and in the experiment. `joined` are its vectors where
    they are to turn the pattern's, which they do at once.

    Within the caller's transaction, which owns the pattern's scope. Raises RequestIdReused and
    OutcomeAlreadyReported.
    """
    counted, key = True, observation.pattern_key
    if key is not None:
        counted = await count_in_steps(
            connection, CountedOutcome.of(observation), key, counting, joined
        )
    await _write(connection, observation, counted=counted)
    if observation.enhancement_id or observation.instead_of:
        await count_in_experiment(connection, observation.account_key, counting.step)
    if key is not None and (counted or joined):
        await touch(connection, [key])


@dataclass(frozen=True, slots=True)
class CountedOutcome:
    """What is counted of an observation. The words of a report, which are the network's, are not `own_words`."""

    account_key: str
    business_category: str
    insight: AnonymizedInsight
    success: bool
    net_revenue: float | None
    costed: bool
    complained: bool | None
    unsubscribed: bool | None
    occurred_time: datetime
    own_words: bool
    enhancement_id: UUID | None
    final: bool

    @classmethod
    def of(cls, observation: Observation) -> Self:
        """Of one that is about to be written."""
        return cls(
            account_key=observation.account_key,
            business_category=observation.scope.business_category,
            insight=observation.insight,
            success=observation.outcome.success,
            net_revenue=observation.outcome.net_revenue,
            costed=observation.outcome.cost is not None,
            complained=observation.outcome.complained,
            unsubscribed=observation.outcome.unsubscribed,
            occurred_time=observation.occurred_time,
            own_words=observation.disposition is not Disposition.REPORTED,
            enhancement_id=observation.enhancement_id,
            final=observation.outcome.final,
        )

    @classmethod
    def read(cls, row: Record | Mapping[str, Any]) -> Self:
        """Of one of the ledger."""
        return cls(
            account_key=row["account_key"],
            business_category=row["business_category"],
            insight=OBSERVATIONS.read(row),
            success=row["success"],
            net_revenue=row["net_revenue"],
            costed=row["cost"] is not None,
            complained=row["complained"],
            unsubscribed=row["unsubscribed"],
            occurred_time=row["occurred_time"],
            own_words=row["disposition"] != Disposition.REPORTED.value,
            enhancement_id=row["enhancement_id"],
            final=row["final"],
        )


async def count_in_steps(
    connection: Connection,
    outcome: CountedOutcome,
    key: PatternKey,
    counting: Counting,
    joined: Vectors | None = None,
) -> bool:
    """Count the outcome, which is not among them yet, and those of its account that wait, if a step is full.

    Returns whether it was. An interim outcome waits for the one that takes its place: the change from one to the
    other would tell both. The caller notes the change of the pattern.
    """
    waiting = await _waiting(connection, outcome, key)
    counted: int = await connection.fetchval(
        """
        SELECT coalesce(sum(occurrence_count), 0)::integer FROM pattern_accounts
         WHERE scope_id = $1 AND pattern_id = $2 AND account_key = $3
        """,
        *key,
        outcome.account_key,
    )
    waits = counting.step != EXACT and not outcome.final
    full = not waits and due(counted + len(waiting) + 1, counting.step)
    batch = [*waiting.values(), outcome] if full else []
    news = [await _count(connection, each, key, counting.half_life) for each in batch]
    if waiting and full:
        await connection.execute(
            """
            UPDATE observations SET counted = true
             WHERE scope_id = $1 AND id = ANY($2::uuid[])
            """,
            key.scope_id,
            list(waiting),
        )
    if batch or joined:
        await refresh_evidence(
            connection,
            key,
            counting.rule,
            occurred_times=[each.occurred_time for each in batch],
            joined=joined,
            news=News(
                any(each.wording for each in news),
                [facet for each in news for facet in each.facets],
            ),
        )
    return full


async def _waiting(
    connection: Connection, outcome: CountedOutcome, key: PatternKey
) -> Mapping[UUID, CountedOutcome]:
    """The account's outcomes of the pattern that do not count yet, by id, the oldest first."""
    rows = await connection.fetch(
        f"""
        SELECT {OBSERVATIONS.names}, id, account_key, success, net_revenue, cost, complained, unsubscribed,
               occurred_time, disposition, enhancement_id, final
          FROM observations
         WHERE scope_id = $1 AND pattern_id = $2 AND account_key = $3 AND NOT counted AND final
         ORDER BY recorded_time, id
        """,  # noqa: S608 - only constants are interpolated
        *key,
        outcome.account_key,
    )
    return {row["id"]: CountedOutcome.read(row) for row in rows}


async def _write(connection: Connection, observation: Observation, *, counted: bool) -> None:
    row = OBSERVATIONS.values(observation.insight) | {
        "id": observation.observation_id,
        "scope_id": observation.scope.scope_id,
        "account_key": observation.account_key,
        "disposition": observation.disposition.value,
        "pattern_id": observation.pattern_id,
        "counted": counted,
        "enhancement_id": observation.enhancement_id,
        "instead_of": observation.instead_of,
        "compared": False if observation.enhancement_id or observation.instead_of else None,
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
    await record_request(connection, observation, observation.scope.scope_id)
    if (enhancement_id := observation.enhancement_id or observation.instead_of) is not None:
        await _claim_outcome(connection, enhancement_id, observation.observation_id)
    await insert_row(connection, "observations", row)


async def record_request(
    connection: Connection, recorded: Observation | Revision, scope_id: int
) -> None:
    """Remember what a request recorded or revised. Raises RequestIdReused."""
    row = {
        "account_key": recorded.account_key,
        "request_id": recorded.request_id,
        "fingerprint": recorded.fingerprint,
        "scope_id": scope_id,
        "observation_id": recorded.observation_id,
        "revises": isinstance(recorded, Revision),
    }
    try:
        await insert_row(connection, "outcome_requests", row)
    except asyncpg.UniqueViolationError as error:
        # The same request_id was used in another scope while this one waited: another body.
        raise RequestIdReused from error


async def _claim_outcome(
    connection: Connection, enhancement_id: UUID, observation_id: UUID
) -> None:
    """Let this be the one outcome of an enhancement, which may be of another scope. Raises OutcomeAlreadyReported."""
    try:
        await connection.execute(
            """
            INSERT INTO enhancement_outcomes (scope_id, enhancement_id, observation_id)
            SELECT scope_id, id, $2 FROM enhancements WHERE id = $1
            """,
            enhancement_id,
            observation_id,
        )
    except asyncpg.UniqueViolationError as error:
        raise OutcomeAlreadyReported from error


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
    connection: Connection, outcome: CountedOutcome, key: PatternKey, half_life: timedelta
) -> News:
    """Add one outcome to the account's shares of the pattern, of its harm, of its facets and of its script.

    Unless it is of a category that the account is no longer in: see usecases/accounts/update.py. One
    statement, because a round trip costs more than any of its parts.
    """
    insight = outcome.insight
    weight, fast, slow = (
        recency_weight(outcome.occurred_time, span) for span in (half_life, FAST, SLOW)
    )
    harms = OwnHarms().after(
        outcome.complained,
        outcome.unsubscribed,
        outcome.net_revenue if outcome.costed else None,
        recency_weight(outcome.occurred_time, HARM_HALF_LIFE),
    )
    (row,) = await connection.fetch(
        """
        WITH account AS (
            SELECT account_key FROM accounts
             WHERE account_key = $2 AND business_category = $11 FOR KEY SHARE
        ), pattern AS (
            INSERT INTO pattern_accounts AS a (
                scope_id, pattern_id, account_key, occurrence_count, success_count, revenue_total,
                revenue_count, recent_trials, recent_successes,
                fast_trials, fast_successes, slow_trials, slow_successes)
            SELECT $26, $1, account_key, 1, $3, $4, $5, $6, $7, $15, $16, $17, $18 FROM account
            ON CONFLICT (scope_id, pattern_id, account_key) DO UPDATE
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
                scope_id, pattern_id, facet, account_key, occurrence_count, success_count,
                recent_trials, recent_successes)
            SELECT $26, $1, facet, account_key, 1, $3, $6, $7
              FROM account, unnest($8::text[]) AS facet
            ON CONFLICT (scope_id, pattern_id, facet, account_key) DO UPDATE
               SET occurrence_count = f.occurrence_count + 1,
                   success_count = f.success_count + excluded.success_count,
                   recent_trials = f.recent_trials + excluded.recent_trials,
                   recent_successes = f.recent_successes + excluded.recent_successes
            RETURNING facet, occurrence_count = 1 AS new
        ), harms AS (
            INSERT INTO pattern_harms AS h (
                scope_id, pattern_id, account_key, complaint_known, complaints, unsubscribe_known,
                unsubscribes, costed, net_revenue)
            SELECT $26, $1, account_key, $19::double precision, $20, $21, $22, $23, $24 FROM account
             WHERE greatest($19::double precision, $21, $23) > 0
            ON CONFLICT (scope_id, pattern_id, account_key) DO UPDATE
               SET complaint_known = h.complaint_known + excluded.complaint_known,
                   complaints = h.complaints + excluded.complaints,
                   unsubscribe_known = h.unsubscribe_known + excluded.unsubscribe_known,
                   unsubscribes = h.unsubscribes + excluded.unsubscribes,
                   costed = h.costed + excluded.costed,
                   net_revenue = h.net_revenue + excluded.net_revenue
        ), wording AS (
            INSERT INTO pattern_wordings (scope_id, pattern_id, account_key, action_hash, action)
            SELECT $26, $1, account_key, sha256(convert_to($12::text, 'UTF8')), $12 FROM account
             WHERE $13::boolean AND $14::bigint > (SELECT count(*) FROM pattern_wordings
                                   WHERE scope_id = $26 AND pattern_id = $1
                                     AND account_key = $2)
            ON CONFLICT DO NOTHING RETURNING true
        ), script AS (
            INSERT INTO pattern_scripts AS s (id, scope_id, pattern_id, template, template_hash)
            SELECT $9, $26::bigint, $1, $10::text, sha256(convert_to($10::text, 'UTF8')) FROM account
             WHERE $10::text <> ''
            ON CONFLICT (scope_id, pattern_id, template_hash) DO UPDATE SET template = s.template
            RETURNING id
        ), drawn AS (
            SELECT count(*) AS trials, coalesce(sum(inverse), 0) AS weight,
                   coalesce(sum(inverse ^ 2), 0) AS squares,
                   coalesce(sum(inverse * ($3 - expected)), 0) AS excess
              FROM drawn_scripts WHERE scope_id = $26 AND enhancement_id = $25
        ), script_share AS (
            INSERT INTO script_accounts AS a (
                scope_id, script_id, account_key, occurrence_count, success_count,
                recent_trials, recent_successes,
                drawn_trials, drawn_weight, drawn_squares, drawn_excess)
            SELECT $26, script.id, account_key, 1, $3, $6, $7,
                   drawn.trials, drawn.weight, drawn.squares, drawn.excess
              FROM account, script, drawn
            ON CONFLICT (scope_id, script_id, account_key) DO UPDATE
               SET occurrence_count = a.occurrence_count + 1,
                   success_count = a.success_count + excluded.success_count,
                   recent_trials = a.recent_trials + excluded.recent_trials,
                   recent_successes = a.recent_successes + excluded.recent_successes,
                   drawn_trials = a.drawn_trials + excluded.drawn_trials,
                   drawn_weight = a.drawn_weight + excluded.drawn_weight,
                   drawn_squares = a.drawn_squares + excluded.drawn_squares,
                   drawn_excess = a.drawn_excess + excluded.drawn_excess
        )
        SELECT EXISTS (SELECT FROM wording) AS wording,
               ARRAY (SELECT facet FROM facets WHERE new) AS facets
        """,
        key.pattern_id,
        outcome.account_key,
        int(outcome.success),
        outcome.net_revenue or 0.0,
        int(outcome.net_revenue is not None),
        weight,
        weight * outcome.success,
        facets(insight.conditions),
        uuid4(),
        insight.script,
        outcome.business_category,
        insight.action,
        outcome.own_words,
        MOST_WORDINGS,
        fast,
        fast * outcome.success,
        slow,
        slow * outcome.success,
        *astuple(harms),
        outcome.enhancement_id,
        key.scope_id,
    )
    return News(row["wording"], row["facets"])
