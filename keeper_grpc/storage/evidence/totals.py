"""Keeping a pattern's totals equal to what its accounts' shares come to."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.evidence.evidence import Prior, recency_weight, weigh
from keeper_grpc.domain.evidence.fading import FAST, SLOW, Course, fades
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.centres import mean_direction, move_action
from keeper_grpc.storage.patterns.view import NO_VIEWER, shares, to_shares
from keeper_grpc.storage.patterns.words import News, shown_words

if TYPE_CHECKING:
    from asyncpg import Record

_SHARES = f"""
    SELECT share.*, p.cautious_successes, p.cautious_failures, p.embedding_weight, p.shown_context,
           p.last_validated,
           (SELECT array_agg((a.fast_trials, a.fast_successes, a.slow_trials, a.slow_successes))
              FROM pattern_owners a
             WHERE a.scope_id = p.scope_id AND a.pattern_id = p.id) AS courses,
           CASE WHEN $3 THEN p.pattern_embedding END AS pattern_embedding
      FROM network_patterns p {shares("$4")}
     WHERE p.scope_id = $1 AND p.id = $2
"""  # noqa: S608 - only constants are interpolated


async def refresh_evidence(
    connection: Connection,
    key: PatternKey,
    rule: PublicationRule,
    *,
    occurred_times: Collection[datetime] = (),
    joined: Vectors | None = None,
    news: News | None = None,
) -> None:
    """Weigh the accounts' shares and words into the pattern's row, within the caller's transaction.

    The whole, rather than an increment, is what makes a wrong total impossible; it reads one row per
    account. `occurred_times` widen the span in which the pattern was observed; `joined`
    are the vectors of an observation that merged, towards which the pattern turns; `news` is what an
    observation added to the words, of which all are read where it is not given. One update for all, because the row is as wide as its vector.
    The caller notes the change: see `touch`.
    """
    (row,) = await connection.fetch(_SHARES, *key, joined is not None, NO_VIEWER)
    sentence: NDArray[np.float32] | None = None
    weight: float = row["embedding_weight"]
    if joined is not None:
        sentence, weight = mean_direction(row["pattern_embedding"], weight, joined.sentence)
        await move_action(connection, key, joined.action)
    words = await shown_words(connection, key, row["shown_context"], rule.k, news)
    evidence = weigh(to_shares(row).values(), rule.k)
    await connection.execute(
        """
        UPDATE network_patterns
           SET occurrence_count = $3, success_count = $4, account_count = $5,
               confidence_score = $6,
               -- What began it may have to wait, and then did not discover it.
               first_discovered = CASE WHEN last_validated IS NULL AND catalog_key IS NULL
                   THEN coalesce($7, first_discovered) ELSE least(first_discovered, $7) END,
               last_validated = greatest(last_validated, $8), embedding_weight = $9,
               pattern_embedding = coalesce($10, pattern_embedding),
               shown_action = coalesce($11, shown_action),
               shown_context = coalesce($12, shown_context), fading = $13
         WHERE scope_id = $1 AND id = $2
        """,
        *key,
        evidence.trials,
        evidence.successes,
        evidence.accounts,
        evidence.lower_bound(Prior(row["cautious_successes"], row["cautious_failures"])),
        min(occurred_times, default=None),
        max(occurred_times, default=None),
        weight,
        sentence,
        words.action,
        words.conditions,
        _fades(row, occurred_times, rule),
    )


def _fades(row: Record, occurred_times: Collection[datetime], rule: PublicationRule) -> bool:
    """Whether the pattern fades, as of its last outcome: silence says nothing, and needs no upkeep."""
    last = max(filter(None, (row["last_validated"], *occurred_times)), default=None)
    if last is None:
        return False
    fast, slow = recency_weight(last, FAST), recency_weight(last, SLOW)
    courses = [
        Course(fast_trials / fast, fast_successes / fast, slow_trials / slow, slow_successes / slow)
        for fast_trials, fast_successes, slow_trials, slow_successes in row["courses"] or ()
    ]
    return fades(courses, rule.k)
