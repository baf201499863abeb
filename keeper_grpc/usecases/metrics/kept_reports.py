"""The newest reports, each with the version of the measures that it is of."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from keeper_grpc.domain.metrics.formulas import MetricsReport

KEPT = 64
"""Reports kept, the most recently used: one with a year of days is some tens of kilobytes."""

Asked: TypeAlias = tuple[datetime, str]
"""What a report depends on beside the data and the time: the beginning of its window, and its category."""


class VersionStore(Protocol):
    """The version of the measures."""

    async def version(self) -> str:
        """A text that differs whenever anything that is measured may have changed."""


@dataclass(frozen=True, slots=True)
class _Kept:
    version: str
    report: MetricsReport


class KeptReports:
    """At most `KEPT`."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Asked, _Kept] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def of(self, asked: Asked, version: str) -> MetricsReport | None:
        """The report of this version, if it is kept."""
        kept = self._kept.get(asked)
        if kept is None or kept.version != version:
            return None
        self._kept.move_to_end(asked)
        return kept.report

    def keep(self, asked: Asked, version: str, report: MetricsReport) -> None:
        """Keep it instead of an older one. `version` was read before the report was made, so that a change meanwhile
        brings another one.
        """
        self._kept[asked] = _Kept(version, report)
        self._kept.move_to_end(asked)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
