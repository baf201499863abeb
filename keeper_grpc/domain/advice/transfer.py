"""How much a pattern of one category is worth in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keeper_grpc.domain.evidence.evidence import cut_weights
from keeper_grpc.domain.evidence.publication import PublicationRule

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
    successes: float = 0.0

    @property
    def discount(self) -> float:
        """Successes per expected success, shrunk towards `UNTRIED`; in (0, 1].

        Capped at 1: a neighbour's pattern is never worth more here than there.
        """
        return min((self.successes + PATIENCE * UNTRIED) / (self.expected + PATIENCE), 1.0)


@dataclass(frozen=True, slots=True)
class TransferShare:
    """One owner's part of such a record: its reports, and their sums."""

    trials: int
    expected: float
    successes: int


def transfer_record(shares: Sequence[TransferShare], rule: PublicationRule) -> TransferRecord:
    """What the owners' reports come to, none of them weighing more than in any other evidence.

    The discount is shown, so that reports of too few owners count as none.
    """
    if len(shares) < rule.k:
        return TransferRecord()
    weights = cut_weights([share.trials for share in shares], rule.k)
    parts = [own / share.trials for own, share in zip(weights, shares, strict=True)]
    return TransferRecord(
        sum(share.expected * part for share, part in zip(shares, parts, strict=True)),
        sum(share.successes * part for share, part in zip(shares, parts, strict=True)),
    )
