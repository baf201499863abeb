from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import grpc
import pytest

from keeper_grpc.domain.emerging.model import Change
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
)
from tests.e2e.waiting import SOON
from tests.integration.emerging.emerging_events import cluster, tell
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.geometry import Geometry
from tests.rpc.refusal import Refusal, read
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service, openai, running

NEW = EmergingPattern.CHANGE_NEW
UPDATED = EmergingPattern.CHANGE_UPDATED
PROMOTED = EmergingPattern.CHANGE_PROMOTED
FADED = EmergingPattern.CHANGE_FADED

Stream: TypeAlias = Any
"""grpc's UnaryStreamCall; its class is generic in the stubs only."""


@asynccontextmanager
async def subscribed(service: Service, **fields: Any) -> AsyncIterator[Stream]:
    """An open stream; cancelled at the end of the block."""
    stream: Stream = service.network.StreamEmergingPatterns(StreamEmergingPatternsRequest(**fields))
    try:
        yield stream
    finally:
        stream.cancel()


async def next_message(stream: Stream) -> StreamEmergingPatternsResponse:
    """The next message of any kind."""
    async with asyncio.timeout(SOON):
        message = await stream.read()
    assert isinstance(message, StreamEmergingPatternsResponse)
    assert message.resume_token
    return message


async def next_event(stream: Stream) -> StreamEmergingPatternsResponse:
    """The next message that is no heartbeat."""
    async with asyncio.timeout(SOON):
        while True:
            message = await next_message(stream)
            if message.WhichOneof("event") != "heartbeat":
                return message


async def next_change(
    stream: Stream, wanted: Callable[[EmergingPattern], bool] = lambda _: True
) -> StreamEmergingPatternsResponse:
    """The next change that meets a condition."""
    async with asyncio.timeout(SOON):
        while True:
            message = await next_event(stream)
            assert message.WhichOneof("event") == "emerging_pattern"
            if wanted(message.emerging_pattern):
                return message


async def snapshot(stream: Stream) -> tuple[list[EmergingPattern], StreamEmergingPatternsResponse]:
    """The members of the snapshot, and the message that ends it."""
    members = []
    while (message := await next_event(stream)).WhichOneof("event") == "emerging_pattern":
        members.append(message.emerging_pattern)
    assert message.WhichOneof("event") == "snapshot_complete"
    assert message.snapshot_complete.count == len(members)
    return members, message


async def ended(stream: Stream) -> Refusal:
    """The error that ends a stream, whatever comes before."""
    async with asyncio.timeout(SOON):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _exhaust(stream)
    return read(caught.value)


async def _exhaust(stream: Stream) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


async def seen_by(service: Service, topic: str, accounts: int, **fields: Any) -> None:
    """So many new accounts capture the same failed insight: it emerges and never is proven."""
    for _ in range(accounts):
        await service.network.CapturePattern(capture(topic, success=False, **fields))


async def quiet(stream: Stream) -> None:
    """Fails if anything but heartbeats comes until a whole silence from now on is over."""
    now = datetime.now(UTC)
    whole = 0
    while whole < 2:
        message = await next_message(stream)
        assert message.WhichOneof("event") == "heartbeat"
        whole += message.heartbeat.server_time.ToDatetime(tzinfo=UTC) >= now


async def detected(service: Service, topic: str) -> None:
    """Wait until the detector has looked at every sighting of a topic."""
    sql = "SELECT count(*) FROM sightings WHERE pattern_type = $1 AND pending"
    async with asyncio.timeout(SOON):
        while await service.value(sql, topic):  # noqa: ASYNC110 - the table alone tells
            await asyncio.sleep(0.02)


