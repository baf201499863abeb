from __future__ import annotations

import uuid

import grpc
import pytest

from tests.rpc.emerging.subscriber import (
    UPDATED,
    detected,
    ended,
    next_change,
    next_event,
    next_message,
    quiet,
    seen_by,
    snapshot,
    subscribed,
)
from tests.rpc.service import Service


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
    """A snapshot that was cut short is sent again; that is no expiry of the token."""
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
