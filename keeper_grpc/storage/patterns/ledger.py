"""Appending a group to the ledger, and counting what is appended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from keeper_grpc.domain.errors import OutcomeAlreadyReported, RequestIdReused
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.sums import Counted, Draw
from keeper_grpc.domain.evidence.tally import Part, Share, Tally
from keeper_grpc.domain.insight import Outcome
from keeper_grpc.domain.observation import Observation, Revision
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.adding import add_sums
from keeper_grpc.storage.evidence.ledger_sums import COUNTED, to_counted
from keeper_grpc.storage.evidence.totals import Change, refresh_evidence
from keeper_grpc.storage.insight_columns import OBSERVATIONS
from keeper_grpc.storage.metrics.experiment import count_in_experiment
from keeper_grpc.storage.metrics.measuring import measure_outcomes
from keeper_grpc.storage.patterns.words import NO_NEWS
from keeper_grpc.storage.rows import insert_rows


@dataclass(frozen=True, slots=True)
class Counts:
    """The observations that count by now, also of those that waited, and the patterns that changed.

    `reworded` are those of these whose action is shown in other words.
    """

    begun: AbstractSet[UUID] = frozenset()
    changed: AbstractSet[PatternKey] = frozenset()
    reworded: AbstractSet[PatternKey] = frozenset()


async def count_observations(
    connection: Connection,
    observations: Sequence[Observation],
    counting: Counting,
    positions: Mapping[PatternKey, Position],
) -> Counts:
    """Count observations that are about to be written into patterns, scripts and situations, with those that wait.

    They may have to wait themselves (domain/evidence/steps.py). `positions` are where
    older patterns lie from now on, which are turned at once. Within the caller's transaction, which owns the patterns'
    scopes and holds the accounts.
    """
    if not observations:
        return Counts()
    counted = [each for each in observations if each.pattern_key is not None]
    categories = {
        key: each.scope.business_category for each in counted if (key := each.pattern_key)
    }
    shares = await _shares(
        connection,
        {(key, each.account_key) for each in counted if (key := each.pattern_key)},
        categories,
    )
    draws = await _draws(connection, counted)
    tally = Tally(shares, counting.step, counting.half_life)
    for each in counted:
        assert each.pattern_id is not None  # noqa: S101 - for mypy
        draw = draws.get(each.enhancement_id) if each.enhancement_id else None
        tally.take(each.observation_id, each.pattern_id, Counted.of(each, draw))
    keys = {key.pattern_id: key for key in categories} | {key.pattern_id: key for key in positions}
    return await _count(connection, tally, keys, counting, positions)


async def count_waiting(
    connection: Connection, key: PatternKey, scope: Scope, account_key: str, counting: Counting
) -> AbstractSet[UUID]:
    """Count what waits of an account's part in a pattern, if it is a step by now: the observations that do count.

    Within the caller's transaction, which owns the pattern's scope and the account.
    """
    shares = await _shares(connection, {(key, account_key)}, {key: scope.business_category})
    tally = Tally(shares, counting.step, counting.half_life)
    tally.settle(key.pattern_id, account_key)
    counts = await _count(connection, tally, {key.pattern_id: key}, counting, {})
    await _begin(connection, {key.scope_id}, counts.begun)
    return counts.begun


async def _count(
    connection: Connection,
    tally: Tally,
    keys: Mapping[UUID, PatternKey],
    counting: Counting,
    positions: Mapping[PatternKey, Position],
) -> Counts:
    sums = {keys[pattern_id]: own for pattern_id, own in tally.sums.items()}
    news = await add_sums(connection, sums) if sums else {}
    reworded = await refresh_evidence(
        connection,
        {
            key: Change(
                first=sums[key].first if key in sums else None,
                last=sums[key].last if key in sums else None,
                news=news.get(key, NO_NEWS),
                position=positions.get(key),
            )
            for key in {*sums, *positions}
        },
        counting.rule,
    )
    return Counts(frozenset(tally.begun), frozenset({*sums, *positions}), reworded)


async def _draws(connection: Connection, counted: Sequence[Observation]) -> Mapping[UUID, Draw]:
    asked = {
        each.enhancement_id: each.scope.scope_id
        for each in counted
        if each.enhancement_id is not None
    }
    if not asked:
        return {}
    rows = await connection.fetch(
        """
        SELECT enhancement_id, inverse, expected FROM drawn_scripts
         WHERE scope_id = ANY($1::bigint[]) AND enhancement_id = ANY($2::uuid[])
        """,
        list(set(asked.values())),
        list(asked),
    )
    return {row["enhancement_id"]: Draw(row["inverse"], row["expected"]) for row in rows}


async def _shares(
    connection: Connection,
    parts: AbstractSet[tuple[PatternKey, str]],
    categories: Mapping[PatternKey, str],
) -> Mapping[Part, Share]:
    """What is known of these accounts' parts in patterns, which are of these categories."""
    if not parts:
        return {}
    arrays = (
        [key.scope_id for key, _ in parts],
        [key.pattern_id for key, _ in parts],
        [account for _, account in parts],
    )
    accounts = await connection.fetch(
        "SELECT account_key, business_category FROM accounts WHERE account_key = ANY($1::text[])",
        list({account for _, account in parts}),
    )
    lines = {row["account_key"]: row["business_category"] for row in accounts}
    # Whoever has said something has a share.
    rows = await connection.fetch(
        """
        SELECT s.pattern_id, s.account_key, s.occurrence_count::integer AS counted,
               ARRAY(SELECT w.action FROM pattern_wordings w
                      WHERE w.scope_id = ANY($1::bigint[]) AND w.scope_id = s.scope_id
                        AND w.pattern_id = s.pattern_id AND w.account_key = s.account_key) AS actions
          FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS part (scope_id, pattern_id, account_key)
          JOIN pattern_accounts s USING (scope_id, pattern_id, account_key)
         WHERE s.scope_id = ANY($1::bigint[])
        """,
        *arrays,
    )
    known = {
        (row["pattern_id"], row["account_key"]): (row["counted"], set(row["actions"]))
        for row in rows
    }
    shares = {}
    for key, account in parts:
        if account in lines:
            counted, actions = known.get((key.pattern_id, account), (0, set()))
            shares[key.pattern_id, account] = Share(
                counted, {}, actions, lines[account] == categories[key]
            )
    waiting = await connection.fetch(
        f"""
        SELECT o.id, o.pattern_id, {COUNTED}
          FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS part (scope_id, pattern_id, account_key)
          JOIN observations o ON o.scope_id = part.scope_id AND o.pattern_id = part.pattern_id
                             AND o.account_key = part.account_key
          LEFT JOIN drawn_scripts d
            ON d.scope_id = o.scope_id AND d.scope_id = ANY($1::bigint[]) AND d.enhancement_id = o.enhancement_id
         WHERE o.scope_id = ANY($1::bigint[]) AND NOT o.counted AND o.final ORDER BY o.recorded_time, o.id
        """,  # noqa: S608 - a constant
        *arrays,
    )
    for row in waiting:
        shares[row["pattern_id"], row["account_key"]].waiting[row["id"]] = to_counted(row)
    return shares


