from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status as RichStatus

from keeper_grpc.client import (
    Alive,
    Changed,
    Conflict,
    DeadlineExceeded,
    EmergingEvent,
    Interrupted,
    InvalidRequest,
    KeeperClient,
    NotFound,
    PreconditionFailed,
    Retries,
    ServerError,
    SnapshotComplete,
    Unavailable,
)
from keeper_grpc.client.errors import Detail
from keeper_grpc.client.tournament import WINDOW
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    CapturePatternResponse,
    EnhanceInsightResponse,
    EnhanceInsightsRequest,
    EnhanceInsightsResponse,
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
    NetworkLearningServiceServicer,
    add_NetworkLearningServiceServicer_to_server,
)
from tests.e2e.waiting import SOON, until
from tests.integration.openai_stand_in import OpenAIStandIn, Status
from tests.rpc.requests import insight, new_account, new_topic
from tests.rpc.service import Service, openai, running

MISSING = "00000000-0000-4000-8000-000000000000"
GOOD = Outcome(success=True)
QUICK = Retries(wait_initial=0.01, jitter=lambda: 1.0)
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
"""Channels of one process to one address share a connection and its failures otherwise."""


def client(port: int, **chosen: Any) -> KeeperClient:
    """A client of a server on this machine."""
    usual: dict[str, Any] = {"retries": QUICK, "options": OWN_CONNECTION}
    return KeeperClient(f"127.0.0.1:{port}", **usual | chosen)


@pytest.fixture
async def keeper(service: Service) -> AsyncIterator[KeeperClient]:
    """A client of the module's service."""
    async with client(service.app.port) as made:
        yield made


@pytest.fixture
async def held(embeddings: OpenAIStandIn) -> AsyncIterator[OpenAIStandIn]:
    """The embeddings API, which answers nothing new until it is released."""
    embeddings.hold()
    yield embeddings
    embeddings.release()


async def learn(keeper: KeeperClient, topic: str, action: str, outcomes: str) -> str:
    """Capture outcomes ("+-") of an action, each by an account of its own; the pattern's id."""
    for seen in outcomes:
        answer = await keeper.capture(
            new_account(), insight(topic, action), Outcome(success=seen == "+")
        )
    return answer.pattern_id


async def test_each_method_reaches_its_call(keeper: KeeperClient, topic: str) -> None:
    """Register, capture, enhance, report, get and list, through the client alone."""
    account = new_account()
    joined = datetime(2026, 1, 2, tzinfo=UTC)
    assert await keeper.register_account(account, "spa", joined_time=joined)
    assert not await keeper.register_account(account, "spa", joined_time=joined)
    pattern_id = await learn(keeper, topic, "Offer a warm towel", "+++-")
    answer = await keeper.enhance(account, insight(topic), min_success_rate=0.5)
    assert answer.enhanced_insight.pattern_id == pattern_id
    assert (await keeper.get_pattern(pattern_id)).evidence.success_rate == 0.75
    reported = await keeper.report_outcome(account, answer.enhancement_id, GOOD)
    assert reported.pattern_id == pattern_id
    task = await keeper.generate_task(account, answer.enhancement_id)
    assert task.confidence_label == "Network Validated"
    second = await learn(keeper, topic, "Play quiet music", "++++++")
    listed = [
        pattern.pattern_id
        async for pattern in keeper.list_patterns(pattern_type=topic, page_size=1)
    ]
    assert listed == [second, pattern_id]


async def test_a_tournament_ranks_by_confidence_and_value(keeper: KeeperClient, topic: str) -> None:
    """Enhanced confidence times potential value decides, and the network can turn the order."""
    await learn(keeper, topic, "Offer a warm towel", "++++")
    proven = insight(topic, insight_id="proven", confidence=0.5, potential_value=100)
    alone = insight(
        new_topic(), "Sing a song", insight_id="alone", confidence=0.55, potential_value=100
    )
    large = insight(
        new_topic(), "Wash the car", insight_id="large", confidence=0.2, potential_value=1000
    )
    result = await keeper.tournament(new_account(), [alone, proven, large])
    assert [each.insight.insight_id for each in result.ranked] == ["large", "proven", "alone"]
    assert [each.score for each in result.ranked] == pytest.approx([200, 65, 55])
    assert result.ranked[1].response.enhanced_insight.network_enhanced
    assert result.failed == []


