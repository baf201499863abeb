"""Whether more work comes than can be done.

A full queue does not tell: a hundred callers that each wait for their answer fill one for hours, and lose nothing by it.
What tells is that more comes than is done, round after round, until more is left than such callers make; or that some give
up, or are refused because their turns would come too late. So a burst, however large, is worked off, and callers that wait
for their answers are not refused, also while they become more on a machine that hardly gets on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

FEW = 16
"""Pieces of work that are no backlog: they may all be waiting for another service, and a few more for them."""

MANY = 128
"""Callers that wait for their answers before they ask again are seldom more at one process."""

SLIGHTLY = 1.03
WINDOWS = ((3, 1.25, FEW), (6, 1.1, FEW), (12, SLIGHTLY, FEW // 2))
"""Rounds; how many times what was done in them must have come, in these rounds and in as many before; and by how many pieces
it must be more. Clearly more is noticed soon, a little more in the end. One burst does not fill both halves, and where little
is done, a few answers that are on their way to those who ask again are no growth."""

MOST_ROUNDS = 2 * max(rounds for rounds, _, _ in WINDOWS)

CALM_ROUNDS = 5
"""Rounds after which the pressure is over, if all that came in them was done, or hardly more came than was done before."""

HARDLY = 1.1
"""Times what was done before: so many more come while some who were refused come again."""


@dataclass(frozen=True, slots=True)
class Round:
    """What came, what was done, what was refused, and what was still to be done at the end.

    `given_up` is what its callers no longer waited for.
    """

    offered: int
    done: int
    refused: int
    backlog: int
    seconds: float = 1.0
    given_up: int = 0


class Pressure:
    """The last rounds of one queue."""

    def __init__(self) -> None:
        self._rounds: deque[Round] = deque(maxlen=MOST_ROUNDS)
        self.on = False
        self.ratio = 1.0
        """What came to what was done in the last round, at least 1."""
        self.lasted = 0
        """Rounds since it began."""
        self._done_before = 0.0
        """Pieces a second before the pressure, when as much as possible was in progress."""

    def close(self, ended: Round) -> None:
        """Add a round, and decide."""
        self._rounds.append(ended)
        self.ratio = max(1.0, ended.offered / max(1, ended.done))
        if self.on:
            self.lasted += 1
            if self._calm():
                self.on, self.lasted = False, 0
                self._rounds.clear()
        # What is over by now needs no remedy.
        elif ended.offered > ended.done and self._grows():
            self.on = True
            self._done_before = median(each.done / each.seconds for each in self._rounds)
            self._rounds.clear()

    def _calm(self) -> bool:
        """Without the second, callers who try again would keep up a pressure that nothing else makes any more: under it
        less is done than could be.
        """
        last = list(self._rounds)[-CALM_ROUNDS:]
        if len(last) < CALM_ROUNDS:
            return False
        came, done = sum(each.offered for each in last), sum(each.done for each in last)
        seconds = sum(each.seconds for each in last)
        refused = any(each.refused for each in last)
        return came <= HARDLY * self._done_before * seconds or (
            not refused and came <= SLIGHTLY * done
        )

    def _grows(self) -> bool:
        rounds = list(self._rounds)
        return any(
            len(rounds) >= 2 * length
            and _too_many(rounds[-2 * length :])
            and _grew(rounds[-length:], ratio, pieces)
            and _grew(rounds[-2 * length : -length], ratio, pieces)
            for length, ratio, pieces in WINDOWS
        )


def _too_many(rounds: list[Round]) -> bool:
    """Whether more is left than callers make who wait, or some have not waited."""
    lost = sum(each.refused + each.given_up for each in rounds)
    return rounds[-1].backlog > MANY or lost > FEW


def _grew(rounds: list[Round], ratio: float, pieces: int) -> bool:
    offered, done = sum(each.offered for each in rounds), sum(each.done for each in rounds)
    return rounds[-1].backlog > FEW and offered > max(ratio * done, done + pieces)
