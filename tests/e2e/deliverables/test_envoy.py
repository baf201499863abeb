"""Two replicas behind Envoy, by the configuration of deploy/envoy: one is killed, one drains, under load."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest

from tests.access.certificates import Authority
from tests.e2e.calls import Subscription, capture, network
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.deliverables.envoy import ENVOY, INSTALLED, REPLICA, Proxy, configure, proxy
from tests.e2e.server_process import ServerProcess
from tests.e2e.waiting import SOON, until
from tests.rpc.access.identities import entry, write

CALLERS, REPLICAS = Authority("callers"), Authority("replicas")
TOKEN = "keeper_of-the-callers"
ENGINE = CALLERS.issue("engine")

AT_ONCE = 8
SOME = 40
"""Calls that are acknowledged before and after each event: enough to be in the middle of load."""

pytestmark = pytest.mark.skipif(
    not ENVOY.exists(), reason="Envoy is not installed: `make delivery` installs it"
)


def credentials() -> grpc.ChannelCredentials:
    """A caller's certificate and token."""
    return grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(CALLERS.certificate, ENGINE.key, ENGINE.certificate),
        grpc.access_token_call_credentials(TOKEN),
    )


def channel(port: int, given: grpc.ChannelCredentials | None = None) -> grpc.aio.Channel:
    """A channel that repeats nothing by itself."""
    return grpc.aio.secure_channel(
        f"localhost:{port}",
        given or credentials(),
        options=[("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)],
    )


LOST = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
"""Codes after which a caller does not know whether its call was done."""


class Load:
    """Callers that capture without a pause. `repeat`: a call that was lost, until it is acknowledged.

    `deadline`: seconds that a caller waits for an answer, None for ever.
    """

    def __init__(self, port: int, *, repeat: bool, deadline: float | None = None) -> None:
        self.acknowledged: set[str] = set()
        self.failed: list[grpc.aio.AioRpcError] = []
        self._port = port
        self._repeat = repeat
        self._deadline = deadline
        self._enough = asyncio.Event()

    async def _call(self, number: int) -> None:
        async with channel(self._port) as ours:
            while not self._enough.is_set():
                request = capture(f"account-{number}", "Offer a package of three massages")
                while request.request_id not in self.acknowledged:
                    try:
                        await network(ours).CapturePattern(request, timeout=self._deadline)
                    except grpc.aio.AioRpcError as error:
                        self.failed.append(error)
                        if not self._repeat or error.code() not in LOST:
                            return
                    else:
                        self.acknowledged.add(request.request_id)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Under load for the block; at its end each caller finishes its call."""
        callers = [asyncio.create_task(self._call(number)) for number in range(AT_ONCE)]
        try:
            yield
            self._enough.set()
            await asyncio.gather(*callers)
        finally:
            for caller in callers:
                caller.cancel()

    async def goes_on(self) -> None:
        """Wait until so many more calls are acknowledged."""
        goal = len(self.acknowledged) + SOME
        await until(
            lambda: len(self.acknowledged) >= goal or bool(self.failed and not self._repeat),
            within=SOON,
            what=f"{SOME} more calls are acknowledged",
        )


@pytest.fixture
def files(make_directory: MakeDirectory) -> Path:
    """What the replicas' settings name."""
    directory = make_directory()
    REPLICAS.issue("keeper", REPLICA, "localhost").write(directory, "replica")
    (directory / "ca.pem").write_bytes(REPLICAS.certificate)
    write(
        directory / "identities.yaml",
        entry("engine", "capture", "enhance", "observe", token=TOKEN, accounts="all"),
    )
    return directory


@pytest.fixture
async def replicas(
    start_server: StartServer, database_of_its_own: str, files: Path
) -> list[ServerProcess]:
    """Two, with mutual TLS and tokens, on one database."""
    settings: dict[str, Any] = {
        "KEEPER_TLS_CERTIFICATE": str(files / "replica.pem"),
        "KEEPER_TLS_KEY": str(files / "replica.key"),
        "KEEPER_TLS_CLIENT_CA": str(files / "ca.pem"),
        "KEEPER_IDENTITIES_FILE": str(files / "identities.yaml"),
        # Envoy asks for health each second, and waits for two.
        "KEEPER_DRAIN_DELAY": "3",
    }
    return list(
        await asyncio.gather(
            *(start_server(database_url=database_of_its_own, **settings) for _ in range(2))
        )
    )


@pytest.fixture
def balancer(replicas: list[ServerProcess], make_directory: MakeDirectory) -> Iterator[Proxy]:
    """An Envoy in front of them."""
    ports = [replica.port for replica in replicas]
    with proxy(make_directory(), ports, callers=CALLERS, replicas=REPLICAS) as envoy:
        yield envoy


def calls_of(server: ServerProcess) -> int:
    """Captures that a replica has answered."""
    return sum(event["method"].endswith("/CapturePattern") for event in server.events("call"))


async def stored(dsn: str) -> int:
    """Observations in the ledger."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM observations"))
    finally:
        await connection.close()


async def test_a_killed_replica_loses_nothing_that_was_acknowledged(
    replicas: list[ServerProcess], balancer: Proxy, database_of_its_own: str
) -> None:
    """Callers repeat what broke with the same request_id; each call is in the ledger once, and the other one serves."""
    await balancer.healthy(2)
    load = Load(balancer.port, repeat=True)
    async with load.running():
        await load.goes_on()
        await replicas[0].kill()
        await load.goes_on()
        await balancer.healthy(1)
        await load.goes_on()
    assert {error.code() for error in load.failed} <= {grpc.StatusCode.UNAVAILABLE}
    assert await stored(database_of_its_own) == len(load.acknowledged)
    assert all(calls_of(replica) for replica in replicas), "one of them had no load"


async def test_a_frozen_replica_is_left_and_what_it_does_when_it_wakes_counts_once(
    replicas: list[ServerProcess], balancer: Proxy, database_of_its_own: str
) -> None:
    """Its health check times out. Calls that it held were repeated elsewhere before it goes on with them."""
    await balancer.healthy(2)
    load = Load(balancer.port, repeat=True, deadline=10)
    async with load.running():
        await load.goes_on()
        replicas[0].send(signal.SIGSTOP)
        try:
            await balancer.healthy(1)
            await load.goes_on()
        finally:
            replicas[0].send(signal.SIGCONT)
        await balancer.healthy(2)
        await load.goes_on()
    assert {error.code() for error in load.failed} <= LOST
    # What it held may be written after its callers have gone: the ledger is whole once it has drained.
    replicas[0].send(signal.SIGTERM)
    assert await replicas[0].ended() == 0
    assert await stored(database_of_its_own) == len(load.acknowledged)


async def test_a_draining_replica_fails_nothing(
    replicas: list[ServerProcess], balancer: Proxy, database_of_its_own: str
) -> None:
    """No caller of a single call sees an error, though none repeats; a stream ends, and resumes with its token."""
    await balancer.healthy(2)
    load = Load(balancer.port, repeat=False)
    async with channel(balancer.port) as ours:
        streams = [Subscription(ours) for _ in range(4)]
        await until(lambda: all(s.complete for s in streams), within=SOON, what="snapshots")
        async with load.running():
            await load.goes_on()
            replicas[0].send(signal.SIGTERM)
            await load.goes_on()
            assert await replicas[0].ended() == 0
            await load.goes_on()
        assert [str(error) for error in load.failed] == []
        assert await stored(database_of_its_own) == len(load.acknowledged)
        assert all(calls_of(replica) for replica in replicas), "one of them had no load"

        ended = [stream for stream in streams if stream.error is not None]
        assert ended, "no stream was on the replica that drained"
        for stream in ended:
            assert stream.error is not None
            assert stream.error.code() is grpc.StatusCode.UNAVAILABLE
            resumed = Subscription(ours, stream.resume_token)
            await until(lambda: bool(resumed.messages), within=SOON, what="it resumes")  # noqa: B023 - awaited here
            assert not resumed.complete, "a resumed stream needs no snapshot"
            await resumed.close()
        for stream in streams:
            await stream.close()


async def test_nobody_calls_without_a_certificate_and_a_token(
    replicas: list[ServerProcess], balancer: Proxy
) -> None:
    """Envoy's own certificate, which the replicas see, lets nobody in."""
    await balancer.healthy(2)
    without_certificate = grpc.ssl_channel_credentials(CALLERS.certificate)
    without_token = grpc.ssl_channel_credentials(
        CALLERS.certificate, ENGINE.key, ENGINE.certificate
    )
    for given, code in (
        (without_certificate, grpc.StatusCode.UNAVAILABLE),
        (without_token, grpc.StatusCode.UNAUTHENTICATED),
    ):
        async with channel(balancer.port, given) as ours:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await network(ours).CapturePattern(capture("a", "Offer a late opening"))
        assert refused.value.code() is code
    assert not any(map(calls_without_identity, replicas))


def calls_without_identity(server: ServerProcess) -> bool:
    """Whether a call of nobody was answered."""
    return any(e["code"] == "OK" and not e.get("identity") for e in server.events("call"))


def test_envoy_takes_the_configuration(make_directory: MakeDirectory) -> None:
    """As it is in the repository, but for the place of the certificates."""
    directory = make_directory()
    for name in ("server", "client", "callers", "replicas"):
        (directory / name).mkdir()
        for file in ("tls.crt", "tls.key", "ca.crt"):
            content = ENGINE.key if file == "tls.key" else ENGINE.certificate
            (directory / name / file).write_bytes(content)
    made = configure(directory, [1, 2], port=50051, admin=9901)
    done = subprocess.run(
        [ENVOY, "--mode", "validate", "--config-path", made],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert "eprecated" not in done.stderr
    assert INSTALLED not in made.read_text()
