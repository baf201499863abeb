"""gRPC servers that take up several waiting calls at a time, and refuse some of them before they are read.

A server of `grpc.aio` asks gRPC for the next call of a method only when it has been handed the one before, which takes
some turns of the event loop and a switch of threads. Where the loop is busy, a few hundred calls a second are all that
come through, and the others wait where nothing of ours can order or refuse them. Here the next ones are asked for ahead.

What `grpc.aio` makes of a call (two tasks, a wait for its end, a handler, the message) takes several times what a
refusal itself does. Here a call that is refused is answered as soon as gRPC hands it over: its message is not read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from grpc._cython import cygrpc
from grpc.aio import _server

from keeper_grpc.rpc.defects import report_defect
from keeper_grpc.rpc.unawaited import Unawaited

AHEAD = 8
"""Calls of each method that are asked for at a time: 587 a second came through a busy loop, and 119 with one (ADR 23)."""

_REQUEST = "_make_request_call_future"
"""What grpc.aio's server asks gRPC for the next call with. It is no public name, and neither are the others; the tests notice
where they change."""

_TAKE = "_request_registered_call"
_OF_SERVER = (_REQUEST, _TAKE)
_OF_CALLS = ("_ServicerContext", "execute_batch")


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call ends that is refused: its status, and the metadata that trail it."""

    code: grpc.StatusCode
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


Refuse: TypeAlias = Callable[[str, Any], Refusal | None]
"""Looks at a call (its method, and a context without its message) that was just handed over: None lets it in."""


def server(
    interceptors: Sequence[Any],
    options: Sequence[tuple[str, Any]],
    refuse: Refuse = lambda method, context: None,  # noqa: ARG005 - the default ignores it
) -> grpc.aio.Server:
    """What `grpc.aio.server` makes, or just that, where its inside is another one than of the locked release.

    Then `refuse` is not asked.
    """
    if not _is_known():
        return grpc.aio.server(interceptors=interceptors, options=options)
    made: Any = _Server(interceptors, options, refuse)
    return made  # type: ignore[no-any-return]  # to the stubs it is none of theirs


def _is_known() -> bool:
    return all(hasattr(cygrpc.AioServer, name) for name in _OF_SERVER) and all(
        hasattr(cygrpc, name) for name in _OF_CALLS
    )


class _Line:
    """The calls of one method: those that gRPC was asked for, and those that it has handed over, in this order."""

    def __init__(self, take: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._take = take
        self._asked: set[asyncio.Task[Any]] = set()
        self._taken: deque[asyncio.Task[Any]] = deque()
        self._next: asyncio.Future[Any] | None = None

    def next(self) -> asyncio.Future[Any]:
        """Done with the next call, or with the error by which none comes any more."""
        self._next = asyncio.get_running_loop().create_future()
        self._next.add_done_callback(_look)
        self._hand_over()
        while len(self._asked) + len(self._taken) < AHEAD:
            task = asyncio.get_running_loop().create_task(self._take())
            self._asked.add(task)
            task.add_done_callback(self._took)
        return self._next

    def clear(self) -> None:
        """Let go of the calls that were handed over and not begun: gRPC ends them as it ends those that wait in it."""
        self._taken.clear()

    def _took(self, task: asyncio.Task[Any]) -> None:
        self._asked.discard(task)
        _look(task)
        if not task.cancelled():
            self._taken.append(task)
            self._hand_over()

    def _hand_over(self) -> None:
        if self._taken and self._next is not None and not self._next.done():
            task = self._taken.popleft()
            error = task.exception()
            if error is None:
                self._next.set_result(task.result())
            else:
                self._next.set_exception(error)


class _Core(cygrpc.AioServer):  # type: ignore[misc]  # it has no types
    """Its base awaits what `_make_request_call_future` returns for each method, and asks again once that is done."""

    def __init__(self, refuse: Refuse, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._refuse = refuse
        self._lines: dict[bytes, _Line] = {}
        self._refusing = Unawaited()

    def _make_request_call_future(self, method: bytes | None) -> asyncio.Future[Any]:
        if method is None:
            # Methods that there are not.
            request: asyncio.Future[Any] = super()._make_request_call_future(method)
            request.add_done_callback(_look)
            return request
        line = self._lines.get(method)
        if line is None:
            line = self._lines[method] = _Line(lambda: self._take(method))
        return line.next()

    async def _take(self, method: bytes) -> Any:
        """The next call that is not refused. Those that are cost no more than their answer."""
        name, loop = method.decode(), asyncio.get_running_loop()
        while True:
            call = await self._request_registered_call(method)
            context = cygrpc._ServicerContext(call, None, None, loop)  # noqa: SLF001 - see `_REQUEST`
            try:
                refusal = self._refuse(name, context)
            except Exception as error:  # noqa: BLE001 - it would end the server
                report_defect(name, error)
                refusal = None
            if refusal is None:
                return call
            # Not awaited: a connection that takes no bytes would keep the next calls out.
            self._refusing.begin(cygrpc.execute_batch(call, _ended_by(refusal), loop))

    async def shutdown(self, grace: float | None) -> None:
        """As its base, without the calls that were handed over and not begun."""
        for line in self._lines.values():
            line.clear()
        await super().shutdown(grace)
        self._refusing.let_go()


def _ended_by(refusal: Refusal) -> tuple[Any, ...]:
    """What gRPC has to do with a call: answer it, and notice that its caller is done with it."""
    return (
        cygrpc.SendInitialMetadataOperation((), 0),
        cygrpc.SendStatusFromServerOperation(
            refusal.metadata, refusal.code.value[0], refusal.message, 0
        ),
        cygrpc.ReceiveCloseOnServerOperation(0),
    )


def _look(request: asyncio.Future[Any]) -> None:
    """Retrieve the error by which a request ends with its server, for asyncio would log it as a defect."""
    if not request.cancelled():
        request.exception()


class _Server(_server.Server):
    """As its base, with another core."""

    def __init__(
        self, interceptors: Sequence[Any], options: Sequence[tuple[str, Any]], refuse: Refuse
    ) -> None:
        # The base's own would make another core, which gRPC keeps until its end.
        self._loop = cygrpc.get_working_loop()
        self._server = _Core(
            refuse, self._loop, None, (), tuple(interceptors), tuple(options), None
        )
