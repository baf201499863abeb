"""Counting outcomes into the holdout experiment, in steps.

Both arms of an account make one step: were each arm to wait for a step of its own, an account with few questions
would have its advised outcomes in the comparison and never its held-out ones, and the arms would be of different
accounts. An interim outcome waits for the one that takes its place.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from keeper_grpc.domain.evidence.steps import EXACT
from keeper_grpc.storage.database import Connection


async def count_in_experiment(
    connection: Connection, account_keys: Collection[str], step: int
) -> None:
    """Count what waits of these accounts, a step at a time; within the transaction that wrote the newest of it.

    What another transaction counts at this moment is left to it.
    """
    await connection.execute(
        """
        WITH waiting AS MATERIALIZED (
            SELECT scope_id AS observed_in, id, account_key, final, success, enhancement_id,
                   instead_of, recorded_time
              FROM observations
             WHERE account_key = ANY($1::text[]) AND NOT compared FOR NO KEY UPDATE SKIP LOCKED
        ), asked AS (
            SELECT w.*, e.scope_id, e.business_category, e.pattern_type, e.holdout_share, held_out(e) AS held_out
              FROM waiting w JOIN enhancements e ON e.id = coalesce(w.enhancement_id, w.instead_of)
             WHERE e.holdout_share > 0 AND had_advice(e)
        ), placed AS (
            SELECT *, count(*) OVER (PARTITION BY account_key) / $2::bigint * $2::bigint AS due,
                   row_number() OVER (PARTITION BY account_key ORDER BY recorded_time, id) AS place
              FROM asked WHERE final OR $3
        ), step AS (
            SELECT * FROM placed WHERE place <= due
        ), marked AS (
            UPDATE observations o
               SET compared = CASE WHEN w.id IN (SELECT id FROM step) THEN true END
              FROM waiting w
             WHERE o.scope_id = w.observed_in AND o.id = w.id
               AND (w.id IN (SELECT id FROM step) OR w.id NOT IN (SELECT id FROM asked))
        )
        INSERT INTO experiment_outcomes AS x (
            scope_id, account_key, business_category, pattern_type, holdout_share, advised,
            advised_successes, held_out, held_out_successes, followed, followed_successes)
        SELECT scope_id, account_key, business_category, pattern_type, holdout_share,
               count(*) FILTER (WHERE NOT held_out),
               count(*) FILTER (WHERE NOT held_out AND success), count(*) FILTER (WHERE held_out),
               count(*) FILTER (WHERE held_out AND success),
               count(*) FILTER (WHERE NOT held_out AND enhancement_id IS NOT NULL),
               count(*) FILTER (WHERE NOT held_out AND enhancement_id IS NOT NULL AND success)
          FROM step GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 5
        ON CONFLICT (scope_id, account_key, holdout_share) DO UPDATE
           SET advised = x.advised + excluded.advised,
               advised_successes = x.advised_successes + excluded.advised_successes,
               held_out = x.held_out + excluded.held_out,
               held_out_successes = x.held_out_successes + excluded.held_out_successes,
               followed = x.followed + excluded.followed,
               followed_successes = x.followed_successes + excluded.followed_successes
        """,
        sorted(account_keys),
        step,
        step == EXACT,
    )


async def count_out_of_experiment(
    connection: Connection, scope_id: int, observation_id: UUID
) -> None:
    """Take an outcome that is about to be replaced out of what it counts in."""
    await connection.execute(
        """
        UPDATE experiment_outcomes x
           SET advised = x.advised - (NOT held_out(e))::integer,
               advised_successes = x.advised_successes - (NOT held_out(e) AND o.success)::integer,
               held_out = x.held_out - held_out(e)::integer,
               held_out_successes = x.held_out_successes - (held_out(e) AND o.success)::integer,
               followed = x.followed
                          - (NOT held_out(e) AND o.enhancement_id IS NOT NULL)::integer,
               followed_successes = x.followed_successes
                   - (NOT held_out(e) AND o.enhancement_id IS NOT NULL AND o.success)::integer
          FROM observations o JOIN enhancements e ON e.id = coalesce(o.enhancement_id, o.instead_of)
         WHERE o.scope_id = $1 AND o.id = $2 AND o.compared
           AND x.scope_id = e.scope_id AND x.account_key = o.account_key AND x.holdout_share = e.holdout_share
        """,
        scope_id,
        observation_id,
    )