async def test_a_snapshot_comes_first(service: Service, topic: str) -> None:
    """What has emerged before is there at once, marked complete, with its count."""
    async with subscribed(service, pattern_type=topic) as empty:
        assert (await snapshot(empty))[0] == []
    await seen_by(service, topic, 3, confidence=0.4, potential_value=100)
    await detected(service, topic)
    async with subscribed(service, pattern_type=topic) as stream:
        (member,), complete = await snapshot(stream)
    assert not complete.snapshot_complete.resume_token_expired
    assert member.change == NEW
    assert uuid.UUID(member.emerging_pattern_id)
    assert member.pattern_type == topic
    assert list(member.business_categories) == ["spa"]
    assert "Offer a warm towel" in member.common_pattern
    assert member.label == "Offer a warm towel"
    assert (member.account_count, member.sighting_count) == (3, 3)
    assert member.mean_similarity == pytest.approx(1, abs=1e-5)
    assert member.mean_confidence == pytest.approx(0.4)
    assert member.total_potential_value == pytest.approx(300)
    assert member.first_seen_time.ToDatetime() <= member.last_seen_time.ToDatetime()
    assert member.promoted_pattern_id == ""


async def test_captures_bring_changes(service: Service, topic: str) -> None:
    """Nothing while two accounts see it; NEW with the third, UPDATED with the fourth."""
    async with subscribed(service, pattern_type=topic) as stream:
        await snapshot(stream)
        await seen_by(service, topic, 2)
        await detected(service, topic)
        await quiet(stream)
        await seen_by(service, topic, 1)
        emerged = (await next_change(stream)).emerging_pattern
        assert (emerged.change, emerged.account_count) == (NEW, 3)
        await seen_by(service, topic, 1)
        grown = (await next_change(stream)).emerging_pattern
        assert (grown.change, grown.account_count) == (UPDATED, 4)
        assert grown.emerging_pattern_id == emerged.emerging_pattern_id


async def test_questions_bring_changes_too(service: Service, topic: str) -> None:
    """Three accounts that only ask about something make it emerge."""
    async with subscribed(service, pattern_type=topic) as stream:
        await snapshot(stream)
        for _ in range(3):
            await service.network.EnhanceInsight(question(topic, ""))
        emerged = (await next_change(stream, lambda c: c.account_count == 3)).emerging_pattern
    assert emerged.change == NEW


async def test_one_account_that_repeats_itself_does_not_make_a_trend(
    service: Service, topic: str
) -> None:
    """Its sightings are renewed, not added: it stays one account, and nothing is told."""
    account = new_account()
    async with subscribed(service, pattern_type=topic) as stream:
        await snapshot(stream)
        for _ in range(10):
            await service.network.EnhanceInsight(question(topic, account=account))
        await detected(service, topic)
        await quiet(stream)
    seen = await service.value("SELECT count(*) FROM sightings WHERE pattern_type = $1", topic)
    assert seen == 1


async def test_a_proven_pattern_ends_its_emergence(service: Service, topic: str) -> None:
    """When the pattern is surely good and published, subscribers are told which one it became."""
    async with subscribed(service, pattern_type=topic) as stream:
        await snapshot(stream)
        await seen_by(service, topic, 3)
        await next_change(stream)
        for _ in range(16):
            answer = await service.network.CapturePattern(capture(topic))
        promoted = await next_change(stream, lambda change: change.change == PROMOTED)
    assert promoted.emerging_pattern.promoted_pattern_id == answer.pattern_id
    async with subscribed(service, pattern_type=topic) as stream:
        assert (await snapshot(stream))[0] == []


async def test_a_silent_stream_sends_heartbeats(service: Service, topic: str) -> None:
    """Signs of life with the server's clock and the token that is still good."""
    async with subscribed(service, pattern_type=topic) as stream:
        _, complete = await snapshot(stream)
        beats = [await next_message(stream) for _ in range(2)]
    for beat in beats:
        assert beat.WhichOneof("event") == "heartbeat"
        skew = datetime.now(UTC) - beat.heartbeat.server_time.ToDatetime(tzinfo=UTC)
        assert abs(skew) < timedelta(minutes=1)
    assert beats[0].heartbeat.server_time.ToDatetime() < beats[1].heartbeat.server_time.ToDatetime()
    assert complete.resume_token.split(".")[1] == beats[0].resume_token.split(".")[1]


