"""Which pattern each outcome was counted for, read from the simulation's own database.

Callers are not told that before a pattern is published, so no account acts on it. The measures need it, because
they compare everything that the network has learned with the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg


@dataclass(frozen=True, slots=True)
class Credit:
    """One outcome that counts for a pattern, by the request that brought it."""

    request_id: str
    pattern_id: str


class Ledger:
    """The ledger of one database."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def exploration_loss(self, since: datetime) -> float:
        """The success that the network expected to lose by exploring, for each question with advice since then."""
        connection = await asyncpg.connect(self._dsn)
        try:
            lost = await connection.fetchval(
                """
                SELECT avg(exploration_loss) FROM enhancements
                 WHERE no_match_reason IS NULL AND created_at >= $1
                """,
                since,
            )
        finally:
            await connection.close()
        return lost or 0.0

    async def credits(self) -> Sequence[Credit]:
        """All of them; the capture that began a pattern comes before the others of that pattern."""
        connection = await asyncpg.connect(self._dsn)
        try:
            rows = await connection.fetch(
                """
                SELECT r.request_id::text, o.pattern_id::text FROM observations o
                  JOIN outcome_requests r
                    ON r.scope_id = o.scope_id AND r.observation_id = o.id AND NOT r.revises
                 WHERE o.pattern_id IS NOT NULL AND o.counted
                 ORDER BY o.disposition <> 'created', o.recorded_time, r.request_id
                """
            )
        finally:
            await connection.close()
        return [Credit(*row) for row in rows]
