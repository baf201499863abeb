"""Whether day and month stand in the order that the format of `occurred_time` says."""

from __future__ import annotations

from functools import lru_cache

from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.mapping import dates
from keeper_grpc.importing.mapping.values import Row, When


class DayOrder:
    """Whether day and month stand in the order that the format of `occurred_time` says.

    `03/04` has two readings. Cells such as `03/25` have one, and tell which one the column's others have.
    """

    def __init__(self, when: When | None) -> None:
        self._when = when
        self._exchanged = dates.with_parts_exchanged(when.format) if when is not None else None
        self._as_said = 0
        self._otherwise = 0

    def add(self, row: Row) -> None:
        """Count a row whose time has one reading only."""
        if self._when is None or self._exchanged is None:
            return
        cell = self._when.cell(row)
        said = _is_time(cell, self._when.format)
        if said != _is_time(cell, self._exchanged):
            self._as_said += said
            self._otherwise += not said

    def require(self) -> None:
        """Raise ImportFailed where more cells have the other order than the one that the format says."""
        if self._when is not None and self._otherwise > self._as_said:
            raise ImportFailed(
                f'occurred_time: column "{self._when.column}" has day and month the other way round; write '
                f'format: "{self._exchanged}"'
            )


@lru_cache(maxsize=4096)  # days repeat, and strptime is slow
def _is_time(cell: str, written: str) -> bool:
    try:
        dates.moment(cell, written)
    except (ValueError, OverflowError):
        return False
    return True
