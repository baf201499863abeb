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
        "SELECT count_in_experiment($1::text[], $2::bigint, $3)",
        sorted(account_keys),
        step,
        step == EXACT,
    )


async def count_out_of_experiment(
    connection: Connection, scope_id: int, observation_id: UUID
) -> None:
    """Take an outcome that is about to be replaced out of what it counts in."""
    outcome = await connection.fetchrow(
        """
        SELECT account_key, success, enhancement_id IS NOT NULL AS followed,
               coalesce(enhancement_id, instead_of) AS question
          FROM observations WHERE scope_id = $1 AND id = $2 AND compared
        """,
        scope_id,
        observation_id,
    )
    if outcome is None:
        return
    # Its question may be of another scope.
    asked = await connection.fetchrow(
        """
        SELECT scope_id, holdout_share, held_out(holdout, authored) AS held_out
          FROM enhancements WHERE id = $1
        """,
        outcome["question"],
    )
    if asked is None:
        return
    await connection.execute(
        """
        UPDATE experiment_outcomes
           SET advised = advised - (NOT $4)::integer,
               advised_successes = advised_successes - (NOT $4 AND $5)::integer,
               held_out = held_out - $4::boolean::integer,
               held_out_successes = held_out_successes - ($4 AND $5)::integer,
               followed = followed - (NOT $4 AND $6)::integer,
               followed_successes = followed_successes - (NOT $4 AND $6 AND $5)::integer
         WHERE scope_id = $1 AND account_key = $2 AND holdout_share = $3
        """,
        asked["scope_id"],
        outcome["account_key"],
        asked["holdout_share"],
        asked["held_out"],
        outcome["success"],
        outcome["followed"],
    )
