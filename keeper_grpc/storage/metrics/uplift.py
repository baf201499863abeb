"""Reads the outcomes of the holdout experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keeper_grpc.domain.metrics.experiment import Experiment, OwnerOutcomes, experiment
from keeper_grpc.domain.metrics.uplift import Arm
from keeper_grpc.storage.database import Connection, Database

if TYPE_CHECKING:
    from asyncpg import Record


@dataclass(frozen=True, slots=True)
class Measured:
    """The experiment, and how many questions each arm was asked: those without an outcome are not in it."""

    experiment: Experiment
    advised_questions: int
    held_out_questions: int


class PostgresUplift:
    """The holdout experiment, for the operator: every owner counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def uplift(self) -> Mapping[tuple[str, str], Measured]:
        """The uplift by (business category, pattern type), and under ("", "") of all together.

        In both arms the network had advice; the held-out arm did not get it.
        """
        async with self._database.transaction(read_only=True) as connection:
            asked = await connection.fetch(
                """
                SELECT business_category, pattern_type, sum(advised)::bigint AS advised,
                       sum(held_out)::bigint AS held_out
                  FROM (SELECT business_category, pattern_type,
                               count(*) FILTER (WHERE NOT held_out(e.holdout, e.authored)) AS advised,
                               count(*) FILTER (WHERE held_out(e.holdout, e.authored)) AS held_out
                          FROM enhancements e
                         WHERE holdout_share > 0 AND had_advice(e.holdout, e.no_match_reason, e.authored)
                         GROUP BY 1, 2
                        UNION ALL
                        SELECT business_category, pattern_type, advised, held_out FROM rolled_arms) asked
                 GROUP BY 1, 2 ORDER BY 1, 2
                """
            )
            found = {
                (row["business_category"], row["pattern_type"]): Measured(
                    experiment(
                        await _reported(connection, row["business_category"], row["pattern_type"])
                    ),
                    row["advised"],
                    row["held_out"],
                )
                for row in asked
            }
            if found:
                found["", ""] = Measured(
                    experiment(await _reported(connection)),
                    sum(row["advised"] for row in asked),
                    sum(row["held_out"] for row in asked),
                )
        return found


async def experiment_outcomes(
    connection: Connection, business_category: str = ""
) -> Sequence[OwnerOutcomes]:
    """The outcomes that count, in steps, of the accounts that do: of one category or (empty) of all."""
    rows = await connection.fetch(
        f"""
        SELECT {_SUMMED} FROM experiment_outcomes x JOIN accounts a USING (account_key)
         WHERE ($1 = '' OR x.business_category = $1) AND a.qualified AND NOT a.forgetting
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,  # noqa: S608 - a constant
        business_category,
    )
    return [_owner_outcomes(row) for row in rows]


async def _reported(
    connection: Connection, business_category: str = "", pattern_type: str = ""
) -> Sequence[OwnerOutcomes]:
    """All outcomes of every account, as the ledger has them."""
    rows = await connection.fetch(
        f"""
        SELECT {_SUMMED} FROM ledger_experiment x JOIN accounts a USING (account_key)
         WHERE ($1 = '' OR x.business_category = $1) AND ($2 = '' OR x.pattern_type = $2)
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,  # noqa: S608 - a constant
        business_category,
        pattern_type,
    )
    return [_owner_outcomes(row) for row in rows]


_SUMMED = """
    a.owner_key, x.business_category, x.holdout_share, sum(x.advised)::bigint AS advised,
    sum(x.advised_successes)::bigint AS advised_successes, sum(x.held_out)::bigint AS held_out,
    sum(x.held_out_successes)::bigint AS held_out_successes, sum(x.followed)::bigint AS followed,
    sum(x.followed_successes)::bigint AS followed_successes
"""


def _owner_outcomes(row: Record) -> OwnerOutcomes:
    return OwnerOutcomes(
        row["owner_key"],
        row["business_category"],
        row["holdout_share"],
        Arm(row["advised"], row["advised_successes"]),
        Arm(row["held_out"], row["held_out_successes"]),
        Arm(row["followed"], row["followed_successes"]),
    )
