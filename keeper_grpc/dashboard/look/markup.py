"""HTML elements that NiceGUI lacks: text that changes, links, tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nicegui import html
from nicegui.element import Element

from keeper_grpc.dashboard.look.figures import NOTHING
from keeper_grpc.dashboard.look.terms import Word, heading
from keeper_grpc.dashboard.look.text import Text

WARNING = "\N{WARNING SIGN}\N{VARIATION SELECTOR-15}"
"""Variation selector 15: the sign as a text character, not as an emoji."""


class Status:
    """A state as an icon and a word; the colour is redundant."""

    def __init__(self) -> None:
        with html.span().classes("status") as self._element:
            self._icon = Text("span", **{"aria-hidden": "true"})
            self._word = Word()

    def show(self, kind: str, icon: str, word: str) -> None:
        """Change it. `kind` is one of the theme's: good, bad, none."""
        self._element.classes(replace=f"status {kind}")
        self._icon.text = icon
        self._word.show(word)


class Fact:
    """A fact of a definition list: its name, a value in large and a note below it. `facts` is the list's class."""

    def __init__(self, name: str, note: str = "") -> None:
        with html.div():
            heading("dt", name)
            with html.dd():
                self._value = Text("span", NOTHING, "value")
                self._note = Text("small", note)

    def show(self, value: str, note: str | None = None) -> None:
        """Change the value, and the note unless it stays."""
        self._value.text = value
        if note is not None:
            self._note.text = note


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading. `classes` go to each of its cells too: "number" puts them to the right."""

    heading: str
    classes: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's content: a text, optionally a link and a second, smaller line."""

    text: str
    note: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row. `key` identifies it when the table changes; `classes` are the theme's."""

    key: str
    cells: Sequence[Cell]
    classes: str = ""


class Table:
    """A table whose rows change. A row that stays keeps its elements, and thereby the focus.

    On a narrow screen the theme shows rows as cards, and browsers then drop the table semantics; the
    ARIA roles restore them.
    """

    def __init__(self, caption: str, columns: Sequence[Column], empty: str) -> None:
        self._columns = columns
        self._rows: dict[str, _RowElements] = {}
        self._empty = empty
        # The table stays empty until the first rows, or the fact that there are none, are known.
        self._instead = Text("p", "Loading", "empty")
        with html.table(role="table").classes("stacks") as self._table:
            Text("caption", caption, "unseen")
            with html.thead(role="rowgroup"), html.tr(role="row"):
                for column in columns:
                    heading("th", column.heading, column.classes, scope="col", role="columnheader")
            self._body = html.tbody(role="rowgroup")
        self._table.set_visibility(False)

    def show(self, rows: Iterable[Row]) -> None:
        """Show exactly these rows, in this order. Their keys differ."""
        wanted = {row.key: row for row in rows}
        for key in [key for key in self._rows if key not in wanted]:
            self._rows.pop(key).element.delete()
        for index, row in enumerate(wanted.values()):
            elements = self._rows.get(row.key)
            if elements is None:
                with self._body:
                    elements = self._rows[row.key] = _RowElements(self._columns)
            elements.show(row)
            if self._body.default_slot.children[index] is not elements.element:
                elements.element.move(self._body, index)
        self._table.set_visibility(bool(wanted))
        self._instead.text = self._empty
        self._instead.set_visibility(not wanted)


class _RowElements:
    """The elements of one row."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._shown: Row | None = None
        self._cells: list[tuple[Text, Text]] = []
        with html.tr(role="row") as self.element:
            for index, column in enumerate(columns):
                # The first cell names the row.
                tag, props = ("td", {"role": "cell"}) if index else ("th", _ROW_HEADER)
                with Element(tag).classes(column.classes) as cell:
                    cell.props.update({**props, "data-label": column.heading})
                    self._cells.append((Text("span"), Text("small")))

    def show(self, row: Row) -> None:
        """Update what differs from the shown content."""
        if row == self._shown:
            return
        for (text, note), cell in zip(self._cells, row.cells, strict=True):
            if cell.href:
                text.tag = "a"
                text.props["href"] = cell.href
            text.text = cell.text
            note.text = cell.note
            note.set_visibility(bool(cell.note))
        self.element.classes(replace=row.classes)
        self._shown = row


_ROW_HEADER = {"role": "rowheader", "scope": "row"}
