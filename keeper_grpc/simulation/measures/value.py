"""Time to value: how long after joining an account does well.

The measure was fixed before any result was seen. Its level, 60%, is the success rate below which the
source design gives no advice; ten insights are two weeks of an average account. The chances are the
true ones, which a simulation knows, so that a lucky streak is no value. What other definitions say is
reported beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from keeper_grpc.simulation.play.episodes import Episode
from keeper_grpc.simulation.world.population import Account

_HALF = Fraction(1, 2)
LEVEL = 0.6
WINDOW = 10


@dataclass(frozen=True, slots=True)
class Reached:
    """Days from joining until value was reached or, if it was not, until observation ended."""

    days: float
    reached: bool


Definition = Callable[[Sequence[Episode]], float | None]
"""The day on which an account with these episodes reached value, or None."""


def reliable(level: float = LEVEL, window: int = WINDOW) -> Definition:
    """The mean true chance of the last `window` insights is at least `level`."""
    return _trailing(lambda episode: episode.chance, level, window)


def observed(level: float = LEVEL, window: int = WINDOW) -> Definition:
    """The share of successes among the last `window` insights is at least `level`: luck counts."""
    return _trailing(lambda episode: float(episode.success), level, window)


def begun(level: float = LEVEL, window: int = WINDOW) -> Definition:
    """The first insight of the window that makes an account `reliable`, instead of its last."""

    def day(episodes: Sequence[Episode]) -> float | None:
        end = _first_window(lambda episode: episode.chance, episodes, level, window)
        return None if end is None else episodes[end - window].met.day

    return day


def successes(count: int) -> Definition:
    """The account has had this many successes."""

    def day(episodes: Sequence[Episode]) -> float | None:
        known = sorted(episode.known_day for episode in episodes if episode.success)
        return known[count - 1] if len(known) >= count else None

    return day


def earned(amount: float) -> Definition:
    """The account has earned this much net revenue."""

    def day(episodes: Sequence[Episode]) -> float | None:
        total = 0.0
        for episode in sorted(episodes, key=lambda e: e.known_day):
            total += episode.revenue
            if total >= amount:
                return episode.known_day
        return None

    return day


def _trailing(worth: Callable[[Episode], float], level: float, window: int) -> Definition:
    def day(episodes: Sequence[Episode]) -> float | None:
        end = _first_window(worth, episodes, level, window)
        return None if end is None else max(e.known_day for e in episodes[end - window : end])

    return day


def _first_window(
    worth: Callable[[Episode], float], episodes: Sequence[Episode], level: float, window: int
) -> int | None:
    """The end of the first window whose mean reaches the level."""
    for end in range(window, len(episodes) + 1):
        mean = sum(worth(episode) for episode in episodes[end - window : end]) / window
        # Rounded, because ten times 0.6 sums to a little less than 6.0 in floating point.
        if round(mean, 9) >= level:
            return end
    return None


PRIMARY = f"the last {WINDOW} insights have a mean true chance of at least {LEVEL:.0%}"

DEFINITIONS: Mapping[str, Definition] = {
    PRIMARY: reliable(),
    "the same, of the last 5": reliable(window=5),
    "the same, of the last 20": reliable(window=20),
    "the same, at least 55%": reliable(level=0.55),
    "the same, at least 65%": reliable(level=0.65),
    "6 of the last 10 outcomes are successes (luck counts)": observed(),
    "12 of the last 20 outcomes are successes (luck counts)": observed(window=20),
    "the first of the ten insights of the first line (added when results were known)": begun(),
    "the first success": successes(1),
    "the 10th success": successes(10),
    "1,000 of net revenue": earned(1_000),
}
"""Definitions by their name in the table; the first is the measure."""


def time_to_value(
    account: Account, episodes: Sequence[Episode], definition: Definition, until: float
) -> Reached:
    """The time to value of one account, whose outcomes are known up to day `until`."""
    day = definition([episode for episode in episodes if episode.known_day < until])
    if day is None:
        return Reached(until - account.joined, reached=False)
    return Reached(day - account.joined, reached=True)


def median(times: Sequence[Reached]) -> float | None:
    """The median with censored times (Kaplan and Meier, 1958); None if it lies beyond the observed days."""
    waiting, remaining = len(times), Fraction(1)
    for days in sorted({time.days for time in times}):
        here = [time for time in times if time.days == days]
        remaining *= 1 - Fraction(sum(time.reached for time in here), waiting)
        if remaining <= _HALF:
            return days
        waiting -= len(here)
    return None


@dataclass(frozen=True, slots=True)
class Value:
    """Time to value of the accounts that joined in a stage, in both arms.

    `watched` is the number of days for which the last account without the network was followed.
    """

    networked_times: Sequence[Reached]
    alone_times: Sequence[Reached]
    watched: float

    @property
    def networked(self) -> float | None:
        """The median with the network, in days; None if it was not reached."""
        return median(self.networked_times)

    @property
    def alone(self) -> float | None:
        """The median without the network, in days; None if it was not reached."""
        return median(self.alone_times)

    @property
    def acceleration(self) -> float | None:
        """The ratio of the medians; a lower bound where `alone` is None."""
        networked, alone = self.networked, self.alone
        if not networked:
            return None
        return (self.watched if alone is None else alone) / networked

    def pooled(self, other: Value) -> Value:
        """The times of both groups together."""
        return Value(
            [*self.networked_times, *other.networked_times],
            [*self.alone_times, *other.alone_times],
            min(self.watched, other.watched),
        )