async def test_filters_show_only_what_matches(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """A cluster that starts to match is new to the subscriber; others never see it. A category is one
    that matches from its third account on: before, the filter would find out whose it is.
    """
    geometry.together(topic.replace("_", " "))
    async with AsyncExitStack() as stack:

        async def subscribe(**fields: Any) -> Stream:
            stream = await stack.enter_async_context(subscribed(service, **fields))
            await snapshot(stream)
            return stream

        four = await subscribe(pattern_type=topic, min_accounts=4)
        gyms = await subscribe(pattern_type=topic, business_category="gym")
        spas = await subscribe(pattern_type=topic, business_category="spa")
        tight = await subscribe(pattern_type=topic, min_similarity=0.9)
        recent = await subscribe(pattern_type=topic, window={"seconds": 3600})
        worth = await subscribe(pattern_type=topic, min_total_potential_value=400)
        await seen_by(service, topic, 3, potential_value=100)
        for stream in (spas, tight, recent):
            change = (await next_change(stream)).emerging_pattern
            assert (change.change, change.account_count) == (NEW, 3)
        await seen_by(service, topic, 1, potential_value=100)
        for stream in (four, worth):
            change = (await next_change(stream)).emerging_pattern
            assert (change.change, change.account_count) == (NEW, 4)
        await seen_by(service, topic, 2, category="gym")
        change = (await next_change(spas, lambda c: c.account_count == 6)).emerging_pattern
        assert list(change.business_categories) == ["spa"]
        await quiet(gyms)
        await seen_by(service, topic, 1, category="gym")
        change = (await next_change(gyms)).emerging_pattern
        assert (change.change, change.account_count) == (NEW, 7)
        assert sorted(change.business_categories) == ["gym", "spa"]


async def test_without_a_category_of_enough_accounts_none_is_told(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """A cluster of three lines of business is for those who ask for any."""
    geometry.together(topic.replace("_", " "))
    async with (
        subscribed(service, pattern_type=topic) as everyone,
        subscribed(service, pattern_type=topic, business_category="spa") as spas,
    ):
        await snapshot(everyone)
        await snapshot(spas)
        for category in ("spa", "gym", "salon"):
            await seen_by(service, topic, 1, category=category)
        change = (await next_change(everyone)).emerging_pattern
        assert (change.change, change.account_count) == (NEW, 3)
        assert list(change.business_categories) == []
        await quiet(spas)


async def test_a_cluster_that_leaves_the_filter_fades(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """Whom it no longer matches is told that it faded, though others still see it."""
    words = topic.replace("_", " ")
    geometry.apart(f"Offer a {words} tea", f"Serve a {words} tea", cosine=0.86)
    async with subscribed(service, pattern_type=topic, min_similarity=0.99) as strict:
        await snapshot(strict)
        await seen_by(service, topic, 3, action=f"Offer a {words} tea")
        assert (await next_change(strict)).emerging_pattern.change == NEW
        await seen_by(service, topic, 1, action=f"Serve a {words} tea")
        faded = (await next_change(strict)).emerging_pattern
    assert faded.change == FADED
    assert faded.account_count == 4
    assert 0.9 < faded.mean_similarity < 0.99


async def test_a_resumed_stream_gets_exactly_what_it_missed(service: Service, topic: str) -> None:
    """No snapshot, no repetition, no gap: the changes after the token, then live ones."""
    async with (
        subscribed(service, pattern_type=topic) as witness,
        subscribed(service, pattern_type=topic) as cut_off,
    ):
        await snapshot(witness)
        await snapshot(cut_off)
        await seen_by(service, topic, 3)
        first = await next_change(cut_off)
        assert await next_change(witness) == first
    # Nobody listens while two more changes happen.
    for _ in range(2):
        await seen_by(service, topic, 1)
        await detected(service, topic)
    resume = {"pattern_type": topic, "resume_token": first.resume_token}
    async with subscribed(service, **resume) as resumed:
        missed = [(await next_event(resumed)).emerging_pattern for _ in range(2)]
        assert [(m.change, m.account_count) for m in missed] == [(UPDATED, 4), (UPDATED, 5)]
        await quiet(resumed)
        await seen_by(service, topic, 1)
        assert (await next_change(resumed)).emerging_pattern.account_count == 6


async def test_resuming_without_news_brings_only_heartbeats(service: Service, topic: str) -> None:
    """A token that is up to date costs no snapshot."""
    await seen_by(service, topic, 3)
    await detected(service, topic)
    async with subscribed(service, pattern_type=topic) as stream:
        _, complete = await snapshot(stream)
    async with subscribed(service, pattern_type=topic, resume_token=complete.resume_token) as again:
        await quiet(again)


async def test_a_token_from_within_a_snapshot_brings_the_whole_snapshot(
    service: Service, topic: str
) -> None:
    """A snapshot that was cut short is sent anew; that is no expiry."""
    await seen_by(service, topic, 3)
    await detected(service, topic)
    async with subscribed(service, pattern_type=topic) as stream:
        member = await next_message(stream)
    async with subscribed(service, pattern_type=topic, resume_token=member.resume_token) as again:
        members, complete = await snapshot(again)
    assert len(members) == 1
    assert not complete.snapshot_complete.resume_token_expired


HISTORY, FILTER, TAG = "0" * 32, "0" * 16, "0" * 32


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "v1.abc.5",
        "v2.",
        "v2.abc.5",
        f"v2.{HISTORY}.5",
        f"v2.{HISTORY}.{FILTER}.5",
        f"v2.{HISTORY}.{FILTER}.-1.{TAG}",
        f"v2.{HISTORY}.{FILTER}.5.{TAG[1:]}",
        f"v2.{HISTORY}.{FILTER}.5.{TAG}.",
        f"v2.{HISTORY}.{FILTER}.{10**18}.{TAG}",
        f"v2.{HISTORY}.{FILTER}.5.{TAG}.{10**16}",
    ],
)
async def test_a_token_of_somebody_else_is_refused(service: Service, token: str) -> None:
    """It is the caller's mistake, and says which field."""
    async with subscribed(service, resume_token=token) as stream:
        refused = await ended(stream)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "RESUME_TOKEN_INVALID"
    assert set(refused.fields) == {"resume_token"}


@pytest.mark.parametrize("part", ["version", "epoch", "sequence", "tag"])
async def test_a_token_of_another_history_brings_a_flagged_snapshot(
    service: Service, topic: str, part: str
) -> None:
    """After a restore or an upgrade, also where the token is of a future or an event that never was."""
    await seen_by(service, topic, 3)
    await detected(service, topic)
    async with subscribed(service, pattern_type=topic) as stream:
        _, complete = await snapshot(stream)
    parts = dict(
        zip(
            ("version", "epoch", "filter", "sequence", "tag"),
            complete.resume_token.split("."),
            strict=True,
        )
    )
    other = {"version": "v1", "sequence": str(10**17)}.get(part, uuid.uuid4().hex)
    token = ".".join((parts | {part: other}).values())
    async with subscribed(service, pattern_type=topic, resume_token=token) as stream:
        members, complete = await snapshot(stream)
    assert len(members) == 1
    assert complete.snapshot_complete.resume_token_expired


async def test_a_token_of_another_filter_brings_a_flagged_snapshot(
    service: Service, topic: str
) -> None:
    """What the other filter let pass says nothing of what this one would have."""
    await seen_by(service, topic, 3)
    await detected(service, topic)
    async with subscribed(service, pattern_type=topic, min_accounts=4) as stream:
        members, complete = await snapshot(stream)
    assert members == []
    token = complete.resume_token
    async with subscribed(service, pattern_type=topic, resume_token=token) as stream:
        members, complete = await snapshot(stream)
    assert len(members) == 1
    assert complete.snapshot_complete.resume_token_expired


async def test_a_stream_ends_at_its_age_and_goes_on_elsewhere(
    database_url: str, embeddings: OpenAIStandIn, topic: str
) -> None:
    """Each at a moment of its own, with a status that says to resume at once."""
    age = timedelta(milliseconds=500)
    # So short that a heartbeat comes first, on a busy machine too.
    heartbeat = timedelta(milliseconds=20)
    settings = openai(embeddings.base_url, stream_max_age=age, stream_heartbeat=heartbeat)
    async with running(database_url, **settings) as service:
        async with AsyncExitStack() as stack:
            began = time.monotonic()
            streams = [
                await stack.enter_async_context(subscribed(service, pattern_type=topic))
                for _ in range(5)
            ]
            _, complete = await snapshot(streams[0])

            async def age_of(stream: Stream) -> float:
                ending = await ended(stream)
                assert ending.code is grpc.StatusCode.UNAVAILABLE
                assert ending.reason == "STREAM_MAX_AGE"
                assert ending.retry_seconds == 0
                return time.monotonic() - began

            ages = await asyncio.gather(*map(age_of, streams))
        assert min(ages) >= 0.4
        assert len({round(each, 3) for each in ages}) > 1
        resume = {"pattern_type": topic, "resume_token": complete.resume_token}
        async with subscribed(service, **resume) as resumed:
            assert (await next_message(resumed)).WhichOneof("event") == "heartbeat"


async def test_a_cluster_that_leaves_the_window_of_time_fades(service: Service) -> None:
    """Nothing happens to it, so no event says so; a resumed stream says what it missed of that."""
    old, soon, later = (
        cluster(n, last_seen_time=datetime.now(UTC) - timedelta(minutes=60) + age)
        for n, age in enumerate((timedelta(0), timedelta(seconds=5), timedelta(hours=1)))
    )
    await tell(service.database, *((Change.NEW, member) for member in (old, soon, later)))
    wanted = {"pattern_type": later.pattern_type, "window": {"seconds": 3600}}
    async with subscribed(service, **wanted) as stream:
        members, complete = await snapshot(stream)
        assert [m.emerging_pattern_id for m in members] == [
            str(later.emerging_pattern_id),
            str(soon.emerging_pattern_id),
        ]
        faded = await next_change(stream)
    assert faded.emerging_pattern.change == FADED
    assert faded.emerging_pattern.emerging_pattern_id == str(soon.emerging_pattern_id)
    async with subscribed(service, **wanted, resume_token=complete.resume_token) as late:
        assert await next_change(late) == faded
    async with subscribed(service, **wanted, resume_token=faded.resume_token) as up_to_date:
        await quiet(up_to_date)


async def test_a_drain_ends_every_stream_and_waits_for_no_grace(
    database_url: str, embeddings: OpenAIStandIn
) -> None:
    """Subscribers are told to go elsewhere and to resume, long before the grace is over."""
    settings = openai(embeddings.base_url, drain_grace=timedelta(seconds=10 * SOON))
    async with running(database_url, **settings) as leaving:
        streams = []
        async with AsyncExitStack() as stack:
            for _ in range(10):
                stream = await stack.enter_async_context(subscribed(leaving))
                await snapshot(stream)
                streams.append(stream)
            drain = asyncio.ensure_future(leaving.app.drain())
            endings = await asyncio.gather(*(ended(stream) for stream in streams))
            async with asyncio.timeout(SOON):
                await drain
        assert {(e.code, e.reason) for e in endings} == {
            (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        }
        assert all(ending.retry_seconds for ending in endings)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await leaving.network.CapturePattern(capture("pricing"))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
