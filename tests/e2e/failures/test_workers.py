"""Several workers on one port: one that dies is started again, and all drain together."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternResponse
from tests.e2e.calls import Subscription, capture, network, reason_of
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.server_process import ServerProcess, bundled_dsn, postgres_of
from tests.e2e.waiting import SOON, until

WORKERS = 2


def serving(server: ServerProcess) -> list[dict[str, Any]]:
    """Workers that have begun to serve, those that were started again included."""
    return server.events("worker_serving")


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def one_worker_channel(server: ServerProcess) -> grpc.aio.Channel:
    """A connection of its own, to whichever worker the kernel gives it."""
    channel = server.channel()
    await asyncio.wait_for(channel.channel_ready(), SOON)
    return channel


async def test_a_worker_that_is_killed_loses_nothing_that_was_acknowledged(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """Kill -9 of one of two under captures: each answered capture is there once, and two serve again."""
    data_dir = make_directory() / "data"
    server = await start_server(data_dir=data_dir, KEEPER_WORKERS=str(WORKERS))
    victim = serving(server)[0]["pid"]
    answers: dict[str, CapturePatternResponse] = {}
    failures: list[grpc.StatusCode] = []
    ended = asyncio.Event()

    async def send(number: int) -> None:
        """Captures over a connection of its own, each sent again until it is answered."""
        async with await one_worker_channel(server) as channel:
            count = 0
            while not ended.is_set():
                request = capture(f"account-{number}", f"Offer a package of {count % 5 + 2} baths")
                count += 1
                while request.request_id not in answers:
                    try:
                        answers[request.request_id] = await network(channel).CapturePattern(request)
                    except grpc.aio.AioRpcError as error:
                        failures.append(error.code())

    # With so many connections both workers have some, but for a chance of 2 in 65,536.
    senders = [asyncio.create_task(send(number)) for number in range(16)]
    await until(lambda: len(answers) >= 40, within=SOON, what="captures are acknowledged")
    os.kill(victim, signal.SIGKILL)
    await until(lambda: len(serving(server)) > WORKERS, within=SOON, what="it is started again")
    reached = len(answers) + 20
    await until(lambda: len(answers) >= reached, within=SOON, what="captures go on")
    ended.set()
    await asyncio.gather(*senders)

    assert set(failures) == {grpc.StatusCode.UNAVAILABLE}
    assert [event["status"] for event in server.events("worker_died")] == [-signal.SIGKILL]
    connection = await asyncpg.connect(bundled_dsn(data_dir))
    try:
        assert await connection.fetchval("SELECT count(*) FROM observations") == len(answers)
    finally:
        await connection.close()


async def test_sigterm_drains_every_worker(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """Streams of all workers end as at any drain, and no process is left."""
    data_dir = make_directory() / "data"
    server = await start_server(data_dir=data_dir, KEEPER_WORKERS=str(WORKERS))
    workers = [event["pid"] for event in serving(server)]
    assert len(workers) == WORKERS
    channels = [await one_worker_channel(server) for _ in range(8)]
    streams = [Subscription(channel) for channel in channels]
    await until(lambda: all(each.complete for each in streams), within=SOON, what="snapshots")

    server.send(signal.SIGTERM)

    assert await server.ended() == 0
    for stream in streams:
        await until(lambda: stream.error is not None, within=SOON, what="the stream ended")  # noqa: B023 - used here
        assert stream.error is not None
        assert reason_of(stream.error) == "SHUTTING_DOWN"
        await stream.close()
    for channel in channels:
        await channel.close()
    assert not [pid for pid in workers if runs(pid)]
    assert not postgres_of(data_dir)
    assert len(server.events("draining")) == WORKERS + 1


async def test_workers_end_with_a_parent_that_was_killed(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """Kill -9 of the parent leaves no worker that serves on a port that nobody watches."""
    data_dir = make_directory() / "data"
    server = await start_server(data_dir=data_dir, KEEPER_WORKERS=str(WORKERS))
    workers = [event["pid"] for event in serving(server)]
    await server.kill()
    await until(
        lambda: not [pid for pid in workers if runs(pid)], within=SOON, what="the workers end"
    )


@pytest.mark.parametrize("second", ["1", "2"])
async def test_a_second_server_on_the_port_of_workers_is_refused(
    start_server: StartServer, second: str
) -> None:
    """Whether it has workers or not: it would get some of their connections."""
    first = await start_server(KEEPER_WORKERS=str(WORKERS))
    other = await start_server(KEEPER_PORT=str(first.port), KEEPER_WORKERS=second, serving=False)
    assert await other.ended() == 1
    assert "the address is taken" in other.log.read_text()
    assert "Traceback" not in other.log.read_text()


async def test_workers_are_refused_the_port_of_a_server(
    start_server: StartServer, server: ServerProcess
) -> None:
    """A single server keeps its port to itself."""
    other = await start_server(KEEPER_PORT=str(server.port), KEEPER_WORKERS="2", serving=False)
    assert await other.ended() == 1
    assert "the address is taken" in other.log.read_text()


async def test_a_worker_that_cannot_start_ends_the_server_in_a_line(
    start_server: StartServer, server: ServerProcess
) -> None:
    """A metrics port that is taken: the worker says so, and the parent gives up at once."""
    other = await start_server(
        KEEPER_METRICS_PORT=str(server.port), KEEPER_WORKERS="2", serving=False
    )
    assert await other.ended() == 1
    said = [line for line in other.lines() if line.startswith("keeper: ")]
    assert len(said) == 2
    assert said[0].startswith("keeper: worker 1: ")
    assert said[1] == "keeper: worker 1 does not start: it ended with 1"
    assert "Traceback" not in other.log.read_text()
