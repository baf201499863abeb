"""How many insights a second one process enhances: call by call, and over a stream.

    python bench/enhance.py                        1,000 and 10,000 patterns in one scope
    python bench/enhance.py --patterns 100000      another size
    python bench/enhance.py --seconds 10           longer measurements

A server process on a database of its own is asked by this process over one connection, with so many
questions in flight as the table says. The floor is what the same pair does without any work: health
Check, measured in the same run, unary at the same concurrency. Machines differ and are shared, so
read the ratio.

    known   every question was asked before: its vector is in the cache, as in an engine's hot loop
    new     no question was asked before: the bundled model embeds each
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

# Before numpy and grpc are imported: one BLAS thread halves the CPU of an embedding (ADR 2), and
# gRPC's fork handlers complain about every program that is started.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import asyncpg
import grpc
import numpy as np
import structlog
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from pgvector.asyncpg import register_vector

from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.insight import AnonymizedInsight
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightRequest,
    EnhanceInsightsRequest,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.settings import Settings
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.patterns.versions import open_scope
from keeper_grpc.storage.schema.migrate import migrate

if TYPE_CHECKING:  # a type of the stub file only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

TYPE, CATEGORY = "churn_prevention", "spa"
CONCURRENCY = 16
KNOWN = 128
"""Different questions that are asked over and over."""
ACCOUNTS = 3
"""Behind each pattern: the least that is published."""
TRIALS = 4
"""Of each account, all successful."""

DRINKS = ("tea", "coffee", "water", "juice", "cider", "cocoa", "lemonade", "punch")
WHEN = ("morning", "evening", "weekend", "summer", "winter", "holiday", "monday", "friday")
GIFTS = ("towel", "robe", "candle", "soap", "oil", "lotion", "mask", "scrub")

SERVER = Path(__file__).parents[1] / "server.py"


@dataclass(frozen=True)
class Row:
    """One measurement: questions a second, and how many of the answers were enhanced."""

    patterns: int
    what: str
    per_second: float
    enhanced: float


def action(number: int) -> str:
    """Imperative sentences without end, of words that the anonymizer lets pass."""
    drink, when, gift = (
        DRINKS[number % 8],
        WHEN[number // 8 % 8],
        GIFTS[number // 64 % 8],
    )
    return f"Offer {drink} and a {gift} for {number // 512 + 1}% less on a {when}"


def question(account: str, number: int) -> EnhanceInsightRequest:
    """A spa's question."""
    return EnhanceInsightRequest(
        account_id=account,
        insight=Insight(
            type=TYPE, business_category=CATEGORY, action=action(number), confidence=0.5
        ),
    )


async def add_patterns(dsn: str, first: int, last: int) -> None:
    """Patterns around the questions' texts, each proven by other accounts."""
    model = LocalEmbedder()
    texts = [
        AnonymizedInsight(TYPE, CATEGORY, {}, action(number), "", 0.5, 0, 0).render()
        for number in range(0, 512, 2)
    ]
    near = await model.embed(texts)
    await model.aclose()
    weight = recency_weight(datetime.now(UTC), Settings.model_fields["evidence_half_life"].default)
    generator = np.random.default_rng(first)
    connection = await asyncpg.connect(dsn)
    try:
        await register_vector(connection)
        keys = [f"bench:{number}" for number in range(ACCOUNTS)]
        await connection.executemany(
            "INSERT INTO accounts (account_key, business_category, joined_time, qualified)"
            " VALUES ($1, $2, now(), true) ON CONFLICT DO NOTHING",
            [(key, CATEGORY) for key in keys],
        )
        ids = [uuid4() for _ in range(first, last)]
        scope = Scope(TYPE, CATEGORY, model.model)
        await open_scope(connection, scope)
        noise = generator.standard_normal((len(ids), near.shape[1])).astype(np.float32)
        # A cosine of about 0.8 to the text: similar, and not the same.
        vectors = near[generator.integers(len(texts), size=len(ids))] + 0.02 * noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        await connection.executemany(
            """
            INSERT INTO network_patterns (id, scope_id, pattern_type, business_category, embedding_model,
                pattern_embedding, context, action_template, shown_action, occurrence_count, success_count,
                account_count, confidence_score, first_discovered)
            VALUES ($1, $8, $2, $3, $4, $5, '{}', 'Offer the guest something', 'Offer the guest something', $6, $6, $7, 0.8, now())
            """,
            [
                (
                    key,
                    TYPE,
                    CATEGORY,
                    model.model,
                    vector,
                    ACCOUNTS * TRIALS,
                    ACCOUNTS,
                    scope.scope_id,
                )
                for key, vector in zip(ids, vectors, strict=True)
            ],
        )
        await connection.executemany(
            "INSERT INTO pattern_accounts (scope_id, pattern_id, account_key, occurrence_count,"
            " success_count, revenue_total, revenue_count, recent_trials, recent_successes)"
            " VALUES ($5, $1, $2, $3, $3, 0, 0, $4, $4)",
            [
                (pattern, key, TRIALS, TRIALS * weight, scope.scope_id)
                for pattern in ids
                for key in keys
            ],
        )
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


