"""Counts the reported outcomes of advice and of the holdout."""

from __future__ import annotations

from collections.abc import Mapping

from keeper_grpc.domain.metrics.uplift import Arm, Uplift
from keeper_grpc.storage.database import Database


class PostgresUplift:
    """The holdout experiment's outcomes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def uplift(self) -> Mapping[tuple[str, str], Uplift]:
        """The uplift by (business category, pattern type), where a question was held out.

        In both arms the network had advice; the held-out arm did not get it.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT e.business_category, e.pattern_type,
                       count(*) FILTER (WHERE NOT e.holdout)               AS advised,
                       count(*) FILTER (WHERE NOT e.holdout AND o.success) AS advised_successes,
                       count(*) FILTER (WHERE e.holdout)                   AS held_out,
                       count(*) FILTER (WHERE e.holdout AND o.success)     AS held_out_successes
                  FROM observations o JOIN enhancements e ON e.id = o.enhancement_id
                 WHERE o.enhancement_id IS NOT NULL AND (e.holdout OR e.no_match_reason IS NULL)
                 GROUP BY 1, 2 HAVING bool_or(e.holdout) ORDER BY 1, 2
                """
            )
        return {
            (row["business_category"], row["pattern_type"]): Uplift(
                advised=Arm(row["advised"], row["advised_successes"]),
                held_out=Arm(row["held_out"], row["held_out_successes"]),
            )
            for row in rows
        }
