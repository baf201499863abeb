"""A machine in which all calls share one processor, and a gate in front of its work. Its time is the test's own."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from statistics import median

from keeper_grpc.admission.gate import TICK, Gate
from keeper_grpc.admission.kinds import Kind, lanes
from keeper_grpc.admission.queue import Turn
from keeper_grpc.admission.shed import Shed
from keeper_grpc.usecases.group_writer import ENOUGH

WRITERS = 2
"""Groups that are written at once."""

PATIENCE = 20.0
"""Seconds of the callers' deadlines."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a call: of the processor, and of waiting for something else, such as a disk. `refusal` is of the
    processor, to take a call up and to send it away. With a `group` it is written with others, which takes so long for all
    of them together.
    """

    processor: float
    elsewhere: float
    refusal: float = 0.0001
    group: float = 0.0

    @property
    def alone(self) -> float:
        """What one caller alone waits."""
        return self.refusal + self.processor + self.elsewhere + self.group

    @property
    def per_second(self) -> float:
        """The most that can be done."""
        return 1 / (self.refusal + self.processor)


@dataclass(slots=True)
class Seen:
    """How calls ended that came since the machine was last looked at."""

    began: float
    took: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    """Seconds after which calls were refused."""

    @property
    def p50(self) -> float:
        """Seconds."""
        return median(self.took)

    @property
    def shed(self) -> float:
        """The part that was refused."""
        return len(self.refused) / max(1, len(self.refused) + len(self.took))


@dataclass(slots=True)
class _Call:
    came: float
    then: Callable[[float], None]
    """What its caller does afterwards. It gets the seconds after which a refused one may come again, 0 if it was answered."""
    turn: Turn | None = None
    started: bool = False


class Machine:
    """Calls of one kind at one gate. The processor is shared equally by all that is on it, refusals included."""

    def __init__(self, cost: Cost, kind: Kind = Kind.QUESTION, seed: int = 1) -> None:
        self.now = 1_000.0
        self._cost = cost
        self._kind = kind
        self._rng = Random(seed)  # noqa: S311 - arrivals, no secrets
        self.gate = Gate(
            lanes(),
            clock=lambda: self.now,
            # The machine lets it look; in the loop's time it would never stop, for nothing would end there.
            later=lambda *_: None,
            rng=Random(seed),  # noqa: S311 - as above
        )
        self._served = 0.0
        """Seconds that each piece on the processor has got, of one that is there from the beginning on."""
        self._on_processor: list[tuple[float, int, Callable[[], None]]] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._waiting: list[_Call] = []
        self._to_write: list[_Call] = []
        self._written = 0
        """Of groups that are being written now."""
        self._writers = 0
        self._seen = Seen(self.now)
        self.at(TICK, self._look)

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something after so many seconds."""
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), what))

    def run(self, seconds: float) -> Seen:
        """Let time pass, and tell what became of the calls that ended in it."""
        self._seen = Seen(self.now)
        end = self.now + seconds
        while self.now < end:
            self._step(end)
        return self._seen

    def callers(self, number: int) -> None:
        """So many who ask again as soon as they have their answer, and as the refusal says after one."""
        for _ in range(number):

            def again(pause: float) -> None:
                self.at(pause, lambda: self._arrive(again))

            again(0.0)

    def arrivals(self, per_second: float, seconds: float = math.inf) -> None:
        """Calls that come by chance, whatever became of those before, for so many seconds."""
        end = self.now + seconds

        def come() -> None:
            if self.now >= end:
                return
            self._arrive(lambda pause: None)
            self.at(self._rng.expovariate(per_second), come)

        come()

    def _step(self, end: float) -> None:
        until = min(end, self._timers[0][0])
        if self._on_processor:
            busy = len(self._on_processor)
            done = self.now + (self._on_processor[0][0] - self._served) * busy
            if done <= until:
                self._pass(done)
                heapq.heappop(self._on_processor)[2]()
                self._begin_admitted()
                return
        self._pass(until)
        if self._timers[0][0] <= self.now:
            heapq.heappop(self._timers)[2]()
            self._begin_admitted()

    def _pass(self, until: float) -> None:
        if self._on_processor:
            self._served += (until - self.now) / len(self._on_processor)
        self.now = until

    def _process(self, seconds: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._on_processor, (self._served + seconds, next(self._order), then))

    def _arrive(self, then: Callable[[float], None]) -> None:
        call = _Call(self.now, then)
        self._process(self._cost.refusal, lambda: self._offer(call))

    def _offer(self, call: _Call) -> None:
        try:
            call.turn = self.gate.offer(self._kind, "work", PATIENCE)
        except Shed as shed:
            self._refused(call, shed.retry_after)
            return
        self._waiting.append(call)

    def _refused(self, call: _Call, retry_after: float) -> None:
        self._seen.refused.append(self.now - call.came)
        call.then(retry_after)

    def _begin_admitted(self) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            assert call.turn is not None
            if call.turn.begun is not None:
                self._work(call)
            elif call.turn.gone:
                self.gate.leave(call.turn)
                self._refused(call, _said(call.turn))
            else:
                self._waiting.append(call)

    def _work(self, call: _Call) -> None:
        spread = self._rng.uniform(0.5, 1.5)
        self._process(
            self._cost.processor * spread,
            lambda: self.at(self._cost.elsewhere * spread, lambda: self._write(call)),
        )

    def _write(self, call: _Call) -> None:
        if not self._cost.group:
            self._end(call)
            return
        self._to_write.append(call)
        if self._writers < WRITERS:
            self._writers += 1
            self._write_group()

    def _write_group(self) -> None:
        """As `usecases/group_writer.py` does: about half of all, and what comes meanwhile is the next group."""
        size = max(ENOUGH, (len(self._to_write) + self._written + 1) // 2)
        group, self._to_write = self._to_write[:size], self._to_write[size:]
        self._written += len(group)

        def done() -> None:
            self._written -= len(group)
            if self._to_write:
                self._write_group()
            else:
                self._writers -= 1
            for call in group:
                self._end(call)

        self.at(self._cost.group * self._rng.uniform(0.5, 1.5), done)

    def _end(self, call: _Call) -> None:
        assert call.turn is not None
        self.gate.leave(call.turn)
        self._seen.took.append(self.now - call.came)
        call.then(0.0)

    def _look(self) -> None:
        self.gate.look()
        self.at(TICK, self._look)


def _said(turn: Turn) -> float:
    """The RetryInfo of a turn that was refused while it waited."""
    assert turn.admitted is not None
    error = turn.admitted.exception()
    assert isinstance(error, Shed)
    return error.retry_after
