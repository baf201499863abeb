"""StreamEmergingPatterns: the feed's messages as bytes, each change serialized once for all readers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import UUID

import grpc

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import StreamEmergingPatternsRequest
from keeper_grpc.rpc.convert import emerging
from keeper_grpc.rpc.sent import sent
from keeper_grpc.rpc.streams.end import end_stream
from keeper_grpc.usecases.emerging.feed import EmergingFeed
from keeper_grpc.usecases.emerging.messages import Changed, Message

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

SHARED = 4_096
"""Serialized changes kept, about 0.5 KB each: the latest of every filter in use."""


class EmergingStream:
    """Serves every StreamEmergingPatterns call of a process."""

    def __init__(self, feed: EmergingFeed) -> None:
        self._feed = feed
        self._encoder = Encoder()

    async def serve(self, request: StreamEmergingPatternsRequest, context: Context) -> None:
        """Write messages, as bytes, until the stream ends; it always ends with an error."""
        wanted = emerging.feed_filter(request)
        try:
            await self._feed.deliver(wanted, request.resume_token, self._sender(context.write))
        except KeeperError as error:
            await end_stream(context, error)

    def _sender(
        self, write: Callable[[bytes], Awaitable[None]]
    ) -> Callable[[Message, str], Awaitable[None]]:
        async def send(message: Message, token: str) -> None:
            await sent(write(self._encoder(message, token)))

        return send


class Encoder:
    """Serializes messages. A change sent to several subscribers is serialized once."""

    def __init__(self) -> None:
        self._shared: OrderedDict[tuple[str, UUID], tuple[Changed, bytes]] = OrderedDict()

    def __call__(self, message: Message, token: str) -> bytes:
        """The encoded StreamEmergingPatternsResponse."""
        if not isinstance(message, Changed):
            return emerging.feed_message(message, token).SerializeToString()
        # The token belongs to the filter, so changes that other filters see do not collide.
        key = (token, message.cluster.emerging_pattern_id)
        kept = self._shared.get(key)
        # A snapshot's token is equal for different states of a cluster; a subscriber that catches up has an
        # equal one too.
        if kept is not None and (kept[0] is message or kept[0] == message):
            return kept[1]
        encoded = emerging.feed_message(message, token).SerializeToString()
        self._shared[key] = (message, encoded)
        self._shared.move_to_end(key)
        if len(self._shared) > SHARED:
            self._shared.popitem(last=False)
        return encoded
