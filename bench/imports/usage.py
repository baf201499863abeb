"""What the import, the server and PostgreSQL use: processor time, and memory that is resident."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

from bench.calls.processes import Processes, family


@dataclass(frozen=True, slots=True)
class Sides:
    """A figure of each side: MB, or seconds of processor time."""

    importing: float
    serving: float
    database: float

    def since(self, before: Sides) -> Sides:
        """What was added."""
        return Sides(
            *(now - then for now, then in zip(astuple(self), astuple(before), strict=True))
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """How far the import was at some time, and what had been used by then."""

    time: float
    rows: int
    seconds: Sides
    megabytes: Sides


@dataclass(frozen=True, slots=True)
class Roots:
    """The first process of each side; 0 where there is none."""

    importing: int
    serving: int
    database: int

    def sample(self, rows: int) -> Sample:
        """What is used now."""
        one = [Processes((pid,) if pid else (), 0) for pid in astuple(self)]
        return Sample(
            time.monotonic(),
            rows,
            Sides(*(each.seconds() for each in one)),
            # PostgreSQL's processes share most of what they hold: each counts its share of it.
            Sides(one[0].megabytes(), one[1].megabytes(), proportional(self.database)),
        )

    def importer(self, pid: int) -> Self:
        """The same with another import."""
        return type(self)(pid, self.serving, self.database)


def proportional(root: int) -> float:
    """MB of a process and its descendants, what several of them share divided by their number."""
    total = 0
    for pid in family((root,)) if root else ():
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024
