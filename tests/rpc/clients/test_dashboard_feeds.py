from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import grpc
import pytest

from keeper_grpc.client import KeeperClient, NotFound, Retries, ServerError, Unavailable
from keeper_grpc.dashboard.filters import Filter
from keeper_grpc.dashboard.upstream import feed as feed_module
from keeper_grpc.dashboard.upstream.feeds import Feeds
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsResponse,
    GetPatternRequest,
    GetPatternResponse,
    ListPatternsRequest,
    ListPatternsResponse,
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
    StreamNetworkMetricsRequest,
    StreamNetworkMetricsResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
    NetworkLearningServiceServicer,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from tests.e2e.waiting import SOON, until
from tests.stand_in_server import serving

STALE_AFTER = 0.3
QUICK = Retries(wait_initial=0.01, wait_max=0.05, jitter=lambda: 1.0)
EVERYWHERE = Filter()


class Upstream(NetworkLearningServiceServicer):
    """A server that answers as the test decides, and counts its calls."""

    def __init__(self) -> None:
        self.open: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.metrics: asyncio.Queue[StreamNetworkMetricsResponse] = asyncio.Queue()
        self.emerging: asyncio.Queue[StreamEmergingPatternsResponse | grpc.StatusCode] = (
            asyncio.Queue()
        )
        self.published = 0

    def report(self, published: int) -> None:
        """Say that so many patterns are published."""
        report = GetNetworkMetricsResponse(published_pattern_count=published)
        self.metrics.put_nowait(StreamNetworkMetricsResponse(report=report))

    def emerged(self, name: str, change: EmergingPattern.Change.ValueType) -> None:
        """Say what happened to an emerging pattern."""
        pattern = EmergingPattern(emerging_pattern_id=name, change=change)
        self.emerging.put_nowait(StreamEmergingPatternsResponse(emerging_pattern=pattern))

    def all_emerged(self) -> None:
        """Say that the snapshot is complete."""
        complete = StreamEmergingPatternsResponse.SnapshotComplete()
        self.emerging.put_nowait(StreamEmergingPatternsResponse(snapshot_complete=complete))

    def refuse(self, *codes: grpc.StatusCode) -> None:
        """End this stream of what emerges and those after it with these codes."""
        for code in codes:
            self.emerging.put_nowait(code)

    async def StreamNetworkMetrics(  # noqa: N802 - gRPC names it
        self, request: StreamNetworkMetricsRequest, context: object
    ) -> AsyncIterator[StreamNetworkMetricsResponse]:
        self.asked["metrics"] += 1
        self.open["metrics"] += 1
        try:
            while True:
                yield await self.metrics.get()
        finally:
            self.open["metrics"] -= 1

    async def StreamEmergingPatterns(  # noqa: N802 - as above
        self,
        request: StreamEmergingPatternsRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> AsyncIterator[StreamEmergingPatternsResponse]:
        while True:
            said = await self.emerging.get()
            if isinstance(said, grpc.StatusCode):
                await context.abort(said, "as planned")
            yield said

    async def ListPatterns(  # noqa: N802 - as above
        self, request: ListPatternsRequest, context: object
    ) -> ListPatternsResponse:
        self.asked["patterns"] += 1
        return ListPatternsResponse(patterns=[Pattern()] * self.published)

    async def GetPattern(  # noqa: N802 - as above
        self, request: GetPatternRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> GetPatternResponse:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such pattern")


@pytest.fixture
async def upstream() -> Upstream:
    """What the feeds read."""
    return Upstream()  # type: ignore[abstract]  # what it does not say is UNIMPLEMENTED


@pytest.fixture
async def feeds(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Feeds]:
    """Feeds of that server, in a hurry."""
    for name in ("_PACE", "_LINGER", "_PAUSE", "_FETCH_PACE"):
        monkeypatch.setattr(feed_module, name, 0.01)
    async with (
        serving(upstream) as port,
        KeeperClient(f"127.0.0.1:{port}", retries=QUICK) as client,
    ):
        made = Feeds(client, STALE_AFTER)
        yield made
        made.close()


def ignore() -> None:
    """A page that is not interested."""


async def test_pages_that_ask_the_same_share_one_subscription(
    feeds: Feeds, upstream: Upstream
) -> None:
    """Two listeners hear the same report of one stream, which ends after the last has left."""
    heard: list[str] = []
    first = feeds.metrics[EVERYWHERE].listen(lambda: heard.append("first"))
    second = feeds.metrics[EVERYWHERE].listen(lambda: heard.append("second"))
    upstream.report(7)

    await until(lambda: {"first", "second"} <= set(heard), within=SOON, what="both hear")
    assert upstream.asked["metrics"] == 1
    report = feeds.metrics[EVERYWHERE].report
    assert report is not None
    assert report.published_pattern_count == 7

    first()
    second()
    second()  # a browser that is gone twice is gone

    await until(lambda: not upstream.open["metrics"], within=SOON, what="the stream ends")
    assert len(feeds.metrics) == 0


async def test_silence_makes_a_report_stale_and_any_sign_of_life_mends_it(
    feeds: Feeds, upstream: Upstream
) -> None:
    """The report stays; a heartbeat says that it still holds."""
    feed = feeds.metrics[EVERYWHERE]
    feed.listen(ignore)
    upstream.report(1)
    await until(lambda: feed.report, within=SOON, what="a report")
    await until(lambda: feed.stale, within=SOON, what="silence is noticed")
    assert feed.problem is None

    beat = StreamNetworkMetricsResponse.Heartbeat()
    upstream.metrics.put_nowait(StreamNetworkMetricsResponse(heartbeat=beat))

    await until(lambda: not feed.stale, within=SOON, what="the heartbeat is noticed")


async def test_a_server_out_of_reach_is_stale_with_the_reason() -> None:
    """Without a server the feed reports the failure before its first report."""
    async with KeeperClient("127.0.0.1:1", retries=QUICK) as client:
        feeds = Feeds(client, 60.0)
        feed = feeds.metrics[EVERYWHERE]
        feed.listen(ignore)

        await until(lambda: feed.stale, within=SOON, what="it is noticed")

        assert isinstance(feed.problem, Unavailable)
        assert feed.report is None
        feeds.close()


async def test_a_page_with_a_defect_does_not_keep_others_from_the_news(
    feeds: Feeds, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """Its exception is logged, and the next listener is called."""
    heard = asyncio.Event()

    def broken() -> None:
        raise RuntimeError("this page is broken")

    feed = feeds.metrics[EVERYWHERE]
    feed.listen(broken)
    feed.listen(heard.set)
    upstream.report(1)

    await asyncio.wait_for(heard.wait(), SOON)
    assert "a page could not show a change" in caplog.text


async def test_a_feed_with_a_defect_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a problem until the feed is read again: else every page would stand still and look well."""
    monkeypatch.setattr(feed_module, "_PAUSE", 0.01)
    told, mended = asyncio.Event(), asyncio.Event()
    answers = [7]

    async def fetch() -> int:
        if not told.is_set():
            raise ZeroDivisionError
        await mended.wait()
        return answers.pop()

    feed = feed_module.Fetched(fetch)
    feed.listen(told.set)
    await asyncio.wait_for(told.wait(), SOON)
    assert isinstance(feed.problem, ZeroDivisionError)

    mended.set()

    await until(lambda: feed.value and feed.problem is None, within=SOON, what="it is read again")
    feed.close()


async def test_metrics_with_a_defect_are_stale_at_once(
    feeds: Feeds, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a silence is allowed: a defect that comes again would put off the alarm for ever."""
    feed = feeds.metrics[EVERYWHERE]
    monkeypatch.setattr(feed, "_stale_after", 3600.0)
    with monkeypatch.context() as defect:
        defect.setattr(KeeperClient, "watch_network_metrics", None)
        feed.listen(ignore)
        await until(lambda: feed.stale, within=SOON, what="the defect is noticed")
        assert isinstance(feed.problem, TypeError)

    upstream.report(1)

    await until(lambda: feed.report and not feed.stale, within=SOON, what="it is read again")


async def test_an_interruption_of_what_emerges_is_a_problem_until_a_sign_of_life(
    feeds: Feeds, upstream: Upstream
) -> None:
    """One stream that ends is none: another follows at once."""
    feed = feeds.emerging[""]
    feed.listen(ignore)
    upstream.all_emerged()
    upstream.refuse(grpc.StatusCode.UNAVAILABLE)
    upstream.emerged("first", EmergingPattern.CHANGE_NEW)
    await until(lambda: feed.patterns, within=SOON, what="another stream has followed")
    assert feed.problem is None

    upstream.refuse(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)
    await until(lambda: isinstance(feed.problem, Unavailable), within=SOON, what="it is noticed")

    beat = StreamEmergingPatternsResponse.Heartbeat()
    upstream.emerging.put_nowait(StreamEmergingPatternsResponse(heartbeat=beat))

    await until(lambda: feed.problem is None, within=SOON, what="the heartbeat is noticed")
    assert list(feed.patterns) == ["first"]


async def test_an_error_of_what_emerges_is_a_problem_until_a_snapshot_is_complete(
    feeds: Feeds, upstream: Upstream
) -> None:
    """Until then a page shows what was known before."""
    feed = feeds.emerging[""]
    feed.listen(ignore)
    upstream.all_emerged()
    upstream.refuse(grpc.StatusCode.INTERNAL)
    upstream.emerged("first", EmergingPattern.CHANGE_NEW)
    await until(lambda: feed.patterns, within=SOON, what="the next snapshot has begun")
    assert isinstance(feed.problem, ServerError)

    upstream.all_emerged()

    await until(lambda: feed.complete, within=SOON, what="the snapshot is complete")
    assert feed.problem is None


async def test_a_departure_is_shown_but_not_for_ever(feeds: Feeds, upstream: Upstream) -> None:
    """However much emerges and goes while a page is open, only the last few departures are kept."""
    feed = feeds.emerging[""]
    feed.listen(ignore)
    for number in range(30):
        upstream.emerged(f"cluster-{number}", EmergingPattern.CHANGE_NEW)
        upstream.emerged(f"cluster-{number}", EmergingPattern.CHANGE_FADED)
    upstream.emerged("last", EmergingPattern.CHANGE_NEW)

    await until(lambda: "last" in feed.patterns, within=SOON, what="all has arrived")
    assert list(feed.patterns) == ["last"]
    assert [gone.emerging_pattern_id for gone in feed.gone] == [
        f"cluster-{number}" for number in range(25, 30)
    ]


async def test_a_snapshot_is_complete_only_at_its_end(feeds: Feeds, upstream: Upstream) -> None:
    """Until then a page shows nothing of it, or all of it would look like news."""
    feed = feeds.emerging[""]
    feed.listen(ignore)
    upstream.emerged("first", EmergingPattern.CHANGE_NEW)
    await until(lambda: feed.patterns, within=SOON, what="the first has arrived")
    assert not feed.complete

    upstream.all_emerged()

    await until(lambda: feed.complete, within=SOON, what="the snapshot is complete")


async def test_what_comes_back_is_no_longer_gone(feeds: Feeds, upstream: Upstream) -> None:
    """A cluster that fades and emerges again is in one place only."""
    feed = feeds.emerging[""]
    feed.listen(ignore)
    upstream.emerged("back", EmergingPattern.CHANGE_FADED)
    upstream.emerged("back", EmergingPattern.CHANGE_NEW)

    await until(lambda: "back" in feed.patterns, within=SOON, what="it is back")
    assert not feed.gone


async def test_a_second_departure_is_shown_from_then_on(
    feeds: Feeds, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of its first departure does not end the telling of its second."""
    loop = asyncio.get_running_loop()
    clock, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead)
    feed = feeds.emerging[""]
    feed.listen(ignore)

    def gone() -> set[str]:
        return {pattern.emerging_pattern_id for pattern in feed.gone}

    upstream.emerged("back", EmergingPattern.CHANGE_FADED)
    upstream.emerged("later", EmergingPattern.CHANGE_FADED)
    await until(lambda: gone() == {"back", "later"}, within=SOON, what="both have gone")
    ahead += feed_module._GONE_FOR / 2
    upstream.emerged("back", EmergingPattern.CHANGE_NEW)
    await until(lambda: gone() == {"later"}, within=SOON, what="it is back")
    upstream.emerged("back", EmergingPattern.CHANGE_FADED)
    await until(lambda: gone() == {"back", "later"}, within=SOON, what="it has gone again")

    ahead += feed_module._GONE_FOR / 2
    # It departed after the other did for the first time: the timer of that one has run before.
    await until(lambda: "later" not in gone(), within=SOON, what="the time of both is over")
    assert gone() == {"back"}

    ahead += feed_module._GONE_FOR / 2
    await until(lambda: not gone(), within=SOON, what="the time of the second is over too")


async def test_an_answer_is_fetched_again_only_when_something_has_changed(
    feeds: Feeds, upstream: Upstream
) -> None:
    """Any number of pages may ask for a refresh at once: it is one call."""
    feed = feeds.patterns[""]
    feed.listen(ignore)
    await until(lambda: feed.value is not None, within=SOON, what="the first answer")
    upstream.published = 2

    for _ in range(10):
        feed.refresh()

    await until(lambda: feed.value, within=SOON, what="the second answer")
    assert upstream.asked["patterns"] == 2


async def test_a_pattern_that_is_not_there_is_a_problem_of_its_own(feeds: Feeds) -> None:
    """The page can distinguish it from a server that is away."""
    feed = feeds.histories["00000000-0000-4000-8000-000000000000"]
    feed.listen(ignore)

    await until(lambda: feed.problem, within=SOON, what="the answer")

    assert isinstance(feed.problem, NotFound)
