"""Writes by group: what waits for the same place is written together, and each caller gets its own answer.

There is no timer. One that comes alone is written at once; a group is what came while the one before it was
written, so groups grow with the load, and with them what one transaction does.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from keeper_grpc.domain.errors import KeeperError, ShuttingDown, TooBusy, Unavailable

PlaceT = TypeVar("PlaceT", bound=Hashable)
ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class _Waiting(Generic[ItemT, AnswerT]):
    """One caller's item, the future that it waits for, and the context that it called in."""

    __slots__ = ("answer", "context", "item", "taken")

    def __init__(self, item: ItemT, answer: asyncio.Future[AnswerT]) -> None:
        self.item = item
        self.answer = answer
        self.context = contextvars.copy_context()
        self.taken = False


class GroupWriter(Generic[PlaceT, ItemT, AnswerT]):
    """Queues of items by place, and as many writers as there may be transactions.

    `write` writes a group in one transaction and returns the answer to each item, in their order; an answer may
    be a KeeperError, which its caller alone gets. It raises Unavailable where all of the group have to try again,
    and anything else where it cannot tell whose fault it was: then each is written by itself, so that only the culprit
    fails. An item that goes `alone` shares no transaction.
    """

    def __init__(
        self,
        write: Callable[[PlaceT, Sequence[ItemT]], Awaitable[Sequence[AnswerT | KeeperError]]],
        *,
        at_once: int,
        largest: int,
        most_waiting: int,
        alone: Callable[[ItemT], bool] = lambda item: False,  # noqa: ARG005 - the default ignores it
    ) -> None:
        self._write = write
        self._at_once = at_once
        self._largest = largest
        self._most_waiting = most_waiting
        self._alone = alone
        self._queues: dict[PlaceT, deque[_Waiting[ItemT, AnswerT]]] = {}
        self._turns: deque[PlaceT] = deque()
        """Places with something to write whose turn has not come, each once: none is passed over."""
        self._writers: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """Items that no writer has taken yet."""
        return self._waiting

    async def submit(self, place: PlaceT, item: ItemT) -> AnswerT:
        """The answer to the item, once it is committed.

        Raises TooBusy when as many wait as may, ShuttingDown after `close`, and what `write` answers or raises.
        A caller that is cancelled while its item waits takes it back; one that was taken is written in any case.
        """
        if self._closed:
            raise ShuttingDown("this server is shutting down")
        if self._waiting >= self._most_waiting:
            raise TooBusy
        waiting = _Waiting[ItemT, AnswerT](item, asyncio.get_running_loop().create_future())
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = deque()
            self._turns.append(place)
        queue.append(waiting)
        self._waiting += 1
        if len(self._writers) < self._at_once:
            self._start()
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            if not waiting.taken:
                queue.remove(waiting)
                self._waiting -= 1
                waiting.taken = True
            raise

    async def close(self) -> None:
        """Take nothing more, and wait until all that was taken or waits is written."""
        self._closed = True
        while self._writers:
            await asyncio.wait(self._writers)

    def _start(self) -> None:
        if not self._turns:
            return
        # It belongs to no caller.
        writer = asyncio.get_running_loop().create_task(
            self._run(), name="group writer", context=contextvars.Context()
        )
        self._writers.add(writer)
        writer.add_done_callback(self._writers.discard)

    async def _run(self) -> None:
        """Write what waits, place by place, until nothing does."""
        while self._turns:
            place = self._turns.popleft()
            queue = self._queues[place]
            group = self._take(queue)
            if group:
                await self._answer(place, group)
            # Only now may another writer take the place: its groups are written in turn.
            if queue:
                self._turns.append(place)
            else:
                del self._queues[place]

    def _take(self, queue: deque[_Waiting[ItemT, AnswerT]]) -> list[_Waiting[ItemT, AnswerT]]:
        group: list[_Waiting[ItemT, AnswerT]] = []
        while queue and len(group) < self._largest:
            alone = self._alone(queue[0].item)
            if alone and group:
                break
            taken = queue.popleft()
            taken.taken = True
            self._waiting -= 1
            group.append(taken)
            if alone:
                break
        return group

    async def _answer(self, place: PlaceT, group: Sequence[_Waiting[ItemT, AnswerT]]) -> None:
        # In the context of the first, whose trace has the statements.
        writing = asyncio.get_running_loop().create_task(
            self._write_items(place, [each.item for each in group]), context=group[0].context
        )
        try:
            answers = await writing
        except Unavailable as error:
            for each in group:
                _settle(each.answer, error)
        except Exception as error:  # noqa: BLE001 - each caller gets what its own item raises
            if len(group) == 1:
                _settle(group[0].answer, error)
                return
            for each in group:
                await self._answer(place, [each])
        else:
            for each, answer in zip(group, answers, strict=True):
                _settle(each.answer, answer)

    async def _write_items(
        self, place: PlaceT, items: Sequence[ItemT]
    ) -> Sequence[AnswerT | KeeperError]:
        return await self._write(place, items)


def _settle(future: asyncio.Future[AnswerT], answer: AnswerT | Exception) -> None:
    """Give a caller its answer, unless it went away."""
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
