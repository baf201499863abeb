from __future__ import annotations

import uuid
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keeper_grpc.domain.emerging.model import Change
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from tests.integration.emerging.emerging_events import cluster, tell
from tests.rpc.emerging.subscriber import (
    UPDATED,
    Stream,
    detected,
    next_change,
    next_message,
    quiet,
    seen_by,
    snapshot,
    subscribed,
)
from tests.rpc.geometry import Geometry
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service

NEW = EmergingPattern.CHANGE_NEW

PROMOTED = EmergingPattern.CHANGE_PROMOTED

FADED = EmergingPattern.CHANGE_FADED


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
    """Its sightings are renewed, not added: it stays one account, and there is no event."""
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
    """When the pattern is proven and published, subscribers get its id."""
    async with subscribed(service, pattern_type=topic) as stream:
        await snapshot(stream)
        await seen_by(service, topic, 3)
        await next_change(stream)
        # With fewer, luck could have made them in a type of which nothing is known.
        for _ in range(48):
            stored = await service.capture(capture(topic))
        promoted = await next_change(stream, lambda change: change.change == PROMOTED)
    assert promoted.emerging_pattern.promoted_pattern_id == stored.pattern_id
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


async def test_without_a_category_of_enough_accounts_none_is_shown(
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
    """A subscriber whose filter it no longer matches gets FADED, though others still see it."""
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