async def test_a_tournament_sets_failures_apart(keeper: KeeperClient, topic: str) -> None:
    """An invalid insight is told its fields; the others are ranked all the same."""
    wrong = insight(topic, confidence=7.0)
    result = await keeper.tournament(new_account(), [wrong, insight(topic)])
    assert [each.insight for each in result.ranked] == [insight(topic)]
    (failed,) = result.failed
    assert failed.insight == wrong
    assert isinstance(failed.error, InvalidRequest)
    assert [broken.field for broken in failed.error.field_violations] == ["insight.confidence"]


async def test_a_tournament_asks_again_what_failed_for_a_moment(
    keeper: KeeperClient, embeddings: OpenAIStandIn, topic: str
) -> None:
    """An embedder that is away for one request costs no insight its place."""
    embeddings.then(Status(500))
    insights = [insight(topic, f"Offer {kind} tea") for kind in ("green", "black")]
    result = await keeper.tournament(new_account(), insights)
    assert len(result.ranked) == 2
    assert result.failed == []


async def test_an_empty_tournament_asks_nobody() -> None:
    """Nothing to rank needs no server."""
    async with client(1) as keeper:
        result = await keeper.tournament("account", [])
    assert (result.ranked, result.failed) == ([], [])


async def test_a_tournament_without_a_server_raises() -> None:
    """Nothing was judged: that is an error, not an empty ranking."""
    async with client(1, retries=Retries(attempts=2, wait_initial=0.01)) as keeper:
        with pytest.raises(Unavailable):
            await keeper.tournament("account", [insight("churn_prevention")], timeout=SOON)


async def test_errors_are_read(keeper: KeeperClient, topic: str) -> None:
    """Each error is of its class, with the server's reason and fields."""
    with pytest.raises(InvalidRequest) as invalid:
        await keeper.capture("", insight(topic), GOOD)
    assert invalid.value.reason == "INVALID_REQUEST"
    assert [broken.field for broken in invalid.value.field_violations] == ["account_id"]
    assert invalid.value.code == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(NotFound) as missing:
        await keeper.get_pattern(MISSING)
    assert missing.value.reason == "PATTERN_NOT_FOUND"
    with pytest.raises(PreconditionFailed) as unknown:
        await keeper.enhance(new_account(), Insight(type=topic))
    assert unknown.value.reason == "ACCOUNT_CATEGORY_UNKNOWN"
    account = new_account()
    await keeper.capture(account, insight(topic), GOOD, request_id=MISSING)
    with pytest.raises(Conflict) as reused:
        await keeper.capture(account, insight(topic), Outcome(), request_id=MISSING)
    assert reused.value.reason == "REQUEST_ID_REUSED"


def rich(code: grpc.StatusCode, *details: Message) -> dict[str, Any]:
    """What `context.abort` takes to send a rich status."""
    packed = []
    for detail in details:
        packed.append(Packed())
        packed[-1].Pack(detail)
    status = RichStatus(code=code.value[0], message="as planned", details=packed)
    return {
        "code": code,
        "details": "as planned",
        "trailing_metadata": (("grpc-status-details-bin", status.SerializeToString()),),
    }


def retry_after(seconds: float) -> RetryInfo:
    """The detail that asks a caller to wait."""
    info = RetryInfo()
    info.retry_delay.FromTimedelta(timedelta(seconds=seconds))
    return info


