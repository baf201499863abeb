"""How fast one process tells all its subscribers of a change.

    python bench/fanout.py                       1,000 subscribers, bursts of 50 changes
    python bench/fanout.py --subscribers 200     other sizes
    python bench/fanout.py --changes 100
    python bench/fanout.py --filters 2           other filters, which let the same changes pass

A server process on a database of its own is subscribed to by this process, over ten connections.
Changes are written to the event table as the detector's leader writes them; the time counts from
before their transaction until the last subscriber has the last of them. Every subscriber's messages
are then read and must be each change once, in order. The floor is a bare server that does nothing but
write as many bytes of its own to as many streams when it is told to. Both pairs share the machine
with the subscribers, which need as much CPU as the server: read the ratio.

    burst    the changes are written at once: messages a second, all subscribers together
    one      one change at a time: milliseconds until the last subscriber has it, median and worst
    stuck    the same beside a subscriber that does not read, until it is cut off and after
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

# Before grpc is imported: its fork handlers complain about every program that is started.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import asyncpg
import grpc
import structlog

from keeper_grpc.domain.emerging.model import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
)
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.emerging.rows import EVENTS_CHANNEL, to_json
from keeper_grpc.storage.schema.migrate import migrate

SERVER = Path(__file__).parents[1] / "server.py"
SUBSCRIBE = "/keeper.network.v1.NetworkLearningService/StreamEmergingPatterns"
FLOOR_SUBSCRIBE, FLOOR_WRITE = "/floor/Subscribe", "/floor/Write"

CONNECTIONS = 10
SINGLES = 20
"""Changes that are written one by one."""
MESSAGE = 365
"""Bytes of the floor's messages: those of a change and its token."""
LOG = "server.log"
TYPE, OTHER_TYPE = "fanout", "bulk"
BULK, BULK_TEXT = 600, 4_000
"""Changes that fill what gRPC keeps for the stuck one; their type is not what the others want."""
WINDOW = 65_535
"""Bytes that the stuck subscriber's connection keeps unread: HTTP/2's default, and no more."""


class Subscribers:
    """Streams, and what came through them."""

    def __init__(self, calls: Sequence[Any]) -> None:
        self._calls = calls
        self.received: list[list[bytes]] = [[] for _ in calls]
        self._missing = 0
        self._complete = asyncio.Event()
        self._readers = [
            asyncio.ensure_future(self._read(call, received))
            for call, received in zip(calls, self.received, strict=True)
        ]

    async def _read(self, call: Any, received: list[bytes]) -> None:
        while True:
            message = await call.read()
            if len(message) < MESSAGE // 2:
                continue  # a snapshot's end, or a heartbeat
            received.append(message)
            self._missing -= 1
            if not self._missing:
                self._complete.set()

    async def timed(self, count: int, write: Callable[[], Awaitable[None]]) -> float:
        """Seconds from before `write` until each subscriber has `count` messages more."""
        self._missing = count * len(self._calls)
        self._complete.clear()
        start = time.perf_counter()
        await write()
        await asyncio.wait_for(self._complete.wait(), 60)
        return time.perf_counter() - start

    async def close(self) -> None:
        """End the streams."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.wait(self._readers)
        for call in self._calls:
            call.cancel()


@asynccontextmanager
async def subscribed(
    port: int, method: str, requests: Sequence[bytes]
) -> AsyncIterator[Subscribers]:
    """A stream of each request, all past their first message."""
    async with AsyncExitStack() as stack:
        channels: list[Any] = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(
                    f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
                )
            )
            for _ in range(CONNECTIONS)
        ]
        calls = [
            channels[number % CONNECTIONS].unary_stream(method)(request)
            for number, request in enumerate(requests)
        ]
        await asyncio.gather(*(call.read() for call in calls))
        subscribers = Subscribers(calls)
        try:
            yield subscribers
        finally:
            await subscribers.close()


def cluster(pattern_type: str, text: str) -> EmergingPattern:
    """A cluster of its own."""
    now = datetime.now(UTC)
    return EmergingPattern(
        uuid4(), pattern_type, "none", ("spa",), text, 3, 3, 0.9, 0.5, 300.0, now, now
    )


async def tell(connection: Any, clusters: Sequence[EmergingPattern]) -> None:
    """Let clusters emerge."""
    async with connection.transaction():
        await connection.executemany(
            "INSERT INTO emerging_events (emerging_pattern_id, change, state, created_at)"
            " VALUES ($1, 'new', $2, now())",
            [(each.emerging_pattern_id, json.dumps(to_json(each))) for each in clusters],
        )
        await connection.execute(f"NOTIFY {EVENTS_CHANNEL}")


class Told:
    """Writes changes, and remembers which."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.ids: list[UUID] = []

    async def __call__(self, count: int) -> None:
        """So many clusters emerge."""
        clusters = [cluster(TYPE, "When it rains, Offer a warm towel") for _ in range(count)]
        self.ids.extend(each.emerging_pattern_id for each in clusters)
        await tell(self._connection, clusters)


