"""Keeping patterns' totals equal to what their accounts' shares come to."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pgvector import Vector

from keeper_grpc.domain.evidence.evidence import Prior, recency_weight, weigh
from keeper_grpc.domain.evidence.fading import FAST, SLOW, Course, fades
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.holding import hold_patterns
from keeper_grpc.storage.patterns.keys import by_column, key_of
from keeper_grpc.storage.patterns.turning import turn_patterns
from keeper_grpc.storage.patterns.view import NO_VIEWER, shares, to_shares
from keeper_grpc.storage.patterns.words import News, shown_words

if TYPE_CHECKING:
    from asyncpg import Record

_SHARES = f"""
    SELECT p.scope_id, p.id, share.*, p.cautious_successes, p.cautious_failures, p.shown_action, p.shown_context,
           p.last_validated,
           (SELECT array_agg(ARRAY[a.fast_trials, a.fast_successes, a.slow_trials, a.slow_successes])
              FROM pattern_owners a
             WHERE a.scope_id = p.scope_id AND a.scope_id = ANY($1::bigint[]) AND a.pattern_id = p.id) AS courses
      FROM network_patterns p {shares("$3", "ANY($1::bigint[])")}
     WHERE p.scope_id = ANY($1::bigint[]) AND p.id = ANY($2::uuid[])
"""  # noqa: S608 - only constants are interpolated


@dataclass(frozen=True, slots=True)
class Change:
    """What changed a pattern's shares: outcomes that occurred from `first` to `last`, if any.

    `news` is what they added to the words, of which all are read where it is not given; the pattern lies at the
    `position` from now on, if there is one.
    """

    first: datetime | None = None
    last: datetime | None = None
    news: News | None = None
    position: Position | None = None

    @property
    def counts(self) -> bool:
        """Whether it changed what is to be weighed. Outcomes that all wait only turn their pattern."""
        return self.position is None or self.last is not None


async def refresh_evidence(
    connection: Connection, changes: Mapping[PatternKey, Change], rule: PublicationRule
) -> AbstractSet[PatternKey]:
    """Weigh the accounts' shares and words into the patterns' rows, within the caller's transaction.

    Returns those whose action is shown in other words from now on.

    The whole, rather than an increment, is what makes a wrong total impossible; it reads one row per
    account. One statement for all, because rows are as wide as their vectors. Patterns that only turned keep what was weighed
    before. The caller notes the change: see `touch`.
    """
    if not changes:
        return frozenset()
    transaction_id = await hold_patterns(connection, changes)
    await turn_patterns(
        connection,
        {
            key: change.position
            for key, change in changes.items()
            if change.position is not None and not change.counts
        },
        transaction_id,
    )
    return await _weigh(
        connection,
        {key: change for key, change in changes.items() if change.counts},
        rule,
        transaction_id,
    )


async def _weigh(
    connection: Connection,
    changes: Mapping[PatternKey, Change],
    rule: PublicationRule,
    transaction_id: int,
) -> AbstractSet[PatternKey]:
    if not changes:
        return frozenset()
    rows = await connection.fetch(_SHARES, *by_column(changes), NO_VIEWER)
    words = await shown_words(
        connection,
        {key_of(row): (row["shown_context"], changes[key_of(row)].news) for row in rows},
        rule.k,
    )
    written = []
    reworded = set()
    for row in rows:
        change, shown = changes[key_of(row)], words[key_of(row)]
        evidence = weigh(to_shares(row).values(), rule.k)
        cautious = Prior(row["cautious_successes"], row["cautious_failures"])
        position = change.position
        if shown.action not in (None, row["shown_action"]):
            reworded.add(key_of(row))
        written.append(
            (
                row["scope_id"],
                row["id"],
                evidence.trials,
                evidence.successes,
                evidence.accounts,
                evidence.lower_bound(cautious),
                change.first,
                change.last,
                position and Vector(position.sentence),
                position and position.sentence_weight,
                position and Vector(position.action),
                position and position.action_weight,
                shown.action,
                None if shown.conditions is None else dict(shown.conditions),
                _fades(row, change.last, rule),
            )
        )
    await connection.execute(
        """
        WITH n AS MATERIALIZED (
            SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::integer[],
                                 $6::float8[], $7::timestamptz[], $8::timestamptz[], $9::vector[],
                                 $10::float8[], $11::vector[], $12::float8[], $13::text[], $14::jsonb[],
                                 $15::boolean[])
                AS n (scope_id, id, trials, successes, accounts, lower_bound, first, last, sentence, weight,
                      action_vector, action_weight, action, conditions, fading)
        ), moved AS (
            UPDATE pattern_actions a
               SET action_embedding = n.action_vector, action_weight = n.action_weight
              FROM n
             WHERE a.scope_id = ANY($17::bigint[]) AND a.scope_id = n.scope_id AND a.pattern_id = n.id
               AND n.action_vector IS NOT NULL
        )
        UPDATE network_patterns p
           SET occurrence_count = n.trials, success_count = n.successes,
               account_count = n.accounts, confidence_score = n.lower_bound,
               -- What began it may have to wait, and then did not discover it.
               first_discovered = CASE WHEN p.last_validated IS NULL AND p.catalog_key IS NULL
                   THEN coalesce(n.first, p.first_discovered)
                   ELSE least(p.first_discovered, n.first) END,
               last_validated = greatest(p.last_validated, n.last),
               pattern_embedding = coalesce(n.sentence, p.pattern_embedding),
               embedding_weight = coalesce(n.weight, p.embedding_weight),
               shown_action = coalesce(n.action, p.shown_action),
               shown_context = coalesce(n.conditions, p.shown_context), fading = n.fading,
               changed_in = CASE
                   WHEN n.sentence IS NOT NULL OR (p.confidence_score, p.account_count, p.fading)
                        IS DISTINCT FROM (n.lower_bound, n.accounts, n.fading)
                   THEN $16::xid8 ELSE p.changed_in END
          FROM n
         WHERE p.scope_id = ANY($17::bigint[]) AND p.scope_id = n.scope_id AND p.id = n.id
        """,
        *(list(column) for column in zip(*written, strict=True)),
        transaction_id,
        by_column(changes)[0],
    )
    return reworded


def _fades(row: Record, newest: datetime | None, rule: PublicationRule) -> bool:
    """Whether the pattern fades, as of its last outcome: silence says nothing, and needs no upkeep."""
    last = max(filter(None, (row["last_validated"], newest)), default=None)
    if last is None:
        return False
    fast, slow = recency_weight(last, FAST), recency_weight(last, SLOW)
    courses = [
        Course(fast_trials / fast, fast_successes / fast, slow_trials / slow, slow_successes / slow)
        for fast_trials, fast_successes, slow_trials, slow_successes in row["courses"] or ()
    ]
    return fades(courses, rule.k)
