"""The one gate that all work of a process goes through.

Ordinarily it lets everything pass at once, up to the fixed bound of each kind, and what comes beyond waits, the shortest
deadline first. Under pressure, while more of a kind comes than is done, what is in progress is held to the adaptive
limit, nothing waits, and the rest is refused at once: a refusal now is of more use than an answer too late.
Questions of streams keep to the adaptive limit as soon as there is other work; they are never refused for pressure,
because a stream that waits for its turn reads no further.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from random import Random

from keeper_grpc.admission.kinds import Kind, Lane
from keeper_grpc.admission.limit import AdaptiveLimit
from keeper_grpc.admission.pressure import MOST_ROUNDS, Pressure, Round
from keeper_grpc.admission.queue import Queue, Turn
from keeper_grpc.admission.shed import Reason, Shed, retry_after

MOST_WAITING = 2_000
"""Turns of one kind that may wait: some kilobytes each, with the request that they are for."""

TICK = 0.1
"""Seconds between looks at what waits, while anything is in progress."""

ROUND = 5
"""Times that the slowest work takes alone: a round, in which what comes and what is done are compared."""
SHORTEST_ROUND, LONGEST_ROUND, FIRST_ROUND = 0.2, 2.0, 1.0
"""Seconds; the last before it is known what work takes alone."""

PROBE_EVERY = 10.0
"""Seconds after which the time alone is measured again where the limit is in use, a few pieces one after another."""
PROBE_SAMPLES = 4
PROBE_LONGEST = 2.0

OTHERS_LAST = 10.0
"""Seconds after the last other work in which streams go on yielding: the next is not to find them in its way."""

STREAMS_SHARE = 2
"""Streams have at least one question in progress, and one for each so many pieces of other work."""


class _Open:
    """One kind's lane in operation."""

    def __init__(self, kind: Kind, lane: Lane) -> None:
        self.kind = kind
        self.lane = lane
        self.queue = Queue()
        self.pressure = Pressure()
        self.running = 0
        self.admitted = 0
        self.shed = dict.fromkeys(Reason, 0)
        self.offered = self.done = self.refused = self.given_up = 0
        """Of the current round."""
        self.per_second: float | None = None
        """Pieces that were done in a second of the last round in which any waited."""


def _by_the_loop(seconds: float, what: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, what)


