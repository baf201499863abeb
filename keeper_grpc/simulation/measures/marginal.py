"""The marginal customer: how much less the network brings the others when one account never joins.

The story is replayed without the account, with the same insights, hunches and luck for everybody else. Compared is what
the network brings the others: by how much their true chances exceed those of the same accounts alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from scipy.special import stdtrit

from keeper_grpc.simulation.parameters import Parameters, stream
from keeper_grpc.simulation.play.episodes import Episode
from keeper_grpc.simulation.world.population import population

_TAIL = 0.975
"""Of a two-sided 95% interval."""


@dataclass(frozen=True, slots=True)
class Marginal:
    """What each account that was left out adds, as a share of what the network brings the others without it."""

    customers: int
    added: Sequence[float]

    @property
    def mean(self) -> float:
        """What an account adds on the average."""
        return fmean(self.added)

    @property
    def interval(self) -> tuple[float, float]:
        """Student's 95% interval of the mean over accounts; everything with fewer than two."""
        count = len(self.added)
        if count < 2:  # noqa: PLR2004 - a deviation needs two
            return -math.inf, math.inf
        half = float(stdtrit(count - 1, _TAIL)) * stdev(self.added) / math.sqrt(count)
        return self.mean - half, self.mean + half


def left_out(parameters: Parameters, count: int) -> list[int]:
    """The accounts to leave out: drawn evenly over the order of joining, because early ones teach longer."""
    accounts = [account.number for account in population(parameters)]
    count = min(count, len(accounts))
    rng = stream(parameters, "left out")
    edges = [place * len(accounts) // count for place in range(count + 1)]
    return [accounts[rng.randrange(first, last)] for first, last in pairwise(edges)]


def marginal(
    parameters: Parameters,
    episodes: Sequence[Episode],
    without: Mapping[int, Sequence[Episode]],
    alone: Mapping[tuple[int, int], Episode],
) -> Marginal:
    """Compare the story with those without one account; `alone` is the arm without the network, by insight."""
    added = []
    for number, others in without.items():
        less = _brought(others, alone)
        all_of_it = _brought([e for e in episodes if e.met.account.number != number], alone)
        added.append((all_of_it - less) / less if less > 0 else 0.0)
    return Marginal(len(population(parameters)), added)


def _brought(episodes: Sequence[Episode], alone: Mapping[tuple[int, int], Episode]) -> float:
    """The successes to be expected beyond those of the same accounts alone."""
    return sum(e.chance - alone[e.met.account.number, e.met.number].chance for e in episodes)
