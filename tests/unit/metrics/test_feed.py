from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random

import pytest

from keeper_grpc.domain.errors import StorageUnavailable, SubscriberTooSlow
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.metrics.formulas import MetricsReport
from keeper_grpc.usecases.metrics import report_cache
from keeper_grpc.usecases.metrics.feed import MetricsFeed
from keeper_grpc.usecases.metrics.report import MetricsReports
from keeper_grpc.usecases.metrics.report_cache import ReportCache
from keeper_grpc.usecases.stream_lifetime import Heartbeat, StreamTiming
from tests.unit.metrics.report_store import Clock, Store


@pytest.fixture
def store() -> Store:
    """What the feed looks at."""
    return Store()


@pytest.fixture
def feed(store: Store, monkeypatch: pytest.MonkeyPatch) -> MetricsFeed:
    """A feed that looks every hundredth of a second."""
    monkeypatch.setattr(report_cache, "INTERVAL", 0.01)
    clock = Clock()
    return MetricsFeed(
        reports=ReportCache(
            metrics=MetricsReports(store=store, rule=PublicationRule(3), clock=clock),
            store=store,
        ),
        timing=StreamTiming(
            heartbeat=timedelta(seconds=0.05),
            stall=timedelta(seconds=0.2),
            max_age=timedelta(hours=1),
        ),
        clock=clock,
        rng=Random(1),  # noqa: S311 - parts streams, no secrets
    )


async def test_time_alone_is_no_news(feed: MetricsFeed, store: Store) -> None:
    """Every look finds another version and makes another report: all the same but for the time."""
    store.restless = True
    told: list[MetricsReport | Heartbeat] = []
    enough = asyncio.Event()

    async def send(message: MetricsReport | Heartbeat) -> None:
        told.append(message)
        if len(told) == 4:
            enough.set()

    stream = asyncio.ensure_future(feed.deliver(timedelta(days=30), "", send))
    async with asyncio.timeout(20):
        await enough.wait()
    stream.cancel()
    assert len(store.gathered) > 3
    assert isinstance(told[0], MetricsReport)
    assert all(isinstance(message, Heartbeat) for message in told[1:])


@pytest.mark.parametrize("step", ["looking", "gathering"])
async def test_a_stream_that_waits_for_its_report_is_alive(
    feed: MetricsFeed, store: Store, step: str
) -> None:
    """Heartbeats come while the database hangs, or others have their turn; then the report."""
    gate: asyncio.Event = getattr(store, step)
    gate.clear()
    told: list[MetricsReport | Heartbeat] = []
    reported = asyncio.Event()

    async def send(message: MetricsReport | Heartbeat) -> None:
        told.append(message)
        if len(told) == 2:
            gate.set()
        if isinstance(message, MetricsReport):
            reported.set()

    stream = asyncio.ensure_future(feed.deliver(None, "", send))
    async with asyncio.timeout(20):
        await reported.wait()
    stream.cancel()
    assert [type(message) for message in told[:2]] == [Heartbeat, Heartbeat]
    assert len(store.gathered) == 1


async def test_a_reader_that_takes_nothing_is_cut_off(feed: MetricsFeed) -> None:
    """The stall ends its stream and is counted. The error asks for no token: every report is whole."""
    never = asyncio.Event()

    async def send(_: MetricsReport | Heartbeat) -> None:
        await never.wait()

    stream = asyncio.ensure_future(feed.deliver(None, "", send))
    await asyncio.sleep(0)
    assert (feed.subscribers, feed.cut_offs) == (1, 0)
    with pytest.raises(SubscriberTooSlow, match="subscribe again"):
        await stream
    assert (feed.subscribers, feed.cut_offs) == (0, 1)


async def test_streams_share_a_look_and_fail_together(feed: MetricsFeed, store: Store) -> None:
    """Two hundred streams meet a database that hangs and then is away: one look, one end for all."""

    async def send(_: MetricsReport | Heartbeat) -> None:
        pass

    store.looking.clear()
    streams = [asyncio.ensure_future(feed.deliver(None, "", send)) for _ in range(200)]
    await asyncio.sleep(0)
    store.away = True
    store.looking.set()
    endings = await asyncio.gather(*streams, return_exceptions=True)
    assert all(isinstance(ending, StorageUnavailable) for ending in endings)
    assert store.looks < 5
