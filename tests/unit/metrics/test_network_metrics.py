from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.usecases.metrics.network_metrics import MAX_AGE, GetNetworkMetrics
from keeper_grpc.usecases.metrics.report import MetricsReports
from tests.unit.metrics.report_store import NOW, Store

WINDOW = timedelta(days=30)


class Clock:
    """It stands until the test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def store() -> Store:
    """What reports are made from."""
    return Store()


@pytest.fixture
def clock() -> Clock:
    """The time of calls and reports."""
    return Clock()


@pytest.fixture
def metrics(store: Store, clock: Clock) -> GetNetworkMetrics:
    """The use case."""
    reports = MetricsReports(store=store, rule=PublicationRule(3), clock=clock)
    return GetNetworkMetrics(metrics=reports, store=store, clock=clock)


async def test_while_nothing_changes_calls_share_one_report(
    metrics: GetNetworkMetrics, store: Store
) -> None:
    """Each asks whether something has changed, which costs little, and the report is made once."""
    first = await metrics(WINDOW, "spa")
    assert await metrics(WINDOW, "spa") is first
    assert store.gathered == ["spa"]
    assert store.looks == 2


async def test_a_call_shows_what_was_committed_before_it(
    metrics: GetNetworkMetrics, store: Store
) -> None:
    """Whoever writes and then reads finds it, at any pace."""
    for change in range(3):
        store.changes = change
        assert (await metrics(WINDOW, "spa")).published_patterns == change


async def test_a_report_is_of_its_window_and_category(
    metrics: GetNetworkMetrics, store: Store
) -> None:
    """One that was asked for otherwise is another."""
    await metrics(WINDOW, "spa")
    await metrics(WINDOW, "gym")
    other = await metrics(timedelta(days=7), "spa")
    assert store.gathered == ["spa", "gym", "spa"]
    assert other.window_start > (await metrics(WINDOW, "spa")).window_start


async def test_a_report_ages_although_nothing_changes(
    metrics: GetNetworkMetrics, store: Store, clock: Clock
) -> None:
    """Its window ends at its time, and rates are by the length of the window."""
    await metrics(WINDOW, "spa")
    clock.now += MAX_AGE + timedelta(microseconds=1)
    assert (await metrics(WINDOW, "spa")).as_of == clock.now
    assert len(store.gathered) == 2


async def test_a_clock_that_is_set_back_keeps_no_report(
    metrics: GetNetworkMetrics, store: Store, clock: Clock
) -> None:
    """Its time would lie in the future, for as long as the clock was set back."""
    clock.now += timedelta(hours=1)
    await metrics(WINDOW, "spa")
    clock.now -= timedelta(hours=1)
    assert (await metrics(WINDOW, "spa")).as_of == clock.now
    assert len(store.gathered) == 2


async def test_a_database_that_is_away_is_not_answered_for(
    metrics: GetNetworkMetrics, store: Store
) -> None:
    """What was kept may be out of date, and nobody can tell."""
    await metrics(WINDOW, "spa")
    store.away = True
    with pytest.raises(StorageUnavailable):
        await metrics(WINDOW, "spa")
