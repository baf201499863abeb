"""How much a pattern of one category is worth in another."""

from __future__ import annotations

from dataclasses import dataclass

UNTRIED = 0.7
"""The discount before anything is known: a good approach loses something among strangers."""

PATIENCE = 5.0
"""Expected successes that the untried discount is worth: about eight reports outweigh it."""


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """What became of one category's patterns among another's accounts.

    `expected` sums the success rates that were expected before any discount.
    """

    expected: float = 0.0
    successes: int = 0

    @property
    def discount(self) -> float:
        """Successes per expected success, shrunk towards `UNTRIED`; in (0, 1].

        Capped at 1: a neighbour's pattern is never worth more here than there.
        """
        return min((self.successes + PATIENCE * UNTRIED) / (self.expected + PATIENCE), 1.0)
