"""Subscribers of the emerging patterns, and audiences of those who see the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias

from keeper_grpc.domain.emerging.model import FeedEvent
from keeper_grpc.domain.emerging.view import FeedView, SeenChange
from keeper_grpc.usecases.emerging.messages import Changed, Message
from keeper_grpc.usecases.emerging.queue import FeedQueue, Item, QueueOverflow
from keeper_grpc.usecases.emerging.resume_token import Stream, write_token
from keeper_grpc.usecases.stream_lifetime import StreamLifetime

Send: TypeAlias = Callable[[Message, str], Awaitable[None]]
"""Takes a message and the token to resume after it; returns when the next one may come."""


class Subscription:
    """One stream: its lifetime, its queue, and the way to its reader."""

    def __init__(self, lifetime: StreamLifetime, buffer: int, send: Send) -> None:
        self.lifetime = lifetime
        self.queue = FeedQueue(buffer)
        self._send = send

    @property
    def crowded(self) -> bool:
        """Whether the queue is more than half full."""
        return 2 * len(self.queue) > self.queue.capacity

    async def send(self, message: Message, token: str) -> None:
        """Send one message."""
        with self.lifetime.sending():
            await self._send(message, token)

    def put(self, item: Item) -> bool:
        """Queue an item, or cut the stream off when the queue is full; whether the stream goes on."""
        try:
            self.queue.put(item)
        except QueueOverflow:
            self.lifetime.cut_off()
        return not self.lifetime.ended


class Audience:
    """Subscribers that are up to date and see the same: one view judges each event for all of them."""

    def __init__(self, stream: Stream, view: FeedView) -> None:
        self.members: set[Subscription] = set()
        self._stream = stream
        self._view = view

    @property
    def token(self) -> str:
        """The token of the present, for a member whose queue is empty."""
        return write_token(self._stream, self._view.position)

    def tell(self, event: FeedEvent) -> None:
        """Queue the change, if any, that the next event is in their view."""
        told = self._view.apply(event)
        if told:
            self._put(told)

    def judge(self, now: datetime) -> None:
        """Queue the clusters that have left their window by now, as changes."""
        for told in self._view.judge(now):
            self._put(told)

    def _put(self, told: SeenChange) -> None:
        item = (Changed(told.change, told.cluster), write_token(self._stream, told.position))
        ended = [member for member in self.members if not member.put(item)]
        self.members.difference_update(ended)
