"""What one more sighting costs the detector with a real database, and how soon another leader is there.

    python -m bench.emerging_database                          1,000 and 10,000 sightings stored
    python -m bench.emerging_database --sizes 1000 100000      100,000 need 1 GB of disk

The vectors are those of bench/emerging.py. Every cluster of three accounts or more is `shown`, and there
are a thousand proven patterns of its type, none of which says the same.

`restore` is what a new leader reads before its first step, in seconds, `cpu` how many of them this
process computes (what a machine without other work would take, or nearly), and `held` the longest that
this holds up the event loop, in milliseconds. `first` is its first step; `look` all steps until every
shown cluster has been looked at once, and `longest` the longest of them, in seconds. `one` is a step that
finds a single new sighting, `batch` a step that finds five hundred, per sighting, `sweep` a step
that looks for promotions after fifty patterns have changed; all in milliseconds of wall time, the
database's share included, as the median. `read` is what a full pass reads before it computes, in seconds.
`takeover` is the time from kill -9 of the leader's process until a standby with the service's timing has
committed its first step, in seconds: median and worst of five.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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
from keeper_grpc.domain.emerging.model import Emergence, EmergingPattern, Proven
from keeper_grpc.domain.emerging.novelty import NoveltyScale
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.embedding.embedder import DIMENSIONS
from keeper_grpc.embedding.local import THRESHOLDS
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.storage.emerging.rows import COLUMNS as DESCRIPTION
from keeper_grpc.storage.emerging.rows import to_json
from keeper_grpc.storage.patterns.versions import open_scope
from keeper_grpc.storage.schema.migrate import migrate
from keeper_grpc.usecases.emerging.detector import DetectEmerging, DetectorTiming
from keeper_grpc.usecases.emerging.ports import Leadership

MODEL, TYPE = "bench", "churn_prevention"
ACCOUNTS = 1_000
SHOWN_FROM = 3
PATTERNS = 1_000
CHANGED = 50
ONES = 60
SWEEPS = 9
TAKEOVERS = 5
SCOPE = Scope(TYPE, "spa", MODEL)
COLUMNS = (
    "scope_id",
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
            SCOPE.scope_id,
            f"{number % ACCOUNTS:064x}",
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


def described(cluster_id: UUID, members: list[int], similarity: float) -> EmergingPattern:
    """A cluster of these sightings, as some leader may have told it."""
    now = datetime.now(UTC)
    return EmergingPattern(
        emerging_pattern_id=cluster_id,
        pattern_type=TYPE,
        embedding_model=MODEL,
        business_categories=("spa",),
        common_pattern="When days since last visit is …, send a note (churn prevention, spa).",
        account_count=len({number % ACCOUNTS for number in members}),
        sighting_count=len(members),
        mean_similarity=similarity,
        mean_confidence=0.5,
        total_potential_value=100.0 * len(members),
        first_seen_time=now,
        last_seen_time=now,
        label="Churn prevention: days, last, note",
    )


async def store(connection: asyncpg.Connection[asyncpg.Record], vectors: Matrix) -> int:
    """Store sightings and the clusters that incremental clustering makes of them; how many are shown."""
    labels = incremental(vectors)
    ids = [uuid4() for _ in range(int(labels.max()) + 1)]
    sums = np.zeros((len(ids), DIMENSIONS), np.float32)
    np.add.at(sums[:, : vectors.shape[1]], labels, vectors)
    members: list[list[int]] = [[] for _ in ids]
    for number, label in enumerate(labels):
        members[label].append(number)
    clusters = [
        described(cluster_id, mine, float(np.linalg.norm(total)) / len(mine))
        for cluster_id, mine, total in zip(ids, members, sums, strict=True)
    ]
    emergence = Emergence(SHOWN_FROM, THRESHOLDS.cluster)
    await connection.executemany(
        f"""
        INSERT INTO emerging_patterns ({DESCRIPTION}, state, vector_sum, vector_count)
        SELECT {DESCRIPTION}, $2, $3, $4
          FROM jsonb_populate_record(NULL::emerging_patterns, $1)
        """,  # noqa: S608 - constants
        [
            (
                json.dumps(to_json(cluster)),
                "emerging" if emergence.shows(cluster) else "forming",
                Vector(total),
                cluster.sighting_count,
            )
            for cluster, total in zip(clusters, sums, strict=True)
        ],
    )
    shown = [cluster for cluster in clusters if emergence.shows(cluster)]
    await connection.executemany(
        """
        INSERT INTO emerging_events (emerging_pattern_id, change, state, created_at)
        VALUES ($1, 'new', $2, now())
        """,
        [(cluster.emerging_pattern_id, json.dumps(to_json(cluster))) for cluster in shown],
    )
    await connection.copy_records_to_table(
        "sightings", records=rows(vectors, 0, [ids[label] for label in labels]), columns=COLUMNS
    )
    return len(shown)


async def store_patterns(
    connection: asyncpg.Connection[asyncpg.Record], vectors: Matrix
) -> list[UUID]:
    """Store patterns that are published and surely good."""
    ids = [uuid4() for _ in vectors]
    padded = np.zeros((len(vectors), DIMENSIONS), np.float32)
    padded[:, : vectors.shape[1]] = vectors
    await open_scope(connection, SCOPE)
    await connection.executemany(
        """
        INSERT INTO network_patterns (id, scope_id, pattern_type, business_category, embedding_model,
            pattern_embedding, context, action_template, shown_action, occurrence_count, success_count,
            account_count, confidence_score, first_discovered)
        VALUES ($1, $5, $2, 'spa', $3, $4, '{}', 'send a note', 'send a note', 100, 90, 10, 0.83, now())
        """,
        [
            (each, TYPE, MODEL, Vector(row), SCOPE.scope_id)
            for each, row in zip(ids, padded, strict=True)
        ],
    )
    return ids


async def measure(dsn: str, data: Labelled, size: int) -> None:
    """Print the costs with so many sightings stored."""
    vectors, _ = synthetic(data, size + ONES + 3 * BATCH + TAKEOVERS)
    connection = await asyncpg.connect(dsn)
    await register_vector(connection)
    await connection.execute(
        "TRUNCATE sightings, emerging_patterns, emerging_events, network_patterns, scopes CASCADE"
    )
    shown = await store(connection, vectors[:size])
    patterns = await store_patterns(connection, synthetic(data, PATTERNS)[0])
    await connection.execute("VACUUM ANALYZE")
    # Else the steps wait for what the load left to be written.
    await connection.execute("CHECKPOINT")
    database = await Database.open(dsn, pool_size=4, acquire_timeout=5, statement_timeout=10)
    detection = PostgresDetection(database, MODEL)
    # Full passes are no part of a step's cost; each step below is a sweep if one is due at all.
    use_case = detector(detection, DetectorTiming(sweep=timedelta(0), full_pass=timedelta(days=1)))
    try:
        async with detection.lead() as leadership:
            if leadership is None:
                message = "another process leads"
                raise RuntimeError(message)
            began, worked = time.perf_counter(), time.process_time()
            async with held() as gaps:
                await use_case.restore(leadership)
            restore, cpu = time.perf_counter() - began, time.process_time() - worked
            looks = await look(use_case, leadership)
            ones: list[float] = []
            batches: list[float] = []
            at = size
            for count, costs in [(1, ones)] * ONES + [(BATCH, batches)] * 3:
                await connection.copy_records_to_table(
                    "sightings", records=rows(vectors[at : at + count], at, None), columns=COLUMNS
                )
                at += count
                costs.append(await timed_step(use_case, leadership) / count)
            sweeps = []
            for number in range(SWEEPS):
                await connection.execute(
                    "UPDATE network_patterns SET occurrence_count = occurrence_count + 1"
                    " WHERE id = ANY($1::uuid[])",
                    patterns[number * CHANGED :][:CHANGED],
                )
                sweeps.append(await timed_step(use_case, leadership))
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
    show(size, shown, f"{restore:.2f}", f"{cpu:.2f}", f"{1000 * max(gaps):.0f}")
    show(f"{looks[0]:.2f}", f"{sum(looks):.2f}", f"{max(looks):.2f}")
    show(*(f"{statistics.median(costs):.2f}" for costs in (ones, batches, sweeps)), f"{read:.2f}")
    show(f"{statistics.median(takeovers):.2f}", f"{max(takeovers):.2f}", end="\n")


def show(*cells: object, end: str = "") -> None:
    """Print a part of a row."""
    print("".join(f"{cell:>11}" for cell in cells), end=end, flush=True)


async def look(use_case: DetectEmerging, leadership: Leadership) -> list[float]:
    """Seconds of each step from the first one until nothing is left to be looked at."""
    seconds = []
    goes_on = True
    while goes_on:
        began = time.perf_counter()
        goes_on = await use_case.step(leadership)
        seconds.append(time.perf_counter() - began)
    return seconds


def detector(store: PostgresDetection, timing: DetectorTiming) -> DetectEmerging:
    """A detector as the service makes one."""
    return DetectEmerging(
        store=store,
        cluster_threshold=THRESHOLDS.cluster,
        emergence=Emergence(SHOWN_FROM, THRESHOLDS.cluster),
        proven=Proven(min_similarity=THRESHOLDS.merge, min_lower_bound=0.6, k=3),
        k=3,
        embedder=None,
        scale=NoveltyScale.of(THRESHOLDS),
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
    data = await labelled()
    with tempfile.TemporaryDirectory() as directory:
        # The bundled server runs as another user when we are root.
        await asyncio.to_thread(Path(directory).chmod, 0o711)
        postgres = EmbeddedPostgres(Path(directory) / "data")
        dsn = await postgres.start()
        try:
            await migrate(dsn)
            show("sightings", "shown", "restore s", "cpu s", "held ms", "first s", "look s")
            show("longest s", "one ms", "batch ms", "sweep ms", "read s", "takeover s", "worst s")
            print()
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
