"""What waits for its turn, and for how long."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterator

from keeper_grpc.admission.kinds import Kind


class Turn:
    """One piece of work: what it is, until when it is of use, and whether it has begun."""

    __slots__ = (
        "admitted",
        "arrived",
        "at_once",
        "begun",
        "deadline",
        "gone",
        "kind",
        "mark",
        "work",
    )

    def __init__(self, kind: Kind, work: str, arrived: float, deadline: float) -> None:
        self.kind = kind
        self.work = work
        self.arrived = arrived
        self.deadline = deadline
        self.begun: float | None = None
        self.at_once = 0
        """How many were in progress when it began, itself included."""
        self.mark = 0
        """How many had begun by then, so that its end can tell whether it stayed alone."""
        self.gone = False
        """Whether it left the queue without its turn."""
        self.admitted: asyncio.Future[None] | None = None
        """Of a turn that had to wait: done when it begins, or with the error by which it does not."""


class Queue:
    """Turns that wait, the one with the shortest deadline first.

    Those that leave early stay in the heap until they come up: taking one out would cost as much as all.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Turn]] = []
        self._numbers = itertools.count()
        self._gone = 0

    def __len__(self) -> int:
        return len(self._heap) - self._gone

    def __iter__(self) -> Iterator[Turn]:
        """Those that wait, in no order."""
        return (turn for _, _, turn in self._heap if not turn.gone)

    def push(self, turn: Turn) -> None:
        """Let it wait. Of two with one deadline, the first that came is the first."""
        heapq.heappush(self._heap, (turn.deadline, next(self._numbers), turn))

    def pop(self) -> Turn | None:
        """Take the next out; None where none waits."""
        while self._heap:
            turn = heapq.heappop(self._heap)[2]
            if not turn.gone:
                return turn
            self._gone -= 1
        return None

    def remove(self, turn: Turn) -> None:
        """Let one leave without its turn."""
        turn.gone = True
        self._gone += 1
        if self._gone > len(self._heap) // 2:
            self._heap = [each for each in self._heap if not each[2].gone]
            heapq.heapify(self._heap)
            self._gone = 0
