"""What is done to the servers and to the database, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random


class Kind(Enum):
    """One way to break something."""

    KILL = "a server: kill -9"
    KILL_TWO = "two servers: kill -9"
    FREEZE = "a server: SIGSTOP, then SIGCONT"
    DRAIN = "a server: SIGTERM"
    KILL_DATABASE = "PostgreSQL: kill -9"
    STOP_DATABASE = "PostgreSQL: immediate stop"
    KILL_BACKEND = "a connection's process: kill -9"
    CUT = "all connections: terminated"
    STOP_STANDBY = "the standby: stopped, then started"
    KILL_STANDBY = "the standby: kill -9"
    LAG_STANDBY = "the standby: replay paused, then resumed"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, the seconds for which what was hit stays away, and those until the next."""

    kind: Kind
    away: float
    pause: float


def faults(random: Random, longest_away: float, longest_pause: float) -> Iterator[Fault]:
    """Endless rounds of every kind, each in an order of its own, so that a short run has them all."""
    while True:
        kinds = list(Kind)
        random.shuffle(kinds)
        for kind in kinds:
            yield Fault(kind, random.uniform(0, longest_away), random.uniform(0, longest_pause))
