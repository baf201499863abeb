"""StreamMoves: the messages of one stream as facts, and its moves as messages."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import StreamMovesRequest
from keeper_grpc.rpc.convert import suggestions
from keeper_grpc.rpc.interceptors.unreadable import Unreadable
from keeper_grpc.rpc.rules import Rules
from keeper_grpc.rpc.sent import sent
from keeper_grpc.rpc.status import RequestInvalid
from keeper_grpc.rpc.streams.end import end_stream
from keeper_grpc.usecases.advice.moves_feed import Event, FactUpdate, MovesFeed

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

Read: TypeAlias = StreamMovesRequest | Unreadable
"""What a stream reads: one message, or bytes that are none."""


class MovesStream:
    """Serves every StreamMoves call of a process.

    `admit` is asked for the account of each message, and raises where its caller may not speak for it.
    """

    def __init__(
        self,
        feed: MovesFeed,
        rule: PublicationRule,
        admit: Callable[[str], Awaitable[None]],
    ) -> None:
        self._feed = feed
        self._rule = rule
        self._admit = admit
        self._rules = Rules(warm_up=[StreamMovesRequest()])

    async def serve(self, messages: AsyncIterable[Read], context: Context) -> None:
        """Write messages until the stream ends; with an error, unless no facts were sent."""

        async def send(event: Event) -> None:
            await sent(context.write(suggestions.feed_message(event, self._rule)))

        try:
            await self._feed.deliver(self._updates(messages), send)
        except KeeperError as error:
            await end_stream(context, error)

    async def _updates(self, messages: AsyncIterable[Read]) -> AsyncIterator[FactUpdate]:
        async for message in messages:
            if isinstance(message, Unreadable):
                raise RequestInvalid([message.violation])
            self._rules.check(message)
            await self._admit(message.account_id)
            yield suggestions.fact_update(message)
