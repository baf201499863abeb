"""How soon is a pattern that stops working noticed, and how often one that works on? Worlds whose truths change.

Each world is one pattern: owners of whom some are better than others and some busier, three situations of which
now one and now another is frequent, and a chance of success that is turned around on a known day (80% becomes 20%)
or stays. The detector (keeper_grpc/domain/evidence/fading.py) is asked once a day. Prints the share of reversals
that it finds within 21 days, the median delay, and false alarms for each pattern and year.

For how long an average alone hides the reversal, the table says on which day the expected rate falls below 60%.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from statistics import median

from rich.console import Console
from rich.table import Table

from keeper_grpc.domain.evidence.fading import FAST, SLOW, Course, fades

K = 3
REVERSAL = 150
"""The day on which the truth is turned around, of half a year more."""

WATCHED = 90
YEAR = 365
SETTLING = 60
"""Days at the beginning without alarms, while there is hardly any evidence."""

WORKS = (0.7, 0.8, 0.9)
A_DAY = (0.5, 1.0, 2.0, 5.0)
HURDLE = 0.6
SOON = 21
"""Days within which a reversal is to be found."""

FEW, MANY = 12, 40
"""Owners of a pattern with at most `BUSY` outcomes a day, and with more."""

BUSY = 2.0


@dataclass
class Owner:
    """One owner's moving averages, as they are kept up day by day."""

    effect: float
    fast: float = 0.0
    fast_good: float = 0.0
    slow: float = 0.0
    slow_good: float = 0.0

    def day_passes(self) -> None:
        fast, slow = 0.5 ** (1 / FAST.days), 0.5 ** (1 / SLOW.days)
        self.fast, self.fast_good = self.fast * fast, self.fast_good * fast
        self.slow, self.slow_good = self.slow * slow, self.slow_good * slow

    def observes(self, success: bool) -> None:
        self.fast, self.fast_good = self.fast + 1, self.fast_good + success
        self.slow, self.slow_good = self.slow + 1, self.slow_good + success


def days_of(
    works: float, a_day: float, days: int, draw: Random, *, reverses: bool
) -> Iterator[tuple[int, bool, float]]:
    """Each day, whether the pattern fades then, and the rate that its slow average expects."""
    count = FEW if a_day <= BUSY else MANY
    owners = [Owner(draw.gauss(0, 0.3)) for _ in range(count)]
    busy = [draw.gammavariate(4, 0.25) for _ in owners]
    situations = [draw.gauss(0, 0.4) for _ in range(3)]
    frequent = [draw.random() for _ in situations]
    for day in range(days):
        if day % 30 == 0:
            frequent = [0.7 * old + 0.3 * draw.random() for old in frequent]
        for owner in owners:
            owner.day_passes()
        chance = 1 - works if reverses and day >= REVERSAL else works
        usual = math.log(chance / (1 - chance))
        moment = draw.expovariate(a_day)
        while moment < 1:
            owner = draw.choices(owners, busy)[0]
            odds = usual + owner.effect + draw.choices(situations, frequent)[0]
            owner.observes(draw.random() < 1 / (1 + math.exp(-odds)))
            moment += draw.expovariate(a_day)
        courses = [Course(o.fast, o.fast_good, o.slow, o.slow_good) for o in owners]
        trials = sum(owner.slow for owner in owners)
        expected = (1 + sum(owner.slow_good for owner in owners)) / (2 + trials)
        yield day, fades(courses, K), expected


def delays(works: float, a_day: float, draw: Random) -> tuple[int, int]:
    """Days from the reversal until the detector, and until the average, says so; WATCHED for never."""
    found = averaged = WATCHED
    for day, fading, expected in days_of(works, a_day, REVERSAL + WATCHED, draw, reverses=True):
        if day >= REVERSAL:
            if fading:
                found = min(found, day - REVERSAL)
            if expected < HURDLE:
                averaged = min(averaged, day - REVERSAL)
    return found, averaged


def false_alarms(works: float, a_day: float, draw: Random) -> int:
    """How often a pattern that works on begins to fade within a year."""
    alarms, before = 0, False
    for day, fading, _ in days_of(works, a_day, SETTLING + YEAR, draw, reverses=False):
        if day >= SETTLING:
            alarms += fading and not before
        before = fading
    return alarms


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--worlds", type=int, default=40, help="of each kind (40)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    table = Table(title=f"{arguments.worlds} worlds of each kind")
    for heading in (
        *("works", "outcomes a day", f"found within {SOON} days", "median delay"),
        *("median of the average", "false alarms a year"),
    ):
        table.add_column(heading, justify="right")
    for works in WORKS:
        for a_day in A_DAY:
            draw = Random(f"{arguments.seed} {works} {a_day}")  # noqa: S311 - repeatable, not secret
            found = [delays(works, a_day, draw) for _ in range(arguments.worlds)]
            alarms = [false_alarms(works, a_day, draw) for _ in range(arguments.worlds)]
            soon = sum(delay <= SOON for delay, _ in found) / len(found)
            table.add_row(
                f"{works:.0%}",
                f"{a_day:g}",
                f"{soon:.0%}",
                f"{median(delay for delay, _ in found):g}",
                f"{median(delay for _, delay in found):g}",
                f"{sum(alarms) / len(alarms):.2f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