_TYPES = OBSERVATIONS.types | {
    "id": "uuid",
    "scope_id": "bigint",
    "account_key": "text",
    "disposition": "text",
    "pattern_id": "uuid",
    "counted": "boolean",
    "enhancement_id": "uuid",
    "instead_of": "uuid",
    "compared": "boolean",
    "similarity": "float8",
    "embedding_model": "text",
    "anonymization": "jsonb",
    "occurred_time": "timestamptz",
    "recorded_time": "timestamptz",
    "success": "boolean",
    "revenue_impact": "float8",
    "customer_retained": "boolean",
    "response_rate": "float8",
    "cost": "float8",
    "complained": "boolean",
    "unsubscribed": "boolean",
    "final": "boolean",
}


async def write_observations(
    connection: Connection,
    observations: Sequence[Observation],
    begun: AbstractSet[UUID],
    step: int,
) -> None:
    """Write observations in arrival order; those that have `begun` to count do, also if they were written before.

    Raises RequestIdReused and OutcomeAlreadyReported, where another scope took the request or the question meanwhile.
    """
    if not observations:
        return
    await _begin(
        connection,
        {each.scope.scope_id for each in observations},
        begun - {each.observation_id for each in observations},
    )
    await record_requests(connection, observations)
    await _claim_outcomes(connection, observations)
    await insert_rows(
        connection, "observations", _TYPES, [_row(each, begun) for each in observations]
    )
    await measure_outcomes(
        connection,
        {each.scope.scope_id for each in observations},
        [each.observation_id for each in observations],
        [each.observation_id for each in observations if each.enhancement_id],
    )
    asked = {each.account_key for each in observations if each.enhancement_id or each.instead_of}
    if asked:
        await count_in_experiment(connection, asked, step)


