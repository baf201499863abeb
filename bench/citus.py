"""Captures and questions on a Citus cluster beside one node.

    python -m bench.citus --node DSN --cluster DSN [--fill 1000] [--rounds 3] [--seconds 10]
                           [--callers 16] [--questions 200]

`--node` names an empty database of one server, `--cluster` an empty one of a coordinator that knows its workers, all on this
machine, set alike and with a superuser: the processor time of their processes is read. One process serves both. Each first
gets `--fill` captures, over 24 scopes; 0 measures what an earlier run filled. Then, in each round and in turns, captures by
so many callers for some seconds, and questions one at a time, each sent to one and then to the other. Printed is the median
of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import grpc

from bench.calls.requests import Requests
from bench.captures import postgres_seconds
from keeper_grpc import logs
from keeper_grpc.app import application
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.settings import Settings
from keeper_grpc.storage.schema.distribution import distribute
from keeper_grpc.storage.schema.migrate import migrate

if TYPE_CHECKING:
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

_KEYS = "bench:" + "A" * 43 + "="


@dataclass(frozen=True, slots=True)
class Place:
    """A database that is measured, and the postmasters of its servers; the first is the one that is connected to."""

    stub: NetworkLearningServiceAsyncStub
    postmasters: Sequence[int]

    def seconds(self) -> tuple[float, float]:
        """Processor time of the server that is connected to, and of its workers."""
        first, *workers = map(postgres_seconds, self.postmasters)
        return first, sum(workers)


@dataclass(frozen=True, slots=True)
class Captured:
    """Captures of some seconds; times are milliseconds of a processor for each."""

    rate: float
    p50: float
    own: float
    connected: float
    workers: float


async def postmasters(dsn: str) -> list[int]:
    """The process ids of the server of this database and of its workers."""
    connection = await asyncpg.connect(dsn)
    try:
        found = [await _postmaster(connection)]
        nodes = []
        if await connection.fetchval("SELECT to_regclass('pg_catalog.pg_dist_node')"):
            nodes = await connection.fetch(
                "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid > 0 AND noderole = 'primary'"
            )
    finally:
        await connection.close()
    parts = urlsplit(dsn)
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    for node in nodes:
        netloc = f"{login}{node['nodename']}:{node['nodeport']}"
        worker = await asyncpg.connect(parts._replace(netloc=netloc).geturl())
        try:
            found.append(await _postmaster(worker))
        finally:
            await worker.close()
    return found


async def _postmaster(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    return int((await connection.fetchval("SELECT pg_read_file('postmaster.pid')")).split()[0])


@contextlib.asynccontextmanager
async def served(dsn: str, directory: Path) -> AsyncIterator[Place]:
    """The service on a database."""
    settings = Settings(
        port=0,
        database_url=dsn,
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
        yield Place(NetworkLearningServiceStub(channel), await postmasters(dsn))


async def capture(
    place: Place,
    waiting: Iterator[network.CapturePatternRequest],
    callers: int,
    seconds: float | None = None,
) -> Captured:
    """Captures by so many callers, until the time is over or all are sent."""
    times: list[float] = []
    began = time.perf_counter()

    async def caller() -> None:
        for request in waiting:
            sent = time.perf_counter()
            await place.stub.CapturePattern(request)
            times.append(time.perf_counter() - sent)
            if seconds is not None and time.perf_counter() - began > seconds:
                return

    own, (connected, workers) = time.process_time(), place.seconds()
    await asyncio.gather(*(caller() for _ in range(callers)))
    own = time.process_time() - own
    after = place.seconds()
    each = 1e3 / len(times)
    return Captured(
        len(times) / (time.perf_counter() - began),
        1e3 * statistics.median(times),
        own * each,
        (after[0] - connected) * each,
        (after[1] - workers) * each,
    )


async def ask(
    places: Sequence[Place], questions: Sequence[network.EnhanceInsightRequest]
) -> list[float]:
    """The median milliseconds of a question in each place."""
    times: list[list[float]] = [[] for _ in places]
    for question, (place, own) in itertools.product(
        questions, list(zip(places, times, strict=True))
    ):
        sent = time.perf_counter()
        await place.stub.EnhanceInsight(question)
        own.append(1e3 * (time.perf_counter() - sent))
    return [statistics.median(own) for own in times]


async def run(arguments: argparse.Namespace) -> None:
    """Fill both databases, measure them in turns, and print the table."""
    await migrate(arguments.node)
    await migrate(arguments.cluster)
    await distribute(arguments.cluster)
    with tempfile.TemporaryDirectory(prefix="keeper-bench-", dir="/tmp") as name:
        async with (
            served(arguments.node, Path(name) / "node") as node,
            served(arguments.cluster, Path(name) / "cluster") as cluster,
        ):
            places = node, cluster
            for place in places:
                if arguments.fill:
                    filling = iter(Requests(0).captures(arguments.fill))
                    await capture(place, filling, arguments.callers)
            captured: tuple[list[Captured], list[Captured]] = [], []
            asked = []
            for turn in range(arguments.rounds):
                for place, own in zip(places, captured, strict=True):
                    waiting = iter(Requests(1 + turn).captures(int(2_000 * arguments.seconds)))
                    own.append(await capture(place, waiting, arguments.callers, arguments.seconds))
                asked.append(await ask(places, Requests(20 + turn).questions(arguments.questions)))
    _print(captured, asked, arguments)


def _print(
    captured: Sequence[Sequence[Captured]],
    asked: Sequence[Sequence[float]],
    arguments: argparse.Namespace,
) -> None:
    print(
        f"{arguments.callers} callers, {arguments.rounds} rounds of {arguments.seconds:g} s, "
        f"medians of the rounds"
    )
    print(f"{'':42} {'one node':>9} {'cluster':>9} {'ratio':>6}")
    for name, field in (
        ("captures/s", "rate"),
        ("a capture's time at the caller, p50 ms", "p50"),
        ("processor of a capture: the service, ms", "own"),
        ("  the server that it is connected to, ms", "connected"),
        ("  the workers, ms", "workers"),
    ):
        _row(name, *(statistics.median(getattr(each, field) for each in own) for own in captured))
    _row(
        "  all servers, ms",
        *(statistics.median(each.connected + each.workers for each in own) for own in captured),
    )
    _row(
        "a question's time at the caller, p50 ms", *map(statistics.median, zip(*asked, strict=True))
    )


def _row(name: str, node: float, cluster: float) -> None:
    ratio = f"{cluster / node:.2f}" if node else ""
    print(f"{name:42} {node:>9.2f} {cluster:>9.2f} {ratio:>6}")


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", required=True)
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--fill", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--questions", type=int, default=200)
    logs.configure("warning", "console")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
