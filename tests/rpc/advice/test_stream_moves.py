from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    StreamMovesRequest,
    StreamMovesResponse,
)
from tests.e2e.waiting import SOON
from tests.rpc.advice.facts import AT_RISK, BAD_REVIEW, BROKEN_RHYTHM, CATALOG
from tests.rpc.refusal import Refusal, read
from tests.rpc.requests import new_account
from tests.rpc.service import PATIENT, Service, running

if TYPE_CHECKING:
    Call: TypeAlias = grpc.aio.StreamStreamCall[StreamMovesRequest, StreamMovesResponse]

pytestmark = pytest.mark.usefixtures("seeded")

Began: TypeAlias = str
"""The action of a move that began."""


def update(account: str, facts: Mapping[str, Any], category: str = "spa") -> StreamMovesRequest:
    """One message of facts."""
    message = StreamMovesRequest(account_id=account, business_category=category)
    message.facts.update(facts)
    return message


class Following:
    """An open stream of one account."""

    def __init__(self, call: Call, account: str) -> None:
        self.call = call
        self.account = account
        self.actions: dict[str, str] = {}

    async def send(self, facts: Mapping[str, Any]) -> None:
        """Say what changed."""
        await self.call.write(update(self.account, facts))

    async def message(self) -> StreamMovesResponse:
        """The next message of any kind."""
        async with asyncio.timeout(SOON):
            found = await self.call.read()
        assert isinstance(found, StreamMovesResponse)
        return found

    async def event(self) -> StreamMovesResponse:
        """The next message that is no heartbeat."""
        while (found := await self.message()).WhichOneof("event") == "heartbeat":
            pass
        if found.WhichOneof("event") == "began":
            self.actions[found.began.pattern.pattern_id] = found.began.pattern.action
        return found

    async def snapshot(self) -> set[str]:
        """The actions of the moves that hold with the first facts."""
        actions = set()
        while (found := await self.event()).WhichOneof("event") == "began":
            actions.add(found.began.pattern.action)
        assert found.WhichOneof("event") == "snapshot_complete"
        return actions

    async def ended(self) -> Refusal:
        """The error that ends the stream."""
        async with asyncio.timeout(SOON):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await self._exhaust()
        return read(caught.value)

    async def _exhaust(self) -> None:
        while await self.call.read() is not grpc.aio.EOF:
            pass


@asynccontextmanager
async def following(service: Service, facts: Mapping[str, Any]) -> AsyncIterator[Following]:
    """A stream that begins with these facts; cancelled at the end of the block."""
    call = service.network.StreamMoves()
    stream = Following(call, new_account())
    try:
        await stream.send(facts)
        yield stream
    finally:
        call.cancel()


async def test_moves_come_and_go_with_the_facts(service: Service) -> None:
    """First what holds, then what begins to hold, then what no longer does: each once."""
    async with following(service, BAD_REVIEW) as stream:
        first = await stream.snapshot()
        assert any("talk directly" in action for action in first)
        await stream.send(AT_RISK)
        began = (await stream.event()).began
        assert began.pattern.action == CATALOG["high_value_at_risk"].action
        assert began.trigger
        assert "ltv" in began.explanation
        await stream.send({"customer": {"frequency_declining": False}})
        ended = (await stream.event()).ended_pattern_id
        assert stream.actions[ended] == CATALOG["high_value_at_risk"].action
        # The review is still what it was.
        await stream.send({"review": None})
        gone = {(await stream.event()).ended_pattern_id for _ in first}
        assert {stream.actions[pattern_id] for pattern_id in gone} == first


async def test_facts_without_a_move_are_complete_and_go_on(service: Service) -> None:
    """Nothing holds; heartbeats come, also after the caller has said that it has no more facts."""
    async with following(service, {"customer": {"days_since_visit": 1}}) as stream:
        assert await stream.snapshot() == set()
        await stream.call.done_writing()
        for _ in range(2):
            assert (await stream.message()).WhichOneof("event") == "heartbeat"


