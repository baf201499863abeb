"""The probes of a process: what a kubelet asks over HTTP."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge

from keeper_grpc.telemetry.probes import Probes
from keeper_grpc.telemetry.prometheus import Endpoint


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that turns in a thread of its own until the test ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def status(port: int, path: str) -> int:
    """What the endpoint answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_endpoint_answers_probes_beside_the_metrics(loop: asyncio.AbstractEventLoop) -> None:
    """Not ready before something says so, and no longer when it says the opposite; alive all the time."""
    registry = CollectorRegistry()
    Gauge("weather", "of today", registry=registry).set(21)
    probes = Probes(loop)
    endpoint = Endpoint("127.0.0.1", 0, registry, probes)
    try:
        assert status(endpoint.port, "/readyz") == 503
        ready = True
        probes.follow(lambda: ready)
        assert status(endpoint.port, "/readyz") == 200
        ready = False
        assert status(endpoint.port, "/readyz") == 503
        assert status(endpoint.port, "/livez") == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics") as answer:
            assert b"weather 21.0" in answer.read()
    finally:
        endpoint.close()


def test_a_loop_that_hangs_is_not_alive(loop: asyncio.AbstractEventLoop) -> None:
    """It is again once it turns."""
    probes = Probes(loop)
    hangs, may_go_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        may_go_on.wait()

    loop.call_soon_threadsafe(hang)
    hangs.wait()
    assert not probes.alive(within=0.01)
    may_go_on.set()
    assert probes.alive(within=60)


def test_a_loop_that_is_closed_is_not_alive() -> None:
    """A process that has ended its work does not turn any more."""
    loop = asyncio.new_event_loop()
    loop.close()
    assert not Probes(loop).alive()