async def _begin(
    connection: Connection, scope_ids: AbstractSet[int], ids: AbstractSet[UUID]
) -> None:
    """Note that observations of these scopes count which waited."""
    if ids:
        await connection.execute(
            """
            UPDATE observations SET counted = true
             WHERE scope_id = ANY($1::bigint[]) AND id = ANY($2::uuid[])
            """,
            list(scope_ids),
            list(ids),
        )


_REQUESTS = {
    "account_key": "text",
    "request_id": "uuid",
    "fingerprint": "bytea",
    "scope_id": "bigint",
    "observation_id": "uuid",
    "revises": "boolean",
}


async def record_requests(
    connection: Connection, recorded: Sequence[Observation | Revision]
) -> None:
    """Remember what requests recorded or revised. Raises RequestIdReused."""
    # In one order, because requests of one account may come to several scopes at once.
    ordered = sorted(recorded, key=lambda each: (each.account_key, each.request_id))
    rows = [
        {
            "account_key": each.account_key,
            "request_id": each.request_id,
            "fingerprint": each.fingerprint,
            "scope_id": each.scope_id if isinstance(each, Revision) else each.scope.scope_id,
            "observation_id": each.observation_id,
            "revises": isinstance(each, Revision),
        }
        for each in ordered
    ]
    try:
        await insert_rows(connection, "outcome_requests", _REQUESTS, rows)
    except asyncpg.UniqueViolationError as error:
        # The same request_id was used in another scope while this one waited: another body.
        raise RequestIdReused from error


async def _claim_outcomes(connection: Connection, observations: Sequence[Observation]) -> None:
    """Let each be the one outcome of its enhancement, which may be of another scope.

    Raises OutcomeAlreadyReported.
    """
    claims = {
        question: each.observation_id
        for each in observations
        if (question := each.enhancement_id or each.instead_of) is not None
    }
    if not claims:
        return
    try:
        await connection.execute(
            """
            INSERT INTO enhancement_outcomes (scope_id, enhancement_id, observation_id)
            SELECT e.scope_id, e.id, c.observation_id
              FROM unnest($1::uuid[], $2::uuid[]) AS c (id, observation_id)
              JOIN enhancements e USING (id) ORDER BY e.id
            """,
            list(claims),
            list(claims.values()),
        )
    except asyncpg.UniqueViolationError as error:
        raise OutcomeAlreadyReported from error


def _row(observation: Observation, begun: AbstractSet[UUID]) -> Mapping[str, object]:
    return OBSERVATIONS.values(observation.insight) | {
        "id": observation.observation_id,
        "scope_id": observation.scope.scope_id,
        "account_key": observation.account_key,
        "disposition": observation.disposition.value,
        "pattern_id": observation.pattern_id,
        "counted": observation.pattern_id is None or observation.observation_id in begun,
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