@asynccontextmanager
async def server(dsn: str, directory: Path) -> AsyncIterator[int]:
    """The port of a server process on this database."""
    log = directory / "server.log"
    process = launch(dsn, directory, log)
    try:
        yield await asyncio.to_thread(serving, process, log)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


def launch(dsn: str, directory: Path, log: Path, **more: str) -> subprocess.Popen[bytes]:
    """Start a server that writes this log, with these settings too."""
    keys = f"bench:{base64.b64encode(bytes(32)).decode()}"
    settings = {
        "KEEPER_DATABASE_URL": dsn,
        "KEEPER_DATA_DIR": str(directory),
        "KEEPER_PSEUDONYM_KEYS": keys,
        "KEEPER_EMBEDDER": "local",
        "KEEPER_OPEN_ACCOUNTS": "true",
        "KEEPER_PORT": "0",
        "KEEPER_LOG_FORMAT": "json",
    }
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, SERVER], env=os.environ | settings | more, stderr=stream
        )


def serving(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until the server says its port."""
    while process.poll() is None:
        for line in log.read_text().splitlines():
            event = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if event.get("event") == "serving":
                return int(event["port"])
        time.sleep(0.1)
    raise RuntimeError(f"the server ended:\n{log.read_text()}")


async def unary(
    call: Callable[[int], Awaitable[bool]], numbers: Iterator[int], seconds: float
) -> tuple[float, float]:
    """Calls a second with CONCURRENCY callers, and the share that answered true."""
    end = time.perf_counter() + seconds
    answers: list[bool] = []

    async def caller() -> None:
        while time.perf_counter() < end:
            answers.append(await call(next(numbers)))

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
    return len(answers) / (time.perf_counter() - start), float(np.mean(answers))


async def streamed(
    network: NetworkLearningServiceAsyncStub, numbers: Iterator[int], seconds: float
) -> tuple[float, float]:
    """Questions a second over one stream, and the share that was enhanced."""
    end = time.perf_counter() + seconds
    account = f"account-{uuid4()}"

    open_questions = asyncio.Semaphore(CONCURRENCY)

    async def questions() -> AsyncIterator[EnhanceInsightsRequest]:
        while time.perf_counter() < end:
            await open_questions.acquire()
            number = next(numbers)
            yield EnhanceInsightsRequest(
                correlation_id=str(number), request=question(account, number)
            )

    start = time.perf_counter()
    answers: list[bool] = []
    async for answer in network.EnhanceInsights(questions()):
        answers.append(answer.response.enhanced_insight.network_enhanced)
        open_questions.release()
    return len(answers) / (time.perf_counter() - start), float(np.mean(answers))


async def measure(port: int, patterns: int, seconds: float, fresh: Iterator[int]) -> list[Row]:
    """The floor, then each way to ask, known and new."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        network: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(channel)
        health = HealthStub(channel)
        account = f"account-{uuid4()}"

        async def check(_: int) -> bool:
            await health.Check(  # type: ignore[attr-defined]  # its stubs forgot it
                HealthCheckRequest()
            )
            return True

        async def enhance(number: int) -> bool:
            answer = await network.EnhanceInsight(question(account, number))
            return answer.enhanced_insight.network_enhanced

        known = cycle(range(KNOWN))
        for first in range(0, KNOWN, CONCURRENCY):
            await asyncio.gather(*(enhance(first + each) for each in range(CONCURRENCY)))
        rows = []
        ways: list[tuple[str, Callable[[], Awaitable[tuple[float, float]]]]] = [
            ("health Check", lambda: unary(check, known, seconds)),
            ("unary, known", lambda: unary(enhance, known, seconds)),
            ("stream, known", lambda: streamed(network, known, seconds)),
            ("unary, new", lambda: unary(enhance, fresh, seconds)),
            ("stream, new", lambda: streamed(network, fresh, seconds)),
        ]
        for what, measured in ways:
            per_second, enhanced = await measured()
            rows.append(Row(patterns, what, per_second, enhanced))
        return rows


@contextmanager
def open_directory() -> Iterator[Path]:
    """A directory that the bundled PostgreSQL's own user can enter, when we are root."""
    with tempfile.TemporaryDirectory(prefix="keeper-bench-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def main(sizes: Sequence[int], seconds: float) -> None:
    """Measure every size, growing one database, and print a table."""
    print(f"{'patterns':>9}  {'what':<14} {'per s':>8} {'of floor':>9} {'enhanced':>9}")
    fresh = count(512)
    with open_directory() as directory:
        async with EmbeddedPostgres(directory / "data") as postgres:
            await migrate(postgres.dsn)
            there = 0
            for size in sizes:
                await add_patterns(postgres.dsn, there, size)
                there = size
                async with server(postgres.dsn, directory) as port:
                    rows = await measure(port, size, seconds, fresh)
                floor = rows[0].per_second
                for row in rows:
                    print(
                        f"{row.patterns:>9,}  {row.what:<14} {row.per_second:>8,.0f} "
                        f"{row.per_second / floor:>9.2f} {row.enhanced:>9.0%}"
                    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--patterns", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--seconds", type=float, default=1.5, help="for each measurement")
    arguments = parser.parse_args()
    # The table alone: migrations log what they do.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(main(sorted(arguments.patterns), arguments.seconds))
