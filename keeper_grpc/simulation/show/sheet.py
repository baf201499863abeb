"""One table of a run, for a terminal and for Markdown, and how its figures are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

NOTHING = "-"
"""Stands for a figure that there is not."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of texts."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self) -> Table:
        """The table for a terminal."""
        table = Table(title=self.title, title_justify="left")
        for heading in self.headings:
            table.add_column(heading)
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [f"### {self.title}", "", _line(self.headings), _line(["---"] * len(self.headings))]
        return "\n".join([*lines, *map(_line, self.rows), ""])


def percent(share: float | None) -> str:
    """A share in percent."""
    return NOTHING if share is None else f"{share:.1%}"


def points(difference: float | None) -> str:
    """A difference of shares in percentage points."""
    return NOTHING if difference is None else f"{100 * difference:+.1f} points"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
