"""How the cells of number columns are written: their decimal marks, and their currencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.mapping.numbers import (
    DecimalMark,
    distinct,
    without_percent,
    written,
)
from keeper_grpc.importing.mapping.values import Row


@dataclass(slots=True)
class _Column:
    """What the cells of a number column show."""

    marks: set[DecimalMark] = field(default_factory=set)
    currencies: set[str] = field(default_factory=set)

    def add(self, cell: str) -> None:
        """Note how a cell is written."""
        if not cell:
            return
        found = written(without_percent(cell) or cell)
        if found.mark is not None:
            self.marks.add(found.mark)
        if found.readings:
            # A sign and a code of one cell are one currency: `$5 USD`.
            self.currencies |= distinct(found.currencies)


class Amounts:
    """The number columns of a file. `places` are their places in the mapping."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._columns = {name: _Column() for name in places}

    def add(self, row: Row) -> None:
        """Note how the numbers of a row are written."""
        for name, shown in self._columns.items():
            shown.add(row.get(name, ""))

    def marks(self) -> dict[str, DecimalMark]:
        """The decimal marks of the columns whose cells agree on one."""
        return {
            name: next(iter(shown.marks))
            for name, shown in self._columns.items()
            if len(shown.marks) == 1
        }

    def require_one_currency(self) -> None:
        """Raise ImportFailed where a column adds up dollars and euros."""
        for name, shown in self._columns.items():
            if len(distinct(shown.currencies)) > 1:
                raise ImportFailed(
                    f'{self._places[name]}: column "{name}" has amounts in several currencies; import one at a '
                    "time, with skip for the others"
                )
