"""Whether the tables stop growing: a month of questions in simulated time, against a real PostgreSQL.

    python -m bench.growth [--days 30] [--scale 2000] [--retention-days 10]

Ten questions a second, scaled down: with 2,000, each simulated day has 432 of the 864,000 questions, each by the storage
that a server uses, with its sighting and, for a share of them, the vectors of a new text. One question in twenty gets a
reaction, which belongs to the ledger and stays. After each simulated day the use case that keeps the bounds runs, sightings
beyond the detector's window go, and the tables are vacuumed, as autovacuum does in a real day. The retention is shortened with
the months, so that the plateau is seen; it is days of questions either way.

Prints megabytes by table, and the rows of what is kept; exit code 1 where what is not the ledger grew by more than a tenth
in the last third.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import numpy as np

from keeper_grpc import logs
from keeper_grpc.domain.advice.enhancement import Enhancement, EnhancementRecord
from keeper_grpc.domain.advice.ranking import NoMatch
from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.storage.advice.enhancements import PostgresEnhancements
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.embedding_cache import PostgresVectors
from keeper_grpc.storage.metrics.inputs import PostgresMetrics
from keeper_grpc.storage.retention.aged import aged_rows
from keeper_grpc.storage.retention.questions import OldQuestions
from keeper_grpc.storage.retention.sizes import PostgresSizes
from keeper_grpc.storage.retention.vectors import SpareVectors
from keeper_grpc.storage.schema.migrate import migrate
from keeper_grpc.usecases.retention.keep_bounds import KeepBounds

A_DAY = 10 * 86_400
"""Questions of a day at ten a second."""

ACCOUNTS = 50
NEW_TEXT = 0.2
"""Share of questions with a text that nobody asked before: two vectors."""

REACTED = 0.05
GROUP = 108
"""Questions that are recorded together, as the writer of a busy server does."""

WINDOW = timedelta(days=7)
START = datetime(2026, 1, 1, tzinfo=UTC)
BOUNDED = ("enhancements", "sightings", "embedding_cache", "reaction_requests", "audit_events")
ROLLED = ("rolled_questions", "rolled_advice", "rolled_accounts", "rolled_arms", "daily_measures")
LEDGER = ("reactions",)
TOLERANCE = 1.1


class World:
    """What accounts ask, at simulated times."""

    def __init__(self, database: Database, connection: asyncpg.Connection, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._records = PostgresEnhancements(database)
        self._vectors = PostgresVectors(database)
        self._connection = connection
        self._texts = 0
        self.asked = 0

    async def open(self) -> None:
        """Let the accounts join."""
        await self._connection.execute(
            """
            INSERT INTO accounts (account_key, business_category, joined_time, qualified)
            SELECT 'bench:' || n, 'spa', $1, true FROM generate_series(1, $2) n
            """,
            START,
            ACCOUNTS,
        )

    async def day(self, begins: datetime, questions: int) -> None:
        """Ask, react and note the requests of one day."""
        times = np.sort(self._rng.random(questions)) * 86_400
        for first in range(0, questions, GROUP):
            group = [
                self._question(begins + timedelta(seconds=float(second)))
                for second in times[first : first + GROUP]
            ]
            errors = await self._records.record_enhancements(group)
            if any(errors):
                raise RuntimeError(errors)
            self.asked += len(group)
        await self._connection.execute(
            """
            WITH reacted AS (
                INSERT INTO reactions (scope_id, account_key, enhancement_id, reaction, recorded_time)
                SELECT scope_id, account_key, id, 'shown', created_at FROM enhancements
                 WHERE created_at >= $1 AND random() < $2 RETURNING *
            )
            INSERT INTO reaction_requests (account_key, request_id, fingerprint, recorded_time)
            SELECT account_key, gen_random_uuid(), '', recorded_time FROM reacted
            """,
            begins,
            REACTED,
        )
        await self._connection.execute(
            "INSERT INTO audit_events (id, action, details, created_at) VALUES (gen_random_uuid(), 'retire', '{}', $1)",
            begins,
        )
        fresh = int(questions * NEW_TEXT) * 2
        row = self._vector()
        await self._vectors.put("bench/1", {self._rng.bytes(32): row for _ in range(fresh)})

    def _question(self, at: datetime) -> EnhancementRecord:
        if self._rng.random() < NEW_TEXT:
            self._texts += 1
        number = int(self._rng.integers(max(0, self._texts - 500), self._texts + 1))
        insight = AnonymizedInsight(
            "churn_prevention", "spa", {"days_since_visit": "60-89", "visits": str(number)},
            f"Offer a free upgrade of kind {number}", "We have missed you. Shall we find a time this week?",
            0.6, 100.0, 200.0,
        )  # fmt: skip
        scope = Scope("churn_prevention", "spa", "bench/1")
        account = f"bench:{self._rng.integers(1, ACCOUNTS + 1)}"
        return EnhancementRecord(
            Enhancement(
                UUID(bytes=self._rng.bytes(16)), insight, None, NoMatch.NO_PATTERNS, None,
                AnonymizationReport(), at,
            ),
            None, 0.0, scope, account, self._vector(), at,
        )  # fmt: skip

    def _vector(self) -> np.ndarray:
        vector = self._rng.standard_normal(1536).astype(np.float32)
        return vector / np.linalg.norm(vector)


async def grow(dsn: str, days: int, scale: int, retention: timedelta, vectors: int) -> bool:
    """Play the days, print the table; whether the sizes level off."""
    await migrate(dsn)
    database = await Database.open(dsn, pool_size=4, acquire_timeout=60, statement_timeout=60)
    connection = await asyncpg.connect(dsn)
    try:
        now = START
        keep = KeepBounds(
            (
                OldQuestions(database, retention),
                *aged_rows(database, requests=retention, audit=retention),
                SpareVectors(database, vectors),
            ),
            interval=timedelta(hours=1),
            clock=lambda: now,
        )
        world = World(database, connection, seed=1)
        await world.open()
        print(
            f"{'day':>4} {'asked':>8} "
            + " ".join(f"{name[:16]:>16}" for name in (*BOUNDED, "rolled+days", "ledger"))
        )
        bytes_by_day: list[int] = []
        for day in range(1, days + 1):
            await world.day(now, A_DAY // scale)
            now += timedelta(days=1)
            await keep()
            while await PostgresMetrics(database).fold(1_000):
                pass
            await connection.execute("DELETE FROM sightings WHERE seen_time < $1", now - WINDOW)
            await connection.execute(f"VACUUM {', '.join((*BOUNDED, *ROLLED, 'measure_changes'))}")
            sizes = await PostgresSizes(database).sizes()
            bytes_by_day.append(sum(sizes[name] for name in (*BOUNDED, *ROLLED)))
            if day % max(1, days // 12) == 0:
                _print(day, world.asked, sizes)
        wrong = await connection.fetchval("SELECT rebuild_measures()")
        last, before = bytes_by_day[-1], bytes_by_day[days * 2 // 3]
        print(
            f"what is not the ledger: {before / 2**20:.1f} MB after two thirds, {last / 2**20:.1f} MB at the end "
            f"({last / before:.2f}); a rebuild of the metrics corrects {wrong} rows; kept "
            + ", ".join(f"{rows} {kind}" for kind, rows in keep.rows.items() if rows)
        )
        return last <= before * TOLERANCE and wrong == 0
    finally:
        await connection.close()
        await database.close()


def _print(day: int, asked: int, sizes: Mapping[str, int]) -> None:
    columns = [
        *(sizes[name] for name in BOUNDED),
        sum(sizes[name] for name in ROLLED),
        sum(sizes[name] for name in LEDGER),
    ]
    print(f"{day:>4} {asked:>8} " + " ".join(f"{size / 2**20:>13.2f} MB" for size in columns))


async def run(options: argparse.Namespace, directory: Path) -> bool:
    """On a server of its own."""
    async with EmbeddedPostgres(directory / "data", durable=False) as postgres:
        return await grow(
            postgres.dsn,
            options.days,
            options.scale,
            timedelta(days=options.retention_days),
            # As many as are new in a week.
            int(A_DAY / options.scale * NEW_TEXT) * 2 * 7,
        )


def main() -> None:
    """Play, print a table, and say by the exit code whether sizes level off."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--scale", type=int, default=2_000)
    parser.add_argument("--retention-days", type=int, default=10)
    logs.configure("error", "console")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="keeper-bench-", dir="/tmp") as made:
        directory = Path(made)
        directory.chmod(0o755)
        levels_off = asyncio.run(run(options, directory))
    sys.exit(0 if levels_off else 1)


if __name__ == "__main__":
    main()
