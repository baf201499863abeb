"""The errors of an import, and of a single row.

    ImportFailed     the import cannot start or go on; its message is for the operator
    RowRejected      one row cannot be captured; its reasons name places and rules
     +- Problem      one reason, before the place in the mapping is known

No message holds a value of the file: what is imported is other people's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from keeper_grpc.operator_error import OperatorError


class ImportFailed(OperatorError):
    """The import cannot start or go on. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row was rejected.

    `field` is a place in the mapping or a field of the request, `code` is UPPER_SNAKE, and
    `description` says which rule was broken. Never what the row holds.
    """

    field: str
    code: str
    description: str

    def as_dict(self) -> dict[str, str]:
        """The reason as the report of rejected rows has it."""
        return asdict(self)


class RowRejected(Exception):
    """One row cannot be captured, for all of these reasons."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("the row was rejected")
        self.reasons = tuple(reasons)


class Problem(Exception):
    """A value cannot be read from a row."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description

    def at(self, field: str) -> Reason:
        """The reason, once the place is known."""
        return Reason(field, self.code, self.description)