class Scripted(NetworkLearningServiceServicer):
    """A server that fails as planned, to see what the client makes of it."""

    def __init__(self) -> None:
        self.failures: list[dict[str, Any]] = []
        self.request_ids: list[str] = []
        self.times: list[float] = []
        self.asked: list[list[str]] = []
        self.answers_from = 1
        self.answers_to = 1_000
        self.hangs = False
        self.streams: list[Sequence[StreamEmergingPatternsResponse]] = []
        self.tokens: list[str] = []

    async def CapturePattern(  # noqa: N802 - gRPC names it
        self, request: CapturePatternRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> CapturePatternResponse:
        self.request_ids.append(request.request_id)
        self.times.append(time.monotonic())
        if self.failures:
            await context.abort(**self.failures.pop(0))
        return CapturePatternResponse(pattern_id="p")

    async def EnhanceInsights(  # noqa: N802 - gRPC names it
        self,
        questions: AsyncIterator[EnhanceInsightsRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[EnhanceInsightsResponse]:
        asked: list[str] = []
        names: list[str] = []
        answered = 0
        self.asked.append(asked)
        async for question in questions:
            asked.append(question.request.insight.insight_id)
            names.append(question.correlation_id)
            if self.failures and len(asked) == 2:
                await context.abort(**self.failures.pop(0))
            if self.answers_from <= len(asked):
                while answered < min(len(names), self.answers_to):
                    yield EnhanceInsightsResponse(
                        correlation_id=names[answered], response=EnhanceInsightResponse()
                    )
                    answered += 1
        if self.hangs:
            await asyncio.Event().wait()

    async def StreamEmergingPatterns(  # noqa: N802 - gRPC names it
        self,
        request: StreamEmergingPatternsRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[StreamEmergingPatternsResponse]:
        self.tokens.append(request.resume_token)
        for message in self.streams.pop(0):
            yield message
        await context.abort(**self.failures.pop(0))


def script() -> Scripted:
    """A server without a plan."""
    return Scripted()  # type: ignore[abstract]  # it has the calls that these tests make


@asynccontextmanager
async def serving(servicer: Scripted) -> AsyncIterator[int]:
    """The port of a server with these handlers."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add_NetworkLearningServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def test_a_capture_keeps_its_name_across_retries_and_waits_as_told() -> None:
    """One request_id for all attempts, no attempt before RetryInfo's delay."""
    scripted = script()
    scripted.failures = [rich(UNAVAILABLE, retry_after(0.2)), rich(UNAVAILABLE, retry_after(0.3))]
    async with serving(scripted) as port, client(port) as keeper:
        await keeper.capture("account", insight("churn_prevention"), GOOD)
        await keeper.capture("account", insight("churn_prevention"), GOOD)
    first, second, third, other = scripted.request_ids
    assert first == second == third != other
    waits = [
        later - earlier for earlier, later in zip(scripted.times, scripted.times[1:], strict=False)
    ]
    assert waits[0] >= 0.2
    assert waits[1] >= 0.3


async def test_a_call_that_the_server_cut_short_is_sent_again() -> None:
    """The server's limit is retried under the same request_id; a deadline without a reason is not."""
    code = grpc.StatusCode.DEADLINE_EXCEEDED
    scripted = script()
    scripted.failures = [rich(code, ErrorInfo(reason="CALL_DURATION_EXCEEDED")), rich(code)]
    async with serving(scripted) as port, client(port) as keeper:
        with pytest.raises(DeadlineExceeded):
            await keeper.capture("account", insight("churn_prevention"), GOOD)
    assert len(scripted.request_ids) == 2
    assert len(set(scripted.request_ids)) == 1


async def test_what_no_retry_cures_is_not_retried() -> None:
    """INTERNAL is raised at once, with its reason."""
    scripted = script()
    scripted.failures = [rich(grpc.StatusCode.INTERNAL, ErrorInfo(reason="INTERNAL"))]
    async with serving(scripted) as port, client(port) as keeper:
        with pytest.raises(ServerError) as caught:
            await keeper.capture("account", insight("churn_prevention"), GOOD)
    assert caught.value.reason == "INTERNAL"
    assert len(scripted.request_ids) == 1


async def test_attempts_and_time_are_bounded() -> None:
    """The last error is raised when attempts are used up, or the next one would come too late."""
    scripted = script()
    scripted.failures = [rich(UNAVAILABLE)] * 4 + [rich(UNAVAILABLE, retry_after(3600))]
    async with serving(scripted) as port, client(port) as keeper:
        with pytest.raises(Unavailable):
            await keeper.capture("account", insight("churn_prevention"), GOOD)
        assert len(scripted.request_ids) == QUICK.attempts
        with pytest.raises(Unavailable) as late:
            await keeper.capture("account", insight("churn_prevention"), GOOD)
    assert late.value.retry_after == 3600
    assert len(scripted.request_ids) == QUICK.attempts + 1


async def test_what_operators_did_is_listed_newest_first(
    keeper: KeeperClient, service: Service
) -> None:
    """As many events as are asked for, with counts and without an account."""
    accounts = [new_account(), new_account()]
    for account in accounts:
        await keeper.register_account(account, "spa")
    forgotten = []
    for account in accounts:
        done = await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
        forgotten.append(done.audit_event_id)

    # That it began is an event of its own.
    newest, _, older = await keeper.list_audit_events(page_size=3)

    assert [newest.audit_event_id, older.audit_event_id] == forgotten[::-1]
    assert newest.action == "forget_account"
    assert "observations_removed" in newest.counts


async def test_a_call_ends_at_its_timeout(service: Service, held: OpenAIStandIn) -> None:
    """A server that does not answer costs no more than the client's timeout."""
    async with client(service.app.port, timeout=0.2) as keeper:
        with pytest.raises(DeadlineExceeded):
            await keeper.enhance(new_account(), insight(new_topic(), "Offer held tea"))


async def test_an_error_without_details_is_an_error_still() -> None:
    """A proxy's status, and details that are none, give code and message."""
    scripted = script()
    garbage = (("grpc-status-details-bin", b"\xff\xff"),)
    scripted.failures = [
        {"code": grpc.StatusCode.PERMISSION_DENIED, "details": "no", "trailing_metadata": garbage}
    ]
    async with serving(scripted) as port, client(port) as keeper:
        with pytest.raises(ServerError) as caught:
            await keeper.capture("account", insight("churn_prevention"), GOOD)
    assert (caught.value.message, caught.value.reason) == ("no", "")


async def test_a_tournament_has_no_more_questions_open_than_its_window() -> None:
    """A server that wants a window of questions before it answers gets it, and not one more."""
    scripted = script()
    insights = [insight("churn_prevention", insight_id=str(number)) for number in range(WINDOW * 2)]
    async with serving(scripted) as port, client(port) as keeper:
        scripted.answers_from = WINDOW
        result = await keeper.tournament("account", insights, timeout=SOON)
        assert len(result.ranked) == len(insights)
        scripted.answers_from = WINDOW + 1
        with pytest.raises(DeadlineExceeded):
            await keeper.tournament("account", insights, timeout=3)
    assert [len(asked) for asked in scripted.asked] == [WINDOW * 2, WINDOW]


async def test_a_tournament_keeps_what_was_answered_in_time() -> None:
    """At the deadline the answered insights are ranked, the others failed with it."""
    scripted = script()
    scripted.answers_to = 2
    scripted.hangs = True
    insights = [insight("churn_prevention", insight_id=name) for name in "abc"]
    async with serving(scripted) as port, client(port) as keeper:
        result = await keeper.tournament("account", insights, timeout=3)
    assert [each.insight.insight_id for each in result.ranked] == ["a", "b"]
    (failed,) = result.failed
    assert failed.insight.insight_id == "c"
    assert isinstance(failed.error, DeadlineExceeded)


async def test_a_stream_that_ends_early_is_a_broken_one() -> None:
    """Questions that a proxy lost without an error are asked again."""
    scripted = script()
    scripted.answers_to = 2
    insights = [insight("churn_prevention", insight_id=name) for name in "abc"]
    async with serving(scripted) as port, client(port) as keeper:
        result = await keeper.tournament("account", insights, timeout=SOON)
    assert [each.insight.insight_id for each in result.ranked] == ["a", "b", "c"]
    assert scripted.asked == [["a", "b", "c"], ["c"]]


async def test_a_tournament_goes_on_where_a_stream_broke() -> None:
    """Only what has no answer is asked again."""
    scripted = script()
    scripted.failures = [rich(UNAVAILABLE)]
    insights = [insight("churn_prevention", insight_id=name) for name in "abc"]
    async with serving(scripted) as port, client(port) as keeper:
        result = await keeper.tournament("account", insights)
    assert [each.insight.insight_id for each in result.ranked] == ["a", "b", "c"]
    assert scripted.asked[0][:2] == ["a", "b"]
    assert scripted.asked[1] == ["b", "c"]


def emerging(
    name: str, change: EmergingPattern.Change.ValueType, token: str, accounts: int = 3
) -> StreamEmergingPatternsResponse:
    """One message of the emerging stream."""
    return StreamEmergingPatternsResponse(
        emerging_pattern=EmergingPattern(
            emerging_pattern_id=name,
            change=change,
            account_count=accounts,
        ),
        resume_token=token,
    )


def complete(count: int, token: str, *, expired: bool = False) -> StreamEmergingPatternsResponse:
    """The end of a snapshot."""
    return StreamEmergingPatternsResponse(
        snapshot_complete=StreamEmergingPatternsResponse.SnapshotComplete(
            count=count, resume_token_expired=expired
        ),
        resume_token=token,
    )


NEW = EmergingPattern.CHANGE_NEW
UPDATED = EmergingPattern.CHANGE_UPDATED
FADED = EmergingPattern.CHANGE_FADED


async def test_a_watch_tells_everything_once() -> None:
    """Across a broken snapshot and an expired token: no repetition, and what is gone has faded."""
    scripted = script()
    scripted.streams = [
        [emerging("a", NEW, "in-snapshot")],
        [emerging("a", NEW, "in-snapshot"), emerging("b", NEW, "in-snapshot"), complete(2, "1")],
        [emerging("a", UPDATED, "2", accounts=4)],
        [
            emerging("a", NEW, "in-snapshot", accounts=5),
            emerging("c", NEW, "in-snapshot"),
            complete(2, "9", expired=True),
        ],
    ]
    slow = rich(grpc.StatusCode.RESOURCE_EXHAUSTED)
    scripted.failures = [rich(UNAVAILABLE), slow, rich(UNAVAILABLE, retry_after(0.1))]
    scripted.failures.append(rich(grpc.StatusCode.INVALID_ARGUMENT))
    async with serving(scripted) as port, client(port) as keeper:
        events = keeper.watch_emerging()
        seen = [brief(await anext(events)) for _ in range(8)]
        with pytest.raises(InvalidRequest):
            await anext(events)
    assert seen == [
        ("a", NEW, 3),
        ("b", NEW, 3),
        2,
        ("a", UPDATED, 4),
        ("a", UPDATED, 5),
        ("c", NEW, 3),
        ("b", FADED, 3),
        Alive(),  # the second snapshot is complete
    ]
    assert scripted.tokens == ["", "in-snapshot", "1", "2"]


def brief(event: EmergingEvent) -> object:
    """An event in short."""
    match event:
        case Changed(pattern):
            return (pattern.emerging_pattern_id, pattern.change, pattern.account_count)
        case SnapshotComplete(count):
            return count
        case Interrupted(error):
            return error.code
        case Alive():
            return event


async def test_a_watch_of_what_emerges_says_when_it_is_interrupted() -> None:
    """The first failure may be a stream's greatest age; a heartbeat ends the second."""
    scripted = script()
    beat = StreamEmergingPatternsResponse(
        heartbeat=StreamEmergingPatternsResponse.Heartbeat(), resume_token="1"
    )
    scripted.streams = [[complete(0, "1")], [], [beat]]
    scripted.failures = [rich(UNAVAILABLE), rich(UNAVAILABLE), rich(UNAVAILABLE)]
    async with serving(scripted) as port, client(port) as keeper:
        events = keeper.watch_emerging()
        seen = [brief(await anext(events)) for _ in range(3)]
        await events.aclose()
    assert seen == [0, UNAVAILABLE, Alive()]


async def test_a_watch_survives_a_restart(database_url: str, embeddings: OpenAIStandIn) -> None:
    """The server goes away and comes back on its port; the watch misses and repeats nothing."""
    seen: list[Changed] = []
    settings = openai(embeddings.base_url)

    async def follow(keeper: KeeperClient, topic: str) -> None:
        nonlocal seen
        async with aclosing(keeper.watch_emerging(pattern_type=topic)) as events:
            async for event in events:
                seen += [event] if isinstance(event, Changed) else []

    async def sight(service: Service, topic: str, action: str) -> None:
        async with client(service.app.port) as asking:
            for _ in range(3):
                await asking.enhance(new_account(), insight(topic, action))

    topic = new_topic()
    async with running(database_url, **settings) as first:
        port = first.app.port
        keeper = client(port)
        following = asyncio.create_task(follow(keeper, topic))
        await sight(first, topic, "Offer a warm towel")
        await until(lambda: len(seen) >= 1, within=SOON, what="the first has emerged")
    assert not following.done()
    async with running(database_url, port=port, **settings) as second:
        await sight(second, topic, "Wash the car")
        await until(
            lambda: len({event.pattern.emerging_pattern_id for event in seen}) == 2,
            within=SOON,
            what="the second has emerged",
        )
        following.cancel()
        await asyncio.wait([following])
        await keeper.aclose()
    news = [event for event in seen if event.pattern.change == NEW]
    assert len(news) == 2
    states = [event.pattern.SerializeToString() for event in seen]
    assert len(states) == len(set(states))


def test_waits_grow_and_never_undercut_the_server() -> None:
    """Doubling up to the longest, shortened by jitter, on top of what the server asks for."""
    told = Unavailable(UNAVAILABLE, "", Detail(retry_after=2.0))
    silent = Unavailable(UNAVAILABLE, "", Detail())
    full = Retries(wait_initial=1.0, wait_max=5.0, jitter=lambda: 1.0)
    assert [full.delay(failures, silent) for failures in (1, 2, 3, 4, 9999)] == [1, 2, 4, 5, 5]
    assert full.delay(1, told) == 3.0
    assert Retries(wait_initial=1.0, jitter=lambda: 0.0).delay(5, told) == 2.0
