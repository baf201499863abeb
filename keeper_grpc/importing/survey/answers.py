"""How often a test says yes and no, and how many values mean no only because nothing names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from keeper_grpc.importing.failure import ImportFailed, Problem
from keeper_grpc.importing.mapping.declared_values import folded
from keeper_grpc.importing.mapping.values import Row, YesNo

_MOST_VALUES: Final = 1000
"""Distinct values of a column that are told apart; beyond, it is a column of free text."""


@dataclass(slots=True)
class Answers:
    """How often a test says yes and no. `others` are the values that mean no because nothing names them.

    `unnamed` counts rows that say neither, or say yes in a word that the mapping lacks.
    """

    yes: int = 0
    no: int = 0
    unnamed: int = 0
    others: set[int] = field(default_factory=set)

    def add(self, test: YesNo, row: Row) -> None:
        """Count a row; one without an answer is counted when it is captured."""
        try:
            answer = test.value(row)
        except Problem:
            self.unnamed += 1
            return
        if answer:
            self.yes += 1
        elif answer is not None:
            self.no += 1
            if test.fails is None and test.at_least is None and len(self.others) < _MOST_VALUES:
                self.others.add(hash(folded(test.cell(row))))

    def require_some(self, test: YesNo) -> None:
        """Raise ImportFailed where no row says yes, and some say what nothing names."""
        if not self.yes and (self.others or self.unnamed):
            raise ImportFailed(
                f'outcome.success: no row has a value of column "{test.column}" that means yes; correct '
                "equals or in, or list under fails what means no"
            )
