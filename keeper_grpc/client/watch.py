"""Joins many streams of emerging patterns into one sequence of events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import grpc

from keeper_grpc.client.follow import follow
from keeper_grpc.client.liveness import Alive, Interrupted
from keeper_grpc.client.retries import Retries
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
)

if TYPE_CHECKING:
    Stream: TypeAlias = grpc.aio.UnaryStreamCall[
        StreamEmergingPatternsRequest, StreamEmergingPatternsResponse
    ]

_Response = StreamEmergingPatternsResponse
_GONE = (EmergingPattern.CHANGE_PROMOTED, EmergingPattern.CHANGE_FADED)


@dataclass(frozen=True, slots=True)
class Changed:
    """An emerging pattern as it is now; `pattern.change` is the kind of the change."""

    pattern: EmergingPattern
    resume_token: str


@dataclass(frozen=True, slots=True)
class SnapshotComplete:
    """The snapshot is complete: every pattern that is emerging now has come. At most once in a watch.

    `resume_token_expired`: the caller's own token was too old, so the snapshot replaces what it knew.
    """

    count: int
    resume_token_expired: bool
    resume_token: str


EmergingNews: TypeAlias = Changed | SnapshotComplete
EmergingEvent: TypeAlias = EmergingNews | Alive | Interrupted


async def watch(
    open_stream: Callable[[StreamEmergingPatternsRequest], Stream],
    request: StreamEmergingPatternsRequest,
    retries: Retries,
) -> AsyncGenerator[EmergingEvent]:
    """Events without end. After a stream that breaks, another continues from its last token.

    Raises KeeperClientError for errors that no retry cures.
    """
    wanted = StreamEmergingPatternsRequest()
    wanted.CopyFrom(request)
    view = View()

    def go_on() -> Stream:
        view.stream_begins()
        return open_stream(wanted)

    async with aclosing(follow(go_on, retries)) as messages:
        async for message in messages:
            if isinstance(message, Interrupted):
                yield message
                continue
            wanted.resume_token = message.resume_token
            for event in view.events(message):
                yield event


class View:
    """Keeps the patterns that the caller knows, so that nothing is repeated.

    A new stream replays the changes that were missed, or begins with a snapshot when the token was too old or
    from within one. Of a snapshot the caller gets what is new to it or differs, and FADED for each pattern
    that it knows and that is no longer there.
    """

    def __init__(self) -> None:
        self._known: dict[str, EmergingPattern] = {}
        self._in_this_stream: set[str] = set()
        self._complete = False

    def stream_begins(self) -> None:
        self._in_this_stream.clear()

    def events(self, message: StreamEmergingPatternsResponse) -> Iterator[EmergingNews | Alive]:
        """The events that a message brings."""
        token = message.resume_token
        match message.WhichOneof("event"):
            case "emerging_pattern":
                yield from self._pattern(message.emerging_pattern, token)
            case "snapshot_complete":
                yield from self._snapshot_complete(message.snapshot_complete, token)
            case "heartbeat":
                yield Alive()

    def _pattern(self, pattern: EmergingPattern, token: str) -> Iterator[Changed]:
        name = pattern.emerging_pattern_id
        known = self._known.get(name)
        self._in_this_stream.add(name)
        if pattern.change in _GONE:
            self._known.pop(name, None)
            yield Changed(pattern, token)
            return
        if known is not None:
            if _state(known) == _state(pattern):
                return
            pattern.change = EmergingPattern.CHANGE_UPDATED
        self._known[name] = pattern
        yield Changed(pattern, token)

    def _snapshot_complete(
        self, message: _Response.SnapshotComplete, token: str
    ) -> Iterator[EmergingNews | Alive]:
        for name in self._known.keys() - self._in_this_stream:
            pattern = self._known.pop(name)
            pattern.change = EmergingPattern.CHANGE_FADED
            yield Changed(pattern, token)
        if self._complete:
            yield Alive()
            return
        self._complete = True
        yield SnapshotComplete(message.count, message.resume_token_expired, token)


def _state(pattern: EmergingPattern) -> EmergingPattern:
    """The pattern without its kind of change."""
    state = EmergingPattern()
    state.CopyFrom(pattern)
    state.ClearField("change")
    return state
