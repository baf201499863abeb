"""What does the time of a call tell of what is withheld?

`python -m bench.timing` serves a network of its own, and measures on a channel, in turns, calls about what exists and is
withheld and about what does not exist; and questions in words that somebody has sent before and in new ones. It
prints the area under the ROC curve (AUC) of guessing which is which from one call's time, and of the mean of ten: 0.5
is chance, 1 is certainty.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

import asyncpg
import grpc

from keeper_grpc import logs
from keeper_grpc.app import application
from keeper_grpc.gen.keeper.network.v1 import insight_pb2, network_service_pb2
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.settings import Settings
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres

if TYPE_CHECKING:
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

CALLS = 300
"""Calls of each kind."""

TOGETHER = 10
"""Calls whose mean a more patient observer takes."""

_WORDS = ("guest", "towel", "massage", "facial", "sauna", "candle", "tea", "music", "card", "class")
_KEYS = "bench:" + "A" * 43 + "="


def words() -> Callable[[], str]:
    """Actions of known words, each one once."""
    every = itertools.permutations(_WORDS, 4)
    return lambda: "Offer the " + " and the ".join(next(every))


def auc(lower: Sequence[float], higher: Sequence[float]) -> float:
    """How often a time of the second kind is longer than one of the first; ties count half."""
    wins = sum((a < b) + (a == b) / 2 for a in lower for b in higher)
    return wins / (len(lower) * len(higher))


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """Seconds of one call, whether it succeeds or is refused."""
    began = time.perf_counter()
    try:
        await call()
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
    return time.perf_counter() - began


async def compare(
    name: str, one: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]]
) -> None:
    """Measure two kinds of calls in random turns, and print what tells them apart."""
    times: tuple[list[float], list[float]] = ([], [])
    order = [0, 1] * CALLS
    random.Random(1).shuffle(order)  # noqa: S311 - an order, not a secret
    for _ in range(20):
        await timed(one)
    for kind in order:
        times[kind].append(await timed((one, other)[kind]))
    means = [
        [fmean(each[at : at + TOGETHER]) for at in range(0, len(each), TOGETHER)] for each in times
    ]
    print(
        f"{name}: {median(times[0]) * 1e3:.2f} and {median(times[1]) * 1e3:.2f} ms,"
        f" AUC {auc(*times):.2f}, of means of {TOGETHER} {auc(means[0], means[1]):.2f}"
    )


def _insight(action: str, pattern_type: str = "timing") -> insight_pb2.Insight:
    return insight_pb2.Insight(
        type=pattern_type, business_category="spa", action=action, confidence=0.5
    )


async def measure(stub: NetworkLearningServiceAsyncStub, dsn: str) -> None:
    """Print every comparison."""
    new = words()
    sent = [new() for _ in range(CALLS + 20)]
    for number, action in enumerate(sent):
        await stub.CapturePattern(
            network_service_pb2.CapturePatternRequest(
                request_id=str(uuid.uuid4()),
                account_id=f"victim {number % 2}",
                insight=_insight(action),
                outcome=insight_pb2.Outcome(success=True),
            )
        )
    connection = await asyncpg.connect(dsn)
    withheld = [str(row[0]) for row in await connection.fetch("SELECT id FROM network_patterns")]
    await connection.close()

    def get(pattern_id: str) -> Awaitable[object]:
        return stub.GetPattern(network_service_pb2.GetPatternRequest(pattern_id=pattern_id))

    def ask(action: str, pattern_type: str) -> Awaitable[object]:
        return stub.EnhanceInsight(
            network_service_pb2.EnhanceInsightRequest(
                account_id="observer", insight=_insight(action, pattern_type)
            )
        )

    await compare(
        "GetPattern, no pattern and a withheld one",
        lambda: get(str(uuid.uuid4())),
        lambda: get(random.choice(withheld)),  # noqa: S311 - a sample, not a secret
    )
    await compare(
        "EnhanceInsight in known words, a type of nothing and one of withheld patterns",
        lambda: ask(sent[0], "nothing"),
        lambda: ask(sent[0], "timing"),
    )
    again = iter(sent)
    await compare(
        "EnhanceInsight, words sent before and new ones",
        lambda: ask(next(again), "timing"),
        lambda: ask(new(), "timing"),
    )


async def main() -> None:
    """Serve a network on a database of its own, and measure it."""
    logs.configure("warning", "console")
    with tempfile.TemporaryDirectory(prefix="keeper-timing-") as name:
        directory = Path(name)
        async with EmbeddedPostgres(directory, durable=False) as postgres:
            settings = Settings(
                port=0,
                database_url=postgres.dsn,
                data_dir=directory,
                pseudonym_keys=_KEYS,
                embedder="local",
                seed_catalog=False,
                open_accounts=True,
            )
            async with (
                application(settings) as app,
                grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel,
            ):
                stub: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(channel)
                await measure(stub, postgres.dsn)


if __name__ == "__main__":
    asyncio.run(main())
