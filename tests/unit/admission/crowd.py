"""A gate whose time the test moves, and work for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.kinds import Kind, lanes
from keeper_grpc.admission.queue import Turn
from keeper_grpc.admission.shed import Shed


class Crowd:
    """Work that comes to one gate. A second passes only where the test says so."""

    def __init__(self, shared_failures: tuple[type[BaseException], ...] = ()) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []
        self.ahead = 0
        """What cannot be offered yet."""
        self.looks: list[Callable[[], None]] = []
        """That the gate has ordered."""
        bounds = lanes(shared_failures)
        self.gate = Gate(
            # Of reports, one at a time: the second waits.
            {**bounds, Kind.REPORT: replace(bounds[Kind.REPORT], at_most=1)},
            ahead=lambda: self.ahead,
            clock=lambda: self.now,
            later=lambda _, look: self.looks.append(look),
            on_wait=lambda _, seconds: self.waits.append(seconds),
            rng=Random(1),  # noqa: S311 - no secrets
        )

    def offer(
        self, kind: Kind = Kind.QUESTION, *, seconds: float = 30.0, work: str = "work"
    ) -> Turn:
        """One piece of work."""
        return self.gate.offer(kind, work, seconds)

    def offered(self, number: int, kind: Kind = Kind.QUESTION) -> tuple[list[Turn], list[Shed]]:
        """So many pieces at once: those that were not refused, and the refusals."""
        turns, refusals = [], []
        for _ in range(number):
            try:
                turns.append(self.offer(kind))
            except Shed as shed:
                refusals.append(shed)
        return turns, refusals

    def alone(self, seconds: float, kind: Kind = Kind.QUESTION, times: int = 9) -> None:
        """Work that takes so long with nothing beside it."""
        for _ in range(times):
            turn = self.offer(kind)
            self.now += seconds
            self.gate.leave(turn)

    def serve(self, turns: list[Turn], seconds: float) -> list[Turn]:
        """Let time pass and end what has begun; gives what has not ended."""
        self.now += seconds
        ended = [each for each in turns if begun(each)]
        for turn in ended:
            self.gate.leave(turn)
        return [each for each in turns if each not in ended and not each.gone]

    def overload(
        self,
        capacity: int,
        times: int,
        rounds: int,
        turns: list[Turn] | None = None,
        length: float = 0.5,
    ) -> list[Turn]:
        """So many times what can be done in a round comes in each of so many; gives what has not ended.

        `turns` are those that are left of before.
        """
        turns = turns or []
        for _ in range(rounds):
            for _ in range(capacity):
                turns += self.offered(times)[0]
                self.now += length / capacity
                begun_now = [each for each in turns if begun(each)]
                if begun_now:
                    self.gate.leave(begun_now[0])
                    turns.remove(begun_now[0])
                turns = [each for each in turns if not each.gone]
            self.gate.look()
        return turns


def begun(turn: Turn) -> bool:
    """Whether work may be done."""
    return turn.begun is not None


async def refusal(turn: Turn) -> BaseException:
    """The error that a turn ended its wait with."""
    assert turn.admitted is not None
    async with asyncio.timeout(20):
        try:
            await turn.admitted
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error
    raise AssertionError("it was admitted")