async def measure(
    name: str,
    subscribers: Subscribers,
    changes: int,
    write: Callable[[int], Awaitable[None]],
) -> float:
    """Print one row; messages a second."""
    count = len(subscribers.received)
    bursts = [await subscribers.timed(changes, lambda: write(changes)) for _ in range(3)]
    singles = [1000 * await subscribers.timed(1, lambda: write(1)) for _ in range(SINGLES)]
    rate = count * changes / statistics.median(bursts)
    print(
        f"{name:<22} {count:>11,} {rate:>11,.0f} {statistics.median(singles):>9.0f}"
        f" {max(singles):>9.0f}",
        flush=True,
    )
    return rate


def verify(subscribers: Subscribers, expected: Sequence[UUID]) -> None:
    """Raises unless every subscriber has every change once, in order."""
    wanted = [str(each) for each in expected]
    for received in subscribers.received:
        got = [
            StreamEmergingPatternsResponse.FromString(message).emerging_pattern.emerging_pattern_id
            for message in received
        ]
        if got != wanted:
            raise RuntimeError(f"a subscriber got {len(got)} changes of {len(wanted)}, or others")


async def floor(count: int, changes: int) -> float:
    """What gRPC itself does, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--floor", stdout=subprocess.PIPE
    )
    channel: Any  # its calls are generic in the stubs only
    try:
        port = int(await process.stdout.readline()) if process.stdout else 0
        async with (
            subscribed(port, FLOOR_SUBSCRIBE, [b""] * count) as subscribers,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):

            async def write(messages: int) -> None:
                await channel.unary_unary(FLOOR_WRITE)(str(messages).encode())

            return await measure("floor: bare gRPC", subscribers, changes, write)
    finally:
        process.terminate()
        await process.wait()


async def serve_floor() -> None:
    """Write the same bytes to every stream when told to."""
    streams: set[asyncio.Queue[int]] = set()
    content = bytes(MESSAGE)

    async def subscribe(_request: bytes, context: Any) -> None:
        orders: asyncio.Queue[int] = asyncio.Queue()
        streams.add(orders)
        await context.write(b"")
        try:
            while True:
                for _ in range(await orders.get()):
                    await context.write(content)
        finally:
            streams.discard(orders)

    async def order(request: bytes, _: Any) -> bytes:
        for orders in streams:
            orders.put_nowait(int(request))
        return b""

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            if details.method == FLOOR_SUBSCRIBE:
                return grpc.unary_stream_rpc_method_handler(subscribe)
            return grpc.unary_unary_rpc_method_handler(order)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


@asynccontextmanager
async def database() -> AsyncIterator[tuple[Path, str, Any]]:
    """A directory, the address of an empty database in it, and a connection to it."""
    with tempfile.TemporaryDirectory(prefix="keeper-bench-", dir="/tmp") as name:
        directory = Path(name)
        # The bundled PostgreSQL's own user enters it, when we are root.
        directory.chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        async with EmbeddedPostgres(directory / "data") as postgres:
            await migrate(postgres.dsn)
            connection = await asyncpg.connect(postgres.dsn)
            yield directory, postgres.dsn, connection
            await connection.close()


@asynccontextmanager
async def serving(dsn: str, directory: Path) -> AsyncIterator[int]:
    """The port of a server process on this database."""
    settings = {
        "KEEPER_DATABASE_URL": dsn,
        "KEEPER_DATA_DIR": str(directory),
        "KEEPER_PSEUDONYM_KEYS": f"bench:{base64.b64encode(bytes(32)).decode()}",
        "KEEPER_EMBEDDER": "local",
        "KEEPER_OPEN_ACCOUNTS": "true",
        "KEEPER_PORT": "0",
        "KEEPER_LOG_FORMAT": "json",
        "KEEPER_STREAM_STALL": "5",
    }
    log = directory / LOG
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, SERVER, env=os.environ | settings, stderr=stream
        )
    try:
        while process.returncode is None:
            for line in log.read_text().splitlines():
                event = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
                if event.get("event") == "serving":
                    yield int(event["port"])
                    return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"the server ended:\n{log.read_text()}")
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def stuck(port: int, connection: Any) -> AsyncIterator[Any]:
    """A subscriber that reads its snapshot's end and then nothing, though much has come for it."""
    options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", WINDOW)]
    channel: Any  # its calls are generic in the stubs only
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        request = StreamEmergingPatternsRequest(pattern_type=OTHER_TYPE)
        call = channel.unary_stream(SUBSCRIBE)(request.SerializeToString())
        await call.read()
        await tell(connection, [cluster(OTHER_TYPE, "x" * BULK_TEXT) for _ in range(BULK)])
        yield call
        call.cancel()


