"""gRPC servers that take up several waiting calls at a time.

A server of `grpc.aio` asks gRPC for the next call of a method only when it has been handed the one before, which takes
some turns of the event loop and a switch of threads. Where the loop is busy, a few hundred calls a second are all that
come through, and the others wait where nothing of ours can order or refuse them. Here the next ones are asked for ahead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import grpc
from grpc._cython import cygrpc
from grpc.aio import _server

AHEAD = 8
"""Calls of each method that are asked for at a time: 587 a second came through a busy loop, and 119 with one (ADR 23)."""

_REQUEST = "_make_request_call_future"
"""What grpc.aio's server asks gRPC for the next call with. It is no public name; the tests notice where it changes."""


def server(interceptors: Sequence[Any], options: Sequence[tuple[str, Any]]) -> grpc.aio.Server:
    """What `grpc.aio.server` makes, or just that, where its inside is another one than of the locked release."""
    if not hasattr(cygrpc.AioServer, _REQUEST):
        return grpc.aio.server(interceptors=interceptors, options=options)
    made: Any = _Server(interceptors, options)
    return made  # type: ignore[no-any-return]  # to the stubs it is none of theirs


class _Core(cygrpc.AioServer):  # type: ignore[misc]  # it has no types
    """Its base awaits what `_make_request_call_future` returns for each method, and asks again once that is done."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._asked: dict[bytes, deque[asyncio.Task[Any]]] = {}
        """The requests of each method in the order in which gRPC meets them."""

    def _make_request_call_future(self, method: bytes | None) -> asyncio.Task[Any]:
        if method is None:
            # Methods that there are not.
            return self._ask(method)
        asked = self._asked.setdefault(method, deque())
        while len(asked) < AHEAD:
            asked.append(self._ask(method))
        return asked.popleft()

    def _ask(self, method: bytes | None) -> asyncio.Task[Any]:
        request: asyncio.Task[Any] = super()._make_request_call_future(method)
        request.add_done_callback(_look)
        return request

    async def shutdown(self, grace: float | None) -> None:
        """Let go of the calls that were handed over and not begun: gRPC ends them as it ends those that wait in it."""
        self._asked.clear()
        await super().shutdown(grace)


def _look(request: asyncio.Task[Any]) -> None:
    """Retrieve the error by which a request ends with its server, for asyncio would log it as a defect."""
    if not request.cancelled():
        request.exception()


class _Server(_server.Server):
    """As its base, with another core."""

    def __init__(self, interceptors: Sequence[Any], options: Sequence[tuple[str, Any]]) -> None:
        # The base's own would make another core, which gRPC keeps until its end.
        self._loop = cygrpc.get_working_loop()
        self._server = _Core(self._loop, None, (), tuple(interceptors), tuple(options), None)
