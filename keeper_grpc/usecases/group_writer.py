"""Writes by group: what waits is written together, and each caller gets its own answer.

There is no timer. One that comes alone is written at once; a group is what came while the one before it was
written, so groups grow with the load, and with them what one transaction does. A group takes what waits for many
places, but not of all where many wait: groups of different places are under way at once, of one place never. Places
that one transaction cannot write together are of different groups.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from keeper_grpc.domain.errors import KeeperError, ShuttingDown, TooBusy, Unavailable

PlaceT = TypeVar("PlaceT", bound=Hashable)
ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


ENOUGH = 16
"""Items that share what a group costs: with fewer, a group takes those of another place as well."""


class _Waiting(Generic[ItemT, AnswerT]):
    """One caller's item, the future that it waits for, the context that it called in, and since when."""

    __slots__ = ("answer", "context", "item", "since", "taken")

    def __init__(self, item: ItemT, answer: asyncio.Future[AnswerT]) -> None:
        self.item = item
        self.answer = answer
        self.context = contextvars.copy_context()
        self.taken = False
        self.since = time.perf_counter()


class GroupWriter(Generic[PlaceT, ItemT, AnswerT]):
    """Queues of items by place, and as many writers as there may be transactions.

    `write` writes a group in one transaction and returns the answers to each place's items, in their order; an answer
    may be a KeeperError, which its caller alone gets. Places that it leaves out, which may not be the first, have the
    next turns: each of them comes first then. It raises Unavailable where all of the group have to try again, and
    anything else where it cannot tell whose fault it was: then each is written by itself, so that only the culprit
    fails. An item that goes `alone` shares no transaction. Places of which `home` says the same share a group.
    `on_wait` is called with the seconds that the first of each group waited.
    """

    def __init__(
        self,
        write: Callable[
            [Mapping[PlaceT, Sequence[ItemT]]],
            Awaitable[Mapping[PlaceT, Sequence[AnswerT | KeeperError]]],
        ],
        *,
        at_once: int,
        largest: int,
        most_waiting: int,
        alone: Callable[[ItemT], bool] = lambda item: False,  # noqa: ARG005 - the default ignores it
        home: Callable[[PlaceT], Hashable] = lambda place: None,  # noqa: ARG005 - likewise
        on_wait: Callable[[float], None] = lambda seconds: None,  # noqa: ARG005 - the default ignores it
    ) -> None:
        self._write = write
        self._at_once = at_once
        self._largest = largest
        self._most_waiting = most_waiting
        self._alone = alone
        self._home = home
        self._on_wait = on_wait
        self._refused = 0
        self._queues: dict[PlaceT, deque[_Waiting[ItemT, AnswerT]]] = {}
        self._turns: deque[PlaceT] = deque()
        """Places with something to write whose turn has not come, each once: none is passed over."""
        self._writers: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._under_way = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """Items that no writer has taken yet."""
        return self._waiting

    @property
    def refused(self) -> int:
        """Items that were refused because as many waited as may."""
        return self._refused

    async def submit(self, place: PlaceT, item: ItemT) -> AnswerT:
        """The answer to the item, once it is committed.

        Raises TooBusy when as many wait as may, ShuttingDown after `close`, and what `write` answers or raises.
        A caller that is cancelled while its item waits takes it back; one that was taken is written in any case.
        """
        if self._closed:
            raise ShuttingDown("this server is shutting down")
        if self._waiting >= self._most_waiting:
            self._refused += 1
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

    async def _run(self) -> None:
        """Write what waits, place by place, until nothing does."""
        try:
            await self._write_all()
        finally:
            # Before whoever it answered last goes on: a caller that comes back at once needs another writer.
            self._writers.discard(asyncio.current_task())

    async def _write_all(self) -> None:
        while self._turns:
            group = self._take()
            size = sum(map(len, group.values()))
            if group:
                first = next(iter(group.values()))[0]
                self._on_wait(time.perf_counter() - first.since)
            self._under_way += size
            left = await self._answer(group) if group else {}
            self._under_way -= size
            # Only now may another writer take the places: groups of each are written in turn.
            for place in group:
                if place in left:
                    self._put_back(place, left[place])
                elif self._queues[place]:
                    self._turns.append(place)
                else:
                    del self._queues[place]

    def _take(self) -> dict[PlaceT, list[_Waiting[ItemT, AnswerT]]]:
        """What the next group is of: all that waits for the first place, and for those of its home after it until it is
        enough.
        """
        group: dict[PlaceT, list[_Waiting[ItemT, AnswerT]]] = {}
        home = self._home(self._turns[0])
        elsewhere: list[PlaceT] = []
        room = self._largest
        # Half of all: while the database works on one group, this process works on another.
        enough = max(ENOUGH, (self._waiting + self._under_way + 1) // 2)
        while self._turns and room and self._largest - room < enough:
            if self._home(self._turns[0]) != home:
                elsewhere.append(self._turns.popleft())
                continue
            queue = self._queues[self._turns[0]]
            if queue and self._alone(queue[0].item):
                if not group:
                    group[self._turns.popleft()] = [self._taken(queue)]
                break
            place = self._turns.popleft()
            items = group[place] = []
            while queue and room and not self._alone(queue[0].item):
                items.append(self._taken(queue))
                room -= 1
            if not items:  # they were taken back
                del group[place], self._queues[place]
        self._turns.extendleft(reversed(elsewhere))
        return group

    def _taken(self, queue: deque[_Waiting[ItemT, AnswerT]]) -> _Waiting[ItemT, AnswerT]:
        taken = queue.popleft()
        taken.taken = True
        self._waiting -= 1
        return taken

    def _put_back(self, place: PlaceT, items: Sequence[_Waiting[ItemT, AnswerT]]) -> None:
        """Let them wait as before, for the next turn; callers that went away meanwhile have taken theirs back."""
        waiting = [each for each in items if not each.answer.done()]
        for each in waiting:
            each.taken = False
        self._waiting += len(waiting)
        self._queues[place].extendleft(reversed(waiting))
        self._turns.appendleft(place)

    async def _answer(
        self, group: Mapping[PlaceT, Sequence[_Waiting[ItemT, AnswerT]]]
    ) -> Mapping[PlaceT, Sequence[_Waiting[ItemT, AnswerT]]]:
        """Write the group and answer all of it, but for what `write` left out, which is returned."""
        members = [(place, each) for place, items in group.items() for each in items]
        # In the context of the first, whose trace has the statements.
        writing = asyncio.get_running_loop().create_task(
            self._write_items(
                {place: [one.item for one in items] for place, items in group.items()}
            ),
            context=members[0][1].context,
        )
        try:
            answers = await writing
        except Unavailable as error:
            for _, each in members:
                _settle(each.answer, error)
        except Exception as error:  # noqa: BLE001 - each caller gets what its own item raises
            if len(members) == 1:
                _settle(members[0][1].answer, error)
                return {}
            for place, each in members:
                await self._answer({place: [each]})
        else:
            for place, items in group.items():
                for each, answer in zip(items, answers.get(place, ()), strict=False):
                    _settle(each.answer, answer)
            return {place: items for place, items in group.items() if place not in answers}
        return {}

    async def _write_items(
        self, items: Mapping[PlaceT, Sequence[ItemT]]
    ) -> Mapping[PlaceT, Sequence[AnswerT | KeeperError]]:
        return await self._write(items)


def _settle(future: asyncio.Future[AnswerT], answer: AnswerT | Exception) -> None:
    """Give a caller its answer, unless it went away."""
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
