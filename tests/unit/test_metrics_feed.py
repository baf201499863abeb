"""The feed without a network or a database: its store and its clock are the test's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from keeper_grpc.domain.errors import StorageUnavailable, SubscriberTooSlow
from keeper_grpc.domain.measures import Accounts, Gathered
from keeper_grpc.domain.metrics import Report
from keeper_grpc.domain.publication import PublicationRule
from keeper_grpc.usecases import metrics_feed
from keeper_grpc.usecases.metrics_feed import Heartbeat, MetricsFeed, MetricsFeedTiming
from keeper_grpc.usecases.network_metrics import NetworkMetrics

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
FOUND = Gathered(accounts=Accounts(active=9), since=NOW.date() - timedelta(days=20))


class Store:
    """Counts how often it was asked; `away` makes it fail."""

    def __init__(self) -> None:
        self.looks = self.gathered = 0
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def version(self) -> str:
        """What changes is up to the test."""
        self.looks += 1
        await self.answers.wait()
        if self.away:
            raise StorageUnavailable("the database is away")
        return str(self.looks)

    async def gather(self, business_category: str, start: datetime, k: int) -> Gathered:
        """Always the same."""
        self.gathered += 1
        return FOUND


class Clock:
    """A second later at each look."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def store() -> Store:
    """What the feed looks at."""
    return Store()


@pytest.fixture
def feed(store: Store, monkeypatch: pytest.MonkeyPatch) -> MetricsFeed:
    """A feed that looks every hundredth of a second."""
    monkeypatch.setattr(metrics_feed, "INTERVAL", 0.01)
    clock = Clock()
    return MetricsFeed(
        metrics=NetworkMetrics(store=store, rule=PublicationRule(3), clock=clock),
        store=store,
        timing=MetricsFeedTiming(
            heartbeat=timedelta(seconds=0.05),
            stall=timedelta(seconds=0.2),
            max_age=timedelta(hours=1),
        ),
        clock=clock,
        rng=Random(1),  # noqa: S311 - parts streams, no secrets
    )


async def test_time_alone_is_no_news(feed: MetricsFeed, store: Store) -> None:
    """Every look finds another version and makes another report: all the same but for the time."""
    told: list[Report | Heartbeat] = []
    enough = asyncio.Event()

    async def send(message: Report | Heartbeat) -> None:
        told.append(message)
        if len(told) == 4:
            enough.set()

    stream = asyncio.ensure_future(feed.deliver(timedelta(days=30), "", send))
    async with asyncio.timeout(20):
        await enough.wait()
    stream.cancel()
    assert store.gathered > 3
    assert isinstance(told[0], Report)
    assert all(isinstance(message, Heartbeat) for message in told[1:])


async def test_a_reader_that_takes_nothing_is_cut_off(feed: MetricsFeed) -> None:
    """After the stall, with what it can resume from: nothing, for every report is whole."""
    never = asyncio.Event()

    async def send(_: Report | Heartbeat) -> None:
        await never.wait()

    with pytest.raises(SubscriberTooSlow):
        await feed.deliver(None, "", send)


async def test_streams_share_a_look_and_fail_together(feed: MetricsFeed, store: Store) -> None:
    """Two hundred streams meet a database that hangs and then is away: one look, one end for all."""

    async def send(_: Report | Heartbeat) -> None:
        pass

    store.answers.clear()
    streams = [asyncio.ensure_future(feed.deliver(None, "", send)) for _ in range(200)]
    await asyncio.sleep(0)
    store.away = True
    store.answers.set()
    endings = await asyncio.gather(*streams, return_exceptions=True)
    assert all(isinstance(ending, StorageUnavailable) for ending in endings)
    assert store.looks < 5


async def test_reports_of_the_past_are_not_kept(feed: MetricsFeed) -> None:
    """However many windows are asked for, a bounded number of reports is held."""
    told = asyncio.Semaphore(0)

    async def send(_: Report | Heartbeat) -> None:
        told.release()

    streams = [
        asyncio.ensure_future(feed.deliver(timedelta(days=n + 1), "", send)) for n in range(200)
    ]
    async with asyncio.timeout(20):
        for _ in streams:
            await told.acquire()
    for stream in streams:
        stream.cancel()
    await asyncio.wait(streams)
    assert 0 < len(feed._reports) <= metrics_feed.KEPT
