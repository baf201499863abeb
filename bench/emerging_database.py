"""What one more sighting costs the detector with a real database, and how soon another leader is there.

    python -m bench.emerging_database                          1,000 and 10,000 sightings stored
    python -m bench.emerging_database --sizes 1000 100000      100,000 need 1 GB of disk

The vectors are those of bench/emerging.py. `one` is a step that finds a single new sighting, `batch`
a step that finds five hundred, per sighting; both in milliseconds of wall time, the database's share
included, as the median. `restore` is what a new leader reads before its first step, in seconds, `cpu`
how many of them this process computes (what a machine without other work would take, or nearly), and
`held` the longest that this holds up the event loop, in milliseconds; `read` is what a full pass reads
before it computes, in seconds. `takeover` is the time from kill -9 of the leader's process until a
standby with the service's timing has committed its first step, in seconds: median and worst of five.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import structlog
from pgvector import Vector
from pgvector.asyncpg import register_vector

from bench.emerging import BATCH, Labelled, Matrix, incremental, labelled, synthetic
from keeper_grpc.domain.emerging import Emergence, Proven
from keeper_grpc.embedding.embedder import DIMENSIONS
from keeper_grpc.embedding.local import THRESHOLDS
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedded import EmbeddedPostgres
from keeper_grpc.storage.emerging_detection import PostgresDetection
from keeper_grpc.storage.migrate import migrate
from keeper_grpc.usecases.detect_emerging import DetectEmerging, DetectorTiming, Leadership

MODEL, TYPE = "bench", "churn_prevention"
ONES = 60
TAKEOVERS = 5
COLUMNS = (
    "account_key",
    "pattern_type",
    "business_category",
    "embedding_model",
    "embedding",
    "rendered",
    "rendered_hash",
    "confidence",
    "potential_value",
    "seen_time",
    "emerging_pattern_id",
    "pending",
)


def rows(vectors: Matrix, first: int, clusters: list[UUID] | None) -> Iterator[tuple[object, ...]]:
    """Sightings of a thousand accounts within the last day: of these clusters, or pending."""
    now = datetime.now(UTC)
    padded = np.zeros(DIMENSIONS, np.float32)
    for number, vector in enumerate(vectors, start=first):
        padded[: len(vector)] = vector
        yield (
            f"{number % 1000:064x}",
            TYPE,
            "spa",
            MODEL,
            Vector(padded.copy()),
            f"When days since last visit is {number}, send a note (churn prevention, spa).",
            number.to_bytes(32),
            0.5,
            100.0,
            now - timedelta(seconds=number % 86_400),
            None if clusters is None else clusters[number - first],
            clusters is None,
        )


async def store(connection: asyncpg.Connection[asyncpg.Record], vectors: Matrix) -> None:
    """Store sightings and the clusters that incremental clustering makes of them."""
    labels = incremental(vectors)
    ids = [uuid4() for _ in range(int(labels.max()) + 1)]
    sums = np.zeros((len(ids), DIMENSIONS), np.float32)
    np.add.at(sums[:, : vectors.shape[1]], labels, vectors)
    await connection.executemany(
        """
        INSERT INTO emerging_patterns (id, embedding_model, pattern_type, state,
            business_categories, common_pattern, account_count, sighting_count, mean_similarity,
            mean_confidence, total_potential_value, first_seen_time, last_seen_time,
            vector_sum, vector_count)
        VALUES ($1, $2, $3, 'forming', '{}', '', 0, 0, 0, 0, 0, now(), now(), $4, $5)
        """,
        [
            (cluster_id, MODEL, TYPE, Vector(total), int(count))
            for cluster_id, total, count in zip(ids, sums, np.bincount(labels), strict=True)
        ],
    )
    await connection.copy_records_to_table(
        "sightings", records=rows(vectors, 0, [ids[label] for label in labels]), columns=COLUMNS
    )
    await connection.execute("VACUUM ANALYZE sightings")
    # Else the steps wait for what the load left to be written.
    await connection.execute("CHECKPOINT")


async def measure(dsn: str, data: Labelled, size: int) -> None:
    """Print the costs with so many sightings stored."""
    vectors, _ = synthetic(data, size + ONES + 3 * BATCH + TAKEOVERS)
    connection = await asyncpg.connect(dsn)
    await register_vector(connection)
    await connection.execute("TRUNCATE sightings, emerging_patterns, emerging_events")
    await store(connection, vectors[:size])
    database = await Database.open(dsn, pool_size=4, acquire_timeout=5, statement_timeout=10)
    detection = PostgresDetection(database, MODEL)
    # Sweeps and full passes are not part of a sighting's cost.
    quiet = DetectorTiming(sweep=timedelta(days=1), full_pass=timedelta(days=1))
    use_case = detector(detection, quiet)
    try:
        async with detection.lead() as leadership:
            if leadership is None:
                message = "another process leads"
                raise RuntimeError(message)
            began, worked = time.perf_counter(), time.process_time()
            async with held() as gaps:
                await use_case.restore(leadership)
            restore, cpu = time.perf_counter() - began, time.process_time() - worked
            await use_case.step(leadership)
            ones: list[float] = []
            batches: list[float] = []
            at = size
            for count, costs in [(1, ones)] * ONES + [(BATCH, batches)] * 3:
                await connection.copy_records_to_table(
                    "sightings", records=rows(vectors[at : at + count], at, None), columns=COLUMNS
                )
                at += count
                costs.append(await timed_step(use_case, leadership) / count)
            began = time.perf_counter()
            await leadership.window((MODEL, TYPE), vectors.shape[1])
            read = time.perf_counter() - began
        takeovers = [
            await takeover(dsn, database, connection, rows(vectors[number:][:1], number, None))
            for number in range(at, at + TAKEOVERS)
        ]
    finally:
        await database.close()
        await connection.close()
    print(f"{size:>9}{statistics.median(ones):>9.2f}{statistics.median(batches):>9.2f}", end="")
    print(f"{restore:>11.2f}{cpu:>9.2f}{1000 * max(gaps):>9.0f}{read:>9.2f}", end="")
    print(f"{statistics.median(takeovers):>12.2f}{max(takeovers):>9.2f}")


def detector(store: PostgresDetection, timing: DetectorTiming) -> DetectEmerging:
    """A detector as the service makes one."""
    return DetectEmerging(
        store=store,
        cluster_threshold=THRESHOLDS.cluster,
        emergence=Emergence(min_accounts=3, min_similarity=THRESHOLDS.cluster),
        proven=Proven(min_similarity=THRESHOLDS.merge, min_lower_bound=0.6, min_accounts=3),
        k=3,
        timing=timing,
        clock=lambda: datetime.now(UTC),
        new_id=uuid4,
    )


@asynccontextmanager
async def held() -> AsyncIterator[list[float]]:
    """Seconds for which the event loop was not to be had, each time within the block."""
    gaps = [0.0]

    async def look() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - began - 0.001)

    looking = asyncio.create_task(look())
    try:
        yield gaps
    finally:
        looking.cancel()


async def takeover(
    dsn: str,
    database: Database,
    connection: asyncpg.Connection[asyncpg.Record],
    sighting: Iterator[tuple[object, ...]],
) -> float:
    """Seconds from a leader's death until a standby has looked at what came after it."""
    leader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.emerging_database", "--lead", dsn),
        stdout=asyncio.subprocess.PIPE,
    )
    standby: asyncio.Task[None] | None = None
    try:
        if leader.stdout is None or not await leader.stdout.readline():
            message = "the leader ended"
            raise RuntimeError(message)
        use_case = detector(PostgresDetection(database, MODEL), DetectorTiming())
        standby = asyncio.create_task(use_case.run())
        await asyncio.sleep(1)  # it has asked for the lead by now, in vain
        leader.kill()
        began = time.perf_counter()
        await connection.copy_records_to_table("sightings", records=sighting, columns=COLUMNS)
        while await connection.fetchval("SELECT EXISTS (SELECT FROM sightings WHERE pending)"):  # noqa: ASYNC110 - the table alone tells
            await asyncio.sleep(0.01)
        return time.perf_counter() - began
    finally:
        if leader.returncode is None:
            leader.kill()
        await leader.wait()
        if standby is not None:
            standby.cancel()
            await asyncio.wait([standby])


