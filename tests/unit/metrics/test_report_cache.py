from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.metrics.formulas import MetricsReport
from keeper_grpc.usecases.metrics import report_cache
from keeper_grpc.usecases.metrics.kept_reports import KEPT
from keeper_grpc.usecases.metrics.network_metrics import GetNetworkMetrics
from keeper_grpc.usecases.metrics.report import MetricsReports
from keeper_grpc.usecases.metrics.report_cache import ReportCache
from tests.unit.metrics.report_store import Clock, Store

WINDOW = timedelta(days=30)


@pytest.fixture
def store() -> Store:
    """What reports are made from."""
    return Store()


@pytest.fixture
def metrics(store: Store) -> MetricsReports:
    """What makes them."""
    return MetricsReports(store=store, rule=PublicationRule(3), clock=Clock())


@pytest.fixture
def reports(store: Store, metrics: MetricsReports, monkeypatch: pytest.MonkeyPatch) -> ReportCache:
    """Reports that are looked after whenever one is asked for."""
    monkeypatch.setattr(report_cache, "INTERVAL", 0.0)
    return ReportCache(metrics=metrics, store=store)


def ask(reports: ReportCache, *categories: str) -> list[asyncio.Task[MetricsReport]]:
    """Ask for a report each."""
    return [asyncio.create_task(reports.newest(WINDOW, category)) for category in categories]


async def settled() -> None:
    """Let everything that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def together(asked: Sequence[asyncio.Task[MetricsReport]]) -> list[MetricsReport]:
    """What they come to."""
    async with asyncio.timeout(20):
        return await asyncio.gather(*asked)


async def test_reports_are_made_in_turns(reports: ReportCache, store: Store) -> None:
    """However many streams ask for different ones, other calls find the database free."""
    await together(ask(reports, *(f"line_{n}" for n in range(100))))
    assert len(store.gathered) == 100
    assert store.most_at_work == report_cache.AT_ONCE


async def test_a_call_does_not_wait_for_what_streams_ask_for(
    reports: ReportCache, metrics: MetricsReports, store: Store
) -> None:
    """Streams take turns among themselves; calls take theirs at the gate."""
    call_metrics = GetNetworkMetrics(metrics=metrics, store=store, clock=Clock())
    store.gathering.clear()
    streams = ask(reports, *(f"line_{n}" for n in range(10)))
    await settled()
    call = asyncio.create_task(call_metrics(WINDOW, "spa"))
    await settled()
    assert store.at_work == report_cache.AT_ONCE + 1
    store.gathering.set()
    await together([*streams, call])
    assert store.gathered.count("spa") == 1


async def test_who_waited_gets_the_newest_once(reports: ReportCache, store: Store) -> None:
    """Changes during other reports' turns become one report, for all who asked."""
    store.gathering.clear()
    first, *waiting = ask(reports, "gym", "spa", "spa")
    await settled()
    for _ in range(5):
        store.changes += 1
        waiting += ask(reports, "spa")
        await settled()
    store.gathering.set()
    told = await together([first, *waiting])
    assert store.gathered == ["gym", "spa"]
    assert {report.published_patterns for report in told[1:]} == {5}
    # It is known as of its turn, so that nothing is made anew before something changes.
    (again,) = await together(ask(reports, "spa"))
    assert again is told[1]
    assert store.gathered == ["gym", "spa"]


async def test_who_left_has_no_turn(reports: ReportCache, store: Store) -> None:
    """Streams that come and go cannot make the queue longer than there are streams."""
    store.gathering.clear()
    first, left, shared, stays = ask(reports, "gym", "spa", "bakery", "bakery")
    await settled()
    left.cancel()
    shared.cancel()
    await settled()
    store.gathering.set()
    await together([first, stays])
    await settled()
    assert store.gathered == ["gym", "bakery"]


async def test_a_stream_that_leaves_during_its_report_frees_the_turn(
    reports: ReportCache, store: Store
) -> None:
    """A report that no caller waits for any more is not finished."""
    store.gathering.clear()
    leaves, stays = ask(reports, "gym", "spa")
    await settled()
    leaves.cancel()
    await settled()
    assert store.gathered == ["gym", "spa"]
    assert store.at_work == 1
    store.gathering.set()
    await together([stays])


async def test_a_failure_is_raised_once_and_not_kept(reports: ReportCache, store: Store) -> None:
    """A defect too: those who waited learn of it, and the next one gets a report of the same data."""
    store.broken = True
    store.gathering.clear()
    failing = ask(reports, "spa", "spa")
    await settled()
    store.gathering.set()
    endings = await asyncio.gather(*failing, return_exceptions=True)
    assert [type(ending) for ending in endings] == [ZeroDivisionError, ZeroDivisionError]
    store.broken = False
    await together(ask(reports, "spa"))
    assert store.gathered == ["spa", "spa"]


async def test_looks_do_not_pile_up_at_a_database_that_hangs(
    reports: ReportCache, store: Store
) -> None:
    """All who ask wait for the one look, also those who come later."""
    store.looking.clear()
    asked = ask(reports, "gym", "spa")
    await settled()
    asked += ask(reports, "bakery")
    await settled()
    assert store.looks == 1
    store.away = True
    store.looking.set()
    endings = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(ending, StorageUnavailable) for ending in endings)


async def test_reports_of_the_past_are_not_kept(reports: ReportCache) -> None:
    """However many windows are asked for, a bounded number of reports is held."""
    await together(
        [asyncio.create_task(reports.newest(timedelta(days=n + 1), "")) for n in range(200)]
    )
    assert len(reports._kept) == KEPT
    assert not reports._make._running


async def test_a_report_that_waits_past_midnight_is_of_the_window_that_was_asked_for(
    store: Store,
) -> None:
    """It is kept for those who ask for that window only."""
    clock = Clock()
    metrics = MetricsReports(store=store, rule=PublicationRule(3), clock=clock)
    reports = ReportCache(metrics=metrics, store=store)
    start = metrics.start(WINDOW)
    store.gathering.clear()
    asked = ask(reports, "gym", "spa")
    await settled()
    clock.now += timedelta(days=1)
    store.gathering.set()
    _, told = await together(asked)
    assert told.window_start == start
