from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.kinds import Kind, lanes
from keeper_grpc.domain.authored.suggestions import SuggestedMove
from keeper_grpc.domain.errors import StreamMaxAge, TooBusy
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.rpc.streams.in_turn import SuggestInTurn
from keeper_grpc.usecases.advice.moves_feed import Event, FactUpdate, MovesFeed, merge
from keeper_grpc.usecases.advice.suggest import Occasion
from keeper_grpc.usecases.stream_lifetime import StreamTiming
from tests.e2e.waiting import SOON

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_what_changed_is_merged_object_by_object() -> None:
    """What is not named stays; None takes away; what was no object becomes one."""
    known: dict[str, JsonValue] = {"customer": {"ltv": 10, "days_since_visit": 5}, "rating": 2}
    changed: dict[str, JsonValue] = {
        "customer": {"ltv": 20, "name": None},
        "rating": None,
        "team": {"size": 3},
    }
    assert merge(known, changed) == {
        "customer": {"ltv": 20, "days_since_visit": 5},
        "team": {"size": 3},
    }
    assert merge({"rating": 2}, {"rating": {"last": 1}}) == {"rating": {"last": 1}}
    assert known["rating"] == 2


async def test_a_server_that_is_busy_tells_later() -> None:
    """An open stream outlives a refused evaluation, with the facts that came meanwhile."""
    asked: list[Occasion] = []

    async def suggest(occasion: Occasion) -> Sequence[SuggestedMove]:
        asked.append(occasion)
        if len(asked) == 2:
            raise TooBusy(retry_after=0.01)
        return []

    async def updates() -> AsyncIterator[FactUpdate]:
        yield FactUpdate("a", "spa", {"first": 1})
        yield FactUpdate("a", "spa", {"second": 2})
        await asyncio.Event().wait()

    async def send(event: Event) -> None:
        del event

    feed = MovesFeed(
        suggest=suggest,
        timing=StreamTiming(max_age=timedelta(seconds=1)),
        clock=lambda: NOW,
        rng=Random(1),  # noqa: S311 - spreads the ends of streams
        pace=0.0,
    )
    with pytest.raises(StreamMaxAge):
        await feed.deliver(updates(), send)
    assert [each.facts for each in asked] == [{"first": 1}, *[{"first": 1, "second": 2}] * 2]


async def test_an_evaluation_waits_for_its_turn_at_the_gate() -> None:
    """As a stream's question does: streams take no more than their lane has, and calls go on."""
    gate = Gate(lanes())
    begun = asyncio.Event()

    async def suggest(occasion: Occasion) -> Sequence[SuggestedMove]:
        del occasion
        begun.set()
        return []

    others = [
        gate.offer(Kind.STREAM_QUESTION, "other", SOON)
        for _ in range(lanes()[Kind.STREAM_QUESTION].at_most)
    ]
    waiting = asyncio.create_task(
        SuggestInTurn(suggest, gate, SOON)(Occasion("a", "spa", {}, max_moves=1))
    )
    for _ in range(5):
        await asyncio.sleep(0)
    assert not begun.is_set()
    gate.leave(others[0], None)
    async with asyncio.timeout(SOON):
        assert await waiting == []