class Gate:
    """Admits work. `on_wait` is called with the seconds that a piece waited, if it did, also in vain.

    `ahead` returns how many calls wait where they cannot be offered yet. Only how it changes is looked at. `later` calls
    something after so many seconds, of the same time as `clock` tells.
    """

    def __init__(
        self,
        lanes: Mapping[Kind, Lane],
        *,
        ahead: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], object] = _by_the_loop,
        on_wait: Callable[[Kind, float], None] = lambda kind, seconds: None,  # noqa: ARG005 - the default ignores it
        rng: Random | None = None,
    ) -> None:
        self._lanes = {kind: _Open(kind, lane) for kind, lane in lanes.items()}
        self._turns = deque(self._lanes.values())
        """The lanes, the one that is to be asked first in front."""
        self._clock = clock
        self._on_wait = on_wait
        self._rng = rng or Random()  # noqa: S311 - spreads retries, no secrets
        self._limit = AdaptiveLimit()
        self._running = 0
        """Pieces in progress that adapt."""
        self._begun = 0
        self._limited = False
        """Whether the limit kept anything back in this round."""
        self._probe = 0
        """Times alone that are still to be measured before more may run at once."""
        now = clock()
        self._probe_ends = self._round_began = now
        self._last_alone = self._last_other = now - OTHERS_LAST
        self._later = later
        self._looks = False
        """Whether the next look is ordered."""
        self._ahead = ahead
        self._were_ahead: deque[int] = deque([0], maxlen=MOST_ROUNDS)
        self._waited_ahead = 0.0
        """Seconds that a call has waited before it is offered, as of the last round."""

    @property
    def limit(self) -> int:
        """The adaptive limit."""
        return self._limit.value

    def running(self, kind: Kind) -> int:
        """Pieces of this kind in progress."""
        return self._lanes[kind].running

    def waiting(self, kind: Kind) -> int:
        """Pieces of this kind that wait for their turn."""
        return len(self._lanes[kind].queue)

    def admitted(self, kind: Kind) -> int:
        """Pieces of this kind that were begun, since the start."""
        return self._lanes[kind].admitted

    def shed(self, kind: Kind, reason: Reason) -> int:
        """Pieces of this kind that were refused for this reason, since the start."""
        return self._lanes[kind].shed[reason]

    def under_pressure(self, kind: Kind) -> bool:
        """Whether more of this kind comes than is done."""
        return self._lanes[kind].pressure.on

    def offer(self, kind: Kind, work: str, seconds: float) -> Turn:
        """A turn for a piece of work that is of use for so many seconds. `leave` must follow, whatever happens.

        It has begun, or `admitted` is to be awaited first. `work` names what takes about as long. Raises Shed.
        """
        now, lane = self._clock(), self._lanes[kind]
        lane.offered += 1
        if not lane.lane.yields and lane.lane.adapts:
            self._last_other = now
        turn = Turn(kind, work, now, now + seconds)
        if not lane.queue and self._may_begin(lane, now):
            self._begin(lane, turn, now)
        else:
            self._check_room(lane, seconds)
            turn.admitted = asyncio.get_running_loop().create_future()
            lane.queue.push(turn)
        self._order_look()
        return turn

    def is_full(self, kind: Kind) -> bool:
        """Whether a piece of this kind would be refused now for pressure, however long it could wait."""
        lane = self._lanes[kind]
        if not lane.pressure.on or lane.lane.yields:
            return False
        return not self._may_begin(lane, self._clock())

    def turn_away(self, kind: Kind) -> Shed:
        """The refusal of a piece that is not offered because the gate is full. It counts as one that was."""
        lane = self._lanes[kind]
        lane.offered += 1
        if lane.lane.adapts:
            self._last_other = self._clock()
        self._order_look()
        return self._refusal(lane, Reason.OVERLOAD)

    def leave(self, turn: Turn, error: BaseException | None = None) -> None:
        """End a piece of work, or the wait for it. `error` is what it failed by."""
        lane = self._lanes[turn.kind]
        if turn.begun is None:
            if not turn.gone:
                lane.queue.remove(turn)
                lane.given_up += 1
            return
        now = self._clock()
        lane.running -= 1
        # Work whose caller gave up does not count: an overload would look like a load that is borne.
        gave_up = isinstance(error, asyncio.CancelledError)
        lane.given_up += gave_up
        lane.done += not gave_up
        if lane.lane.adapts:
            if error is None:
                self._measure(lane, turn, now)
            self._running -= 1
        if error is not None and isinstance(error, lane.lane.shared):
            for waiting in list(lane.queue):
                lane.queue.remove(waiting)
                _refuse(waiting, error)
        self._begin_waiting(now)

    def _measure(self, lane: _Open, turn: Turn, now: float) -> None:
        assert turn.begun is not None  # noqa: S101 - for mypy; `leave` has looked
        seconds = now - turn.begun
        if turn.at_once == 1 and turn.mark == self._begun:
            pressed = any(each.pressure.on for each in self._lanes.values())
            self._limit.alone(turn.work, seconds, disturbed=pressed)
            self._last_alone = now
            self._probe = max(0, self._probe - 1)
        # Nothing else waits under pressure. What its caller waited before is of the same busy process.
        before = self._waited_ahead if lane.pressure.on else 0.0
        self._limit.in_company(turn.work, before + seconds, (turn.at_once + self._running) / 2)

    def _may_begin(self, lane: _Open, now: float) -> bool:
        if lane.running >= lane.lane.at_most:
            return False
        if not lane.lane.adapts:
            return True
        if self._probe:
            return self._running == 0
        others = self._running - lane.running
        if lane.lane.yields:
            at_least = max(1, others // STREAMS_SHARE)
            free = not others and now - self._last_other >= OTHERS_LAST
            limit = self._limit.measured
        else:
            at_least, free = 1, not lane.pressure.on
            limit = self._limit.value
        if free or lane.running < at_least or self._running < limit:
            return True
        self._limited = True
        return False

    def _begin(self, lane: _Open, turn: Turn, now: float) -> None:
        turn.begun = now
        lane.running += 1
        lane.admitted += 1
        if lane.lane.adapts:
            self._running += 1
            turn.at_once = self._running
            self._begun += 1
            turn.mark = self._begun

    def _begin_waiting(self, now: float) -> None:
        """Begin what may begin, a piece of each lane in turn."""
        idle = 0
        while idle < len(self._turns):
            lane = self._turns[0]
            self._turns.rotate(-1)
            idle += 1
            if lane.queue and self._may_begin(lane, now):
                turn = self._next(lane, now)
                if turn is not None:
                    self._begin(lane, turn, now)
                    assert turn.admitted is not None  # noqa: S101 - it has waited
                    turn.admitted.set_result(None)
                    self._on_wait(lane.kind, now - turn.arrived)
                    idle = 0

    def _next(self, lane: _Open, now: float) -> Turn | None:
        """The first that waits and did not wait too long."""
        while (turn := lane.queue.pop()) is not None:
            if turn.admitted is None or turn.admitted.done():
                turn.gone = True  # whoever waited was cancelled, and has yet to leave
                continue
            reason = self._too_late(lane, turn, now)
            if reason is None:
                return turn
            turn.gone = True
            _refuse(turn, self._refusal(lane, reason, now - turn.arrived))
        return None

    def _too_late(self, lane: _Open, turn: Turn, now: float) -> Reason | None:
        if turn.deadline <= now:
            return Reason.LATE
        if not lane.lane.yields and lane.pressure.on:
            # What it takes alone is also what it may wait.
            longest = self._limit.quiet(turn.work) or TICK
            if now - turn.arrived > longest:
                return Reason.OVERLOAD
        return None

    def _check_room(self, lane: _Open, seconds: float) -> None:
        """Raise Shed unless a turn may wait that is of use for so many seconds."""
        waiting = len(lane.queue)
        if lane.pressure.on and not lane.lane.yields:
            # Waiting would be of less use than one more in progress, for which the limit has room or not.
            raise self._refusal(lane, Reason.OVERLOAD)
        if waiting >= MOST_WAITING:
            raise self._refusal(lane, Reason.FULL)
        if waiting and lane.per_second and waiting / lane.per_second > seconds:
            raise self._refusal(lane, Reason.LATE)

    def _refusal(self, lane: _Open, reason: Reason, waited: float | None = None) -> Shed:
        lane.shed[reason] += 1
        lane.refused += 1
        if waited is not None:
            self._on_wait(lane.kind, waited)
        return Shed(reason, retry_after(lane.pressure.ratio, lane.pressure.lasted, self._rng))

    def _order_look(self) -> None:
        if not self._looks:
            self._looks = True
            self._later(TICK, self.look)

    def look(self) -> None:
        """Refuse what waits too long, and see how things go; again after a tick, while anything is in progress."""
        now = self._clock()
        for lane in self._lanes.values():
            for turn in list(lane.queue):
                reason = self._too_late(lane, turn, now)
                if reason is not None:
                    lane.queue.remove(turn)
                    _refuse(turn, self._refusal(lane, reason, now - turn.arrived))
        if self._probe and now >= self._probe_ends:
            # Work of other kinds, or work that fails, kept it from being alone.
            self._probe, self._last_alone = 0, now
        quiet = self._limit.longest_quiet()
        length = min(LONGEST_ROUND, max(SHORTEST_ROUND, ROUND * quiet)) if quiet else FIRST_ROUND
        if now - self._round_began >= length:
            self._close_round(now)
        self._begin_waiting(now)
        busy = any(lane.running or lane.queue or lane.pressure.on for lane in self._lanes.values())
        self._looks = False
        if busy:
            self._order_look()

    def _close_round(self, now: float) -> None:
        self._limit.adapt(wanted=self._limited)
        if self._limited and not self._probe and now - self._last_alone >= PROBE_EVERY:
            self._probe, self._probe_ends = PROBE_SAMPLES, now + PROBE_LONGEST
        self._limited = False
        seconds = now - self._round_began
        offered = max(1, sum(lane.offered for lane in self._lanes.values()))
        more, ahead, stood = self._look_ahead()
        self._waited_ahead = stood * seconds / offered
        for lane in self._lanes.values():
            waiting = len(lane.queue)
            if not lane.lane.yields:
                # Of which kind those ahead are is not known: as those are that came through.
                backlog = waiting + lane.running + round(ahead * lane.offered / offered)
                came = max(0, lane.offered + round(more * lane.offered / offered))
                lane.pressure.close(
                    Round(came, lane.done, lane.refused, backlog, seconds, lane.given_up)
                )
            # Only then is it what can be done, and not what was asked for.
            lane.per_second = lane.done / seconds if waiting else None
            lane.offered = lane.done = lane.refused = lane.given_up = 0
        self._round_began = now

    def _look_ahead(self) -> tuple[int, int, int]:
        """By how many more than a round ago wait ahead, how many do in all, and how many did all the time.

        The last are what those that are admitted have waited behind. A look that comes late finds what came while the process
        stood still, and that is gone a moment later.
        """
        before, now = self._were_ahead[-1], self._ahead()
        self._were_ahead.append(now)
        least = min(self._were_ahead)
        return now - before, now - least, min(before, now) - least


def _refuse(turn: Turn, error: BaseException) -> None:
    """Let whoever waits for the turn fail, unless it is already gone."""
    if turn.admitted is not None and not turn.admitted.done():
        turn.admitted.set_exception(error)
        # Retrieved: one who is cancelled now does not look, and asyncio would log a defect.
        turn.admitted.exception()
