"""What may be told of what became of a group's entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import AnonymizationReport
from keeper_grpc.domain.observation import Disposition
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey
from keeper_grpc.usecases.patterns.group_entries import Written


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of an entry, before it is known what of that may be told."""

    account_key: str
    pattern: PatternKey | None
    disposition: Disposition
    similarity: float
    anonymization: AnonymizationReport
    replayed: bool

    def told(
        self, shown: Mapping[tuple[PatternKey, str], Pattern], rule: PublicationRule
    ) -> Written:
        """The answer: a pattern that is withheld is not told of, nor how near it lies."""
        pattern = published(shown, rule, self.pattern, self.account_key)
        return Written(
            self.disposition,
            self.replayed,
            self.similarity if pattern else 0.0,
            pattern,
            self.anonymization,
        )


def published(
    shown: Mapping[tuple[PatternKey, str], Pattern],
    rule: PublicationRule,
    key: PatternKey | None,
    account_key: str,
) -> Pattern | None:
    """The pattern as the account may be shown it; None where it may not."""
    pattern = None if key is None else shown.get((key, account_key))
    return None if pattern is None or pattern.withheld(rule) else pattern
