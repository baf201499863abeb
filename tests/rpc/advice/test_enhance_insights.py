from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, TypeAlias

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from keeper_grpc.domain.advice.enhancement import Enhancement
from keeper_grpc.domain.errors import PatternNotFound
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightRequest,
    EnhanceInsightsRequest,
    EnhanceInsightsResponse,
)
from keeper_grpc.rpc.streams.enhance import EnhanceStream
from keeper_grpc.usecases.advice.enhance import Question
from tests.e2e.waiting import SOON, until
from tests.integration.openai_stand_in import OpenAIStandIn, Status
from tests.rpc.refusal import read, refusal
from tests.rpc.requests import new_account, new_topic, question
from tests.rpc.service import Service, openai, running

if TYPE_CHECKING:
    Call: TypeAlias = grpc.aio.StreamStreamCall[EnhanceInsightsRequest, EnhanceInsightsResponse]


def asked(name: str, request: EnhanceInsightRequest) -> EnhanceInsightsRequest:
    """A question of a stream."""
    return EnhanceInsightsRequest(correlation_id=name, request=request)


async def ask(call: Call, *names: str, topic: str) -> None:
    """Write questions whose texts nobody has asked before."""
    for name in names:
        await call.write(asked(name, question(topic, f"Offer {name} towels")))


async def answers(call: Call) -> dict[str, EnhanceInsightsResponse]:
    """Everything that is still to come, by correlation id."""
    got = {}
    while isinstance(answer := await call.read(), EnhanceInsightsResponse):
        got[answer.correlation_id] = answer
    return got


async def first_answer(call: Call) -> EnhanceInsightsResponse:
    """The next answer; fails at the end of the stream."""
    answer = await call.read()
    assert isinstance(answer, EnhanceInsightsResponse)
    return answer


def stream_tasks() -> list[asyncio.Task[object]]:
    """What runs in this process for streams of questions."""
    return [
        task
        for task in asyncio.all_tasks()
        if "_Stream." in getattr(task.get_coro(), "__qualname__", "")
    ]


@pytest.fixture
def held(embeddings: OpenAIStandIn) -> Iterator[OpenAIStandIn]:
    """The embeddings API, which answers nothing new until it is released."""
    embeddings.hold()
    yield embeddings
    embeddings.release()


async def test_every_question_gets_the_answer_that_it_would_get_alone(
    service: Service, topic: str
) -> None:
    """Answers carry the correlation ids and say what the unary call says."""
    account = new_account()
    requests = {
        name: question(topic, f"Offer {name} tea", account=account, insight_id=f"id-{name}")
        for name in ("green", "black", "white")
    }
    call = service.network.EnhanceInsights(asked(name, each) for name, each in requests.items())
    got = await answers(call)
    assert got.keys() == requests.keys()
    for name, each in requests.items():
        alone = await service.network.EnhanceInsight(each)
        assert uuid.UUID(got[name].response.enhancement_id)
        assert got[name].response.enhanced_insight == alone.enhanced_insight
        assert got[name].response.no_match_reason == alone.no_match_reason
    assert await call.code() == grpc.StatusCode.OK


async def test_answers_come_as_they_are_done(
    service: Service, embeddings: OpenAIStandIn, topic: str
) -> None:
    """A question that waits for its embedding does not hold up one that needs none."""
    known = question(topic, "Offer known tea")
    await service.network.EnhanceInsight(known)
    embeddings.hold()
    before = len(embeddings.bodies)
    call = service.network.EnhanceInsights()
    try:
        await ask(call, "slow", topic=topic)
        await embeddings.received(before + 1)
        await call.write(asked("fast", known))
        first = await first_answer(call)
    finally:
        embeddings.release()
    await call.done_writing()
    rest = await answers(call)
    assert first.correlation_id == "fast"
    assert list(rest) == ["slow"]