async def ending(call: Any, log: Path) -> str:
    """Wait for the cut-off, then read what is left of a stream; the code that ended it.

    Whoever reads before it is stuck no longer, and is not cut off.
    """
    try:
        async with asyncio.timeout(timedelta(minutes=1).total_seconds()):
            while "RESOURCE_EXHAUSTED" not in log.read_text():  # noqa: ASYNC110, ASYNC240 - its log alone tells
                await asyncio.sleep(0.1)
            while await call.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def main(count: int, changes: int, filters: int) -> None:
    """Measure the floor and the service, and print a table."""
    print(f"{'':<22} {'subscribers':>11} {'messages/s':>11} {'one, ms':>9} {'worst, ms':>9}")
    at_best = await floor(count, changes)
    # Different filters, through which the same clusters pass.
    wanted = [
        StreamEmergingPatternsRequest(
            pattern_type=TYPE, min_total_potential_value=number % filters
        ).SerializeToString()
        for number in range(count)
    ]
    async with (
        database() as (directory, dsn, connection),
        serving(dsn, directory) as port,
        subscribed(port, SUBSCRIBE, wanted) as subscribers,
    ):
        told = Told(connection)
        rate = await measure("the service", subscribers, changes, told)
        async with stuck(port, connection) as call:
            beside = await measure("beside a stuck reader", subscribers, changes, told)
            code = await ending(call, directory / LOG)
        verify(subscribers, told.ids)
    print(f"of the floor: {rate / at_best:.2f}, beside a stuck reader {beside / at_best:.2f}")
    print(f"every subscriber has all {len(told.ids)} changes once, in order; the stuck one: {code}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--changes", type=int, default=50, help="in a burst")
    parser.add_argument("--filters", type=int, default=1)
    parser.add_argument("--floor", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # The table alone: migrations log what they do.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if arguments.floor:
        asyncio.run(serve_floor())
    else:
        asyncio.run(main(arguments.subscribers, arguments.changes, arguments.filters))