async def test_nothing_of_the_facts_is_kept(service: Service) -> None:
    """No account is registered and no question recorded: a stream leaves the database as it was."""
    tables = ("accounts", "enhancements", "observations", "sightings", "embedding_cache")

    async def rows() -> list[int]:
        return [
            await service.value(f"SELECT count(*) FROM {table}")  # noqa: S608 - names of the list above
            for table in tables
        ]

    before = await rows()
    async with following(service, BROKEN_RHYTHM) as stream:
        assert await stream.snapshot()
    assert await rows() == before


@pytest.mark.parametrize(
    ("second", "field"),
    [
        (update("somebody-else", {"a": 1}), "account_id"),
        (update("", {"a": 1}, category="gym"), "business_category"),
        (update("", {"note": "x" * 9_000}), "facts"),
    ],
)
async def test_a_message_that_does_not_fit_ends_the_stream(
    service: Service, second: StreamMovesRequest, field: str
) -> None:
    """Another account, another line of business, or more facts than a stream may hold."""
    async with following(service, {"text": "y" * 9_000}) as stream:
        await stream.snapshot()
        second.account_id = second.account_id or stream.account
        await stream.call.write(second)
        refused = await stream.ended()
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(refused.fields) == [field]


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (update("", {"a": 1}), "account_id"),
        (update("x" * 129, {"a": 1}), "account_id"),
        (update("somebody", {"a": 1}, category=""), "business_category"),
        (StreamMovesRequest(account_id="somebody", business_category="spa"), "facts"),
    ],
)
async def test_a_first_message_that_breaks_a_rule_ends_the_stream(
    service: Service, first: StreamMovesRequest, field: str
) -> None:
    """The violation names the field."""
    call = service.network.StreamMoves()
    await call.write(first)
    async with asyncio.timeout(SOON):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    refused = read(caught.value)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.fields) == [field]


async def test_a_stream_without_facts_ends_at_once(service: Service) -> None:
    """There is nothing to follow."""
    call = service.network.StreamMoves()
    await call.done_writing()
    async with asyncio.timeout(SOON):
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


async def test_a_caller_that_sends_fast_is_not_left_behind(service: Service) -> None:
    """Facts that come while the last ones are evaluated are evaluated together: few rounds, the newest facts last."""
    async with following(service, {"sent": 0}) as stream:
        await stream.snapshot()
        for sent in range(1, 200):
            await stream.send({"sent": sent})
        await stream.send(AT_RISK)
        began = asyncio.get_running_loop().time()
        assert (await stream.event()).began.pattern.action == CATALOG["high_value_at_risk"].action
        # One round each would take them 50 seconds.
        assert asyncio.get_running_loop().time() - began < SOON / 2


async def test_a_drain_ends_a_stream_that_has_sent_no_facts_yet(database_url: str) -> None:
    """It gets heartbeats like any other, and does not hold up the process's end."""
    async with running(database_url, drain_grace=PATIENT) as service:
        call = service.network.StreamMoves()
        stream = Following(call, new_account())
        assert (await stream.message()).WhichOneof("event") == "heartbeat"
        draining = asyncio.create_task(service.app.drain())
        ended = await stream.ended()
        await draining
        assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


async def test_a_stream_without_facts_has_an_age(database_url: str) -> None:
    """A caller that opens a stream and says nothing does not keep it for ever."""
    async with running(database_url, stream_max_age=timedelta(seconds=1)) as service:
        ended = await Following(service.network.StreamMoves(), new_account()).ended()
        assert ended.reason == "STREAM_MAX_AGE"


async def test_a_drain_ends_the_stream(database_url: str) -> None:
    """With UNAVAILABLE and what to do: the facts are nowhere else."""
    async with running(database_url, drain_grace=PATIENT) as service:
        async with following(service, {"a": 1}) as stream:
            await stream.snapshot()
            draining = asyncio.create_task(service.app.drain())
            ended = await stream.ended()
            await draining
        assert ended.code is grpc.StatusCode.UNAVAILABLE
        assert ended.reason == "SHUTTING_DOWN"
