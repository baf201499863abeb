"""Keeping a pattern's totals equal to the sum of its accounts' shares."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.centres import mean_direction, move_action
from keeper_grpc.storage.patterns.view import NO_VIEWER, shares, to_shares

_SHARES = f"""
    SELECT share.*, p.prior_successes, p.prior_failures, p.embedding_weight,
           CASE WHEN $2 THEN p.pattern_embedding END AS pattern_embedding
      FROM network_patterns p {shares("$3")} WHERE p.id = $1
"""  # noqa: S608 - only constants are interpolated

EPOCH_WEIGHT = 1.0
"""Stored sums of recency weights are as of the epoch; readers divide them by today's weight."""


async def refresh_evidence(
    connection: Connection,
    pattern_id: UUID,
    occurred_time: datetime | None = None,
    joined: Vectors | None = None,
) -> None:
    """Sum the accounts' shares into the pattern's row, within the caller's transaction.

    The sum, rather than an increment, is what makes a wrong total impossible; it reads one row per
    account. `occurred_time`, if given, widens the span in which the pattern was observed; `joined`
    are the vectors of an observation that merged, towards which the pattern turns. One update for
    both, because the row is as wide as its vector.
    """
    (row,) = await connection.fetch(_SHARES, pattern_id, joined is not None, NO_VIEWER)
    sentence: NDArray[np.float32] | None = None
    weight: float = row["embedding_weight"]
    if joined is not None:
        sentence, weight = mean_direction(row["pattern_embedding"], weight, joined.sentence)
        await move_action(connection, pattern_id, joined.action)
    evidence = Evidence.of(to_shares(row), EPOCH_WEIGHT)
    await connection.execute(
        """
        UPDATE network_patterns
           SET occurrence_count = $2, success_count = $3, account_count = $4,
               largest_account_occurrences = $5, revenue_total = $6, revenue_count = $7,
               confidence_score = $8, last_validated = greatest(last_validated, $9),
               first_discovered = least(first_discovered, $9), recent_trials = $10,
               recent_successes = $11, embedding_weight = $12,
               pattern_embedding = coalesce($13, pattern_embedding)
         WHERE id = $1
        """,
        pattern_id,
        evidence.trials,
        evidence.successes,
        evidence.accounts,
        evidence.largest_account_trials,
        evidence.revenue_total,
        evidence.revenue_count,
        evidence.lower_bound(Prior(row["prior_successes"], row["prior_failures"])),
        occurred_time,
        evidence.recent_trials,
        evidence.recent_successes,
        weight,
        sentence,
    )