async def lead(dsn: str) -> None:
    """Lead until killed; print a line after the first step."""
    database = await Database.open(dsn, pool_size=4, acquire_timeout=5, statement_timeout=10)
    detection = PostgresDetection(database, MODEL)
    async with detection.lead() as leadership:
        if leadership is None:
            message = "another process leads"
            raise RuntimeError(message)
        use_case = detector(detection, DetectorTiming())
        await use_case.restore(leadership)
        await use_case.step(leadership)
        print("leads", flush=True)
        while True:
            await use_case.step(leadership)
            await asyncio.sleep(DetectorTiming().poll.total_seconds())


async def timed_step(use_case: DetectEmerging, leadership: Leadership) -> float:
    """Milliseconds of one step."""
    began = time.perf_counter()
    await use_case.step(leadership)
    return (time.perf_counter() - began) * 1000


async def run(sizes: list[int]) -> None:
    """Print the table."""
    data = await asyncio.to_thread(labelled)
    with tempfile.TemporaryDirectory() as directory:
        # The bundled server runs as another user when we are root.
        await asyncio.to_thread(Path(directory).chmod, 0o711)
        postgres = EmbeddedPostgres(Path(directory) / "data")
        dsn = await postgres.start()
        try:
            await migrate(dsn)
            print(f"{'sightings':>9}{'one ms':>9}{'batch ms':>9}{'restore s':>11}", end="")
            print(f"{'cpu s':>9}{'held ms':>9}{'read s':>9}{'takeover s':>12}{'worst s':>9}")
            for size in sizes:
                await measure(dsn, data, size)
        finally:
            await postgres.stop()


def main() -> None:
    """Read the sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--lead", metavar="DSN", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # The table alone: migrations and leaders log what they do.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(lead(arguments.lead) if arguments.lead else run(arguments.sizes))


if __name__ == "__main__":
    main()