@pytest.fixture
async def strict(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """A service that answers no question without its model."""
    settings = openai(embeddings.base_url, enhance_without_embedder=False)
    async with running(database_url, **settings) as started:
        yield started


async def test_a_failure_is_the_questions_own(
    strict: Service, embeddings: OpenAIStandIn, topic: str
) -> None:
    """A failed question is answered with the unary call's status, and the stream goes on."""
    service = strict
    embeddings.then(Status(500), Status(500))
    alone = await refusal(service.network.EnhanceInsight(question(topic, "Offer lost tea")))
    call = service.network.EnhanceInsights()
    await ask(call, "unlucky", topic=topic)
    failed = await first_answer(call)
    await ask(call, "lucky", topic=topic)
    await call.done_writing()
    rest = await answers(call)
    assert failed.correlation_id == "unlucky"
    assert alone.code == grpc.StatusCode.UNAVAILABLE
    assert failed.error.code == alone.code.value[0]
    assert failed.error.message == alone.message
    info, retry = ErrorInfo(), RetryInfo()
    assert failed.error.details[0].Unpack(info)
    assert failed.error.details[1].Unpack(retry)
    assert (info.domain, info.reason) == (alone.domain, alone.reason)
    assert info.reason == "EMBEDDER_UNAVAILABLE"
    assert retry.retry_delay.ToTimedelta().total_seconds() == alone.retry_seconds
    assert rest["lucky"].HasField("response")
    assert await call.code() == grpc.StatusCode.OK


async def test_an_invalid_question_is_told_its_fields(service: Service, topic: str) -> None:
    """Each question is held against the proto's rules and the handler's, with the unary paths."""
    long = question(topic, "x" * 2001)
    control = question(topic, "Offer \x07 tea")
    questions = [
        asked("long", long),
        EnhanceInsightsRequest(request=question(topic)),
        asked("empty", EnhanceInsightRequest()),
        EnhanceInsightsRequest(correlation_id="bare"),
        asked("control", control),
        asked("good", question(topic)),
    ]
    got = await answers(service.network.EnhanceInsights(iter(questions)))
    fields = {}
    for name, answer in got.items():
        bad = BadRequest()
        for detail in answer.error.details:
            detail.Unpack(bad)
        fields[name] = {violation.field for violation in bad.field_violations}
    assert fields == {
        "long": {"insight.action"},
        "": {"correlation_id"},
        "empty": {"account_id", "insight"},
        "bare": {"request"},
        "control": {"insight.action"},
        "good": set(),
    }
    assert {answer.error.code for name, answer in got.items() if name != "good"} == {
        grpc.StatusCode.INVALID_ARGUMENT.value[0]
    }


async def test_no_more_questions_are_worked_on_than_the_setting_says(
    database_url: str, embeddings: OpenAIStandIn
) -> None:
    """With four in flight, the fifth question waits in the connection until one is answered."""
    topic = new_topic()
    names = [f"n{number}" for number in range(12)]
    # A batch of one each, so that the stand-in sees every question as a request of its own.
    settings = openai(embeddings.base_url, openai_concurrency=12)
    async with running(database_url, stream_in_flight=4, **settings) as service:
        before = len(embeddings.texts)
        embeddings.hold()
        try:
            call = service.network.EnhanceInsights()
            await ask(call, *names, topic=topic)
            await until(
                lambda: len(embeddings.texts) - before >= 4, within=SOON, what="four are asked"
            )
            # Other calls come and go meanwhile, so the server had its chance to read on.
            for _ in range(5):
                await refusal(service.network.EnhanceInsight(EnhanceInsightRequest()))
            assert len(embeddings.texts) - before == 4
        finally:
            embeddings.release()
        await call.done_writing()
        assert (await answers(call)).keys() == set(names)


async def test_a_caller_that_closes_its_side_gets_all_its_answers(
    service: Service, held: OpenAIStandIn, topic: str
) -> None:
    """Half-close: what is in flight is finished, and the stream ends well."""
    before = len(held.bodies)
    call = service.network.EnhanceInsights()
    await ask(call, "one", "two", topic=topic)
    await call.done_writing()
    await held.received(before + 1)
    held.release()
    assert (await answers(call)).keys() == {"one", "two"}
    assert await call.code() == grpc.StatusCode.OK


async def test_an_empty_stream_ends_well(service: Service) -> None:
    """No question, no answer, no error."""
    call = service.network.EnhanceInsights(iter(()))
    assert await answers(call) == {}
    assert await call.code() == grpc.StatusCode.OK


async def test_cancelling_ends_everything_in_flight(
    service: Service, held: OpenAIStandIn, topic: str
) -> None:
    """Of a cancelled stream no task is left, and nothing is recorded afterwards."""
    before = len(held.bodies)
    call = service.network.EnhanceInsights()
    await ask(call, "one", "two", topic=topic)
    await held.received(before + 1)
    assert len(stream_tasks()) == 3
    call.cancel()
    await until(lambda: not stream_tasks(), within=SOON, what="the tasks are gone")
    held.release()
    await service.network.EnhanceInsight(question(new_topic()))
    count = "SELECT count(*) FROM enhancements WHERE pattern_type = $1"
    assert await service.value(count, topic) == 0


async def test_a_drain_finishes_what_was_read_and_says_so(
    database_url: str, embeddings: OpenAIStandIn
) -> None:
    """Questions in flight are answered, later ones are not read, the end is UNAVAILABLE."""
    topic = new_topic()
    async with running(database_url, **openai(embeddings.base_url)) as service:
        before = len(embeddings.texts)
        embeddings.hold()
        try:
            call = service.network.EnhanceInsights()
            await ask(call, "one", "two", topic=topic)
            await until(
                lambda: len(embeddings.texts) - before == 2, within=SOON, what="both are asked"
            )
            drain = asyncio.create_task(service.app.drain())
            await until(lambda: len(stream_tasks()) == 2, within=SOON, what="the reader is gone")
            await ask(call, "late", topic=topic)
        finally:
            embeddings.release()
        got = [(await first_answer(call)).correlation_id for _ in range(2)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        await drain
    end = read(caught.value)
    assert sorted(got) == ["one", "two"]
    assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    assert end.retry_seconds is not None


async def test_a_caller_that_does_not_read_is_not_read_from() -> None:
    """Answers that cannot be sent hold their places, so nothing piles up."""
    read_so_far = 0
    gate = asyncio.Event()
    sent: list[str] = []

    async def questions() -> AsyncIterator[EnhanceInsightsRequest]:
        nonlocal read_so_far
        for number in range(20):
            read_so_far += 1
            yield asked(str(number), question("churn_prevention"))

    async def enhance(_: Question) -> Enhancement:
        raise PatternNotFound

    async def send(answer: EnhanceInsightsResponse) -> None:
        await gate.wait()
        sent.append(answer.correlation_id)

    stream = EnhanceStream(enhance=enhance, in_flight=3, max_duration=SOON, admit=everybody)
    serving = asyncio.create_task(stream.serve(questions(), send))
    await until(lambda: read_so_far == 3, within=SOON, what="three are read")
    for _ in range(50):  # turns of the loop, in which a fourth could be read
        await asyncio.sleep(0)
    assert read_so_far == 3
    gate.set()
    await serving
    assert sorted(sent, key=int) == [str(number) for number in range(20)]


async def everybody(account_id: str) -> None:
    """Lets every question pass."""


async def test_one_question_may_take_no_longer_than_a_call() -> None:
    """A question that hangs is answered with DEADLINE_EXCEEDED, and a defect with INTERNAL."""

    async def questions() -> AsyncIterator[EnhanceInsightsRequest]:
        yield asked("hangs", question("churn_prevention"))
        yield asked("breaks", question("review_response"))

    async def enhance(asked_for: Question) -> Enhancement:
        if asked_for.insight.type == "review_response":
            raise ValueError("a text that must not be told")
        await asyncio.Event().wait()
        raise AssertionError("nobody sets the event")

    sent: dict[str, EnhanceInsightsResponse] = {}

    async def send(answer: EnhanceInsightsResponse) -> None:
        sent[answer.correlation_id] = answer

    await EnhanceStream(enhance=enhance, in_flight=2, max_duration=0.05, admit=everybody).serve(
        questions(), send
    )
    assert sent["hangs"].error.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert sent["breaks"].error.code == grpc.StatusCode.INTERNAL.value[0]
    assert "told" not in str(sent["breaks"])


@pytest.mark.parametrize(
    "damaged",
    [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xed\xa0", b"\x12\x03\x0a\x01\xff"],
    ids=["no tag", "cut off", "surrogate", "nested text"],
)
async def test_bytes_that_are_no_message_are_one_refused_question(
    service: Service, topic: str, damaged: bytes
) -> None:
    """The stream goes on, and every other question is answered."""
    method = "/keeper.network.v1.NetworkLearningService/EnhanceInsights"
    call: grpc.aio.StreamStreamCall[bytes, EnhanceInsightsResponse] = service.channel.stream_stream(
        method, response_deserializer=EnhanceInsightsResponse.FromString
    )()
    for number in range(40):
        await call.write(asked(str(number), question(topic)).SerializeToString())
        if number in {0, 20}:
            await call.write(damaged)
    await call.done_writing()
    got = [answer async for answer in call]
    refused = [answer for answer in got if answer.HasField("error")]
    assert {answer.correlation_id for answer in got if answer.HasField("response")} == {
        str(number) for number in range(40)
    }
    assert [answer.error.code for answer in refused] == [
        grpc.StatusCode.INVALID_ARGUMENT.value[0]
    ] * 2
    for answer in refused:
        bad = BadRequest()
        assert any(detail.Unpack(bad) for detail in answer.error.details)
        assert "no message" in bad.field_violations[0].description
    assert await call.code() is grpc.StatusCode.OK
