"""Texts with columns in them: `Call the customer on the {contact}`."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from keeper_grpc.importing.failure import Problem


@dataclass(frozen=True, slots=True)
class Template:
    """A text of literal parts and columns, in turn. A literal brace is written twice, as in Python.

    `parts` are (literal, column that follows it, or None at the end).
    """

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: object) -> Template:
        """Read a template. Raises ValueError with what is wrong."""
        if not isinstance(text, str):
            message = "must be a text (in quotes, if it reads as a number, a date, yes or no)"
            raise ValueError(message)  # noqa: TRY004 - pydantic reports a ValueError with its place
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            message = f"{error}; write a literal brace twice, as in {{{{name}}}}"
            raise ValueError(message) from None
        if any(spec or conversion for _, _, spec, conversion in parts):
            message = "a placeholder is {column}, without ! and :"
            raise ValueError(message)
        return cls(tuple((literal, column) for literal, column, _, _ in parts))

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it needs."""
        return frozenset(column for _, column in self.parts if column is not None)

    def fill(self, row: Mapping[str, str]) -> str:
        """The text for one row. Raises Problem when one of its columns is empty."""
        text = []
        for literal, column in self.parts:
            text.append(literal)
            if column is not None:
                if not (cell := row.get(column, "")):
                    raise Problem("EMPTY_CELL", f'column "{column}" is empty')
                text.append(cell)
        return "".join(text)
