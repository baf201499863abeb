"""The anonymizer with a memory of whole insights: an engine asks the same question for one guest after another."""

from __future__ import annotations

from dataclasses import fields, replace
from operator import attrgetter
from typing import Final

from keeper_grpc.domain.insight import Anonymized, Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.privacy.approved import KAccountWords
from keeper_grpc.privacy.conditions import bands
from keeper_grpc.privacy.memory import MaskedText, Memory

_PASSING: Final = ("TIME_BUDGET_EXCEEDED", "_FAILED", "_LOST")
"""Endings of the reasons that may not hold the next time."""


_DECLARED: Final = attrgetter(*(field.name for field in fields(Identifiers)))
"""All that is declared. A dataclass's own repr takes longer than the rest of a look into memory."""


class RememberingAnonymizer:
    """Does what the anonymizer does, and remembers it by a keyed hash of texts, conditions and identifiers.

    `insights` are whole answers; `texts` are what the layers made of single texts, whatever was declared with them.
    Both are emptied when other words are `approved`.
    """

    def __init__(self, inner: Anonymizer, approved: KAccountWords) -> None:
        self._inner = inner
        self.insights: Memory[Anonymized] = Memory()
        self.texts: Memory[MaskedText] = Memory()
        inner.texts = self.texts
        approved.on_change = self._forget

    def anonymize(self, insight: Insight, identifiers: Identifiers) -> Anonymized:
        """As Anonymizer.anonymize."""
        hashed = self.insights.hashed(
            repr(
                (
                    insight.type,
                    insight.business_category,
                    insight.action,
                    insight.script,
                    insight.conditions,
                    _DECLARED(identifiers),
                )
            )
        )
        known = self.insights.get(hashed)
        if known is not None:
            # The figures are no part of what was looked up, and are rounded by themselves.
            kept = replace(
                known.insight,
                confidence=insight.confidence,
                dollar_value=bands.two_digits(insight.dollar_value),
                potential_value=bands.two_digits(insight.potential_value),
            )
            return replace(known, insight=kept)
        answer = self._inner.anonymize(insight, identifiers)
        if not any(drop.reason.endswith(_PASSING) for drop in answer.report.dropped):
            self.insights.put(hashed, answer)
        return answer

    def anonymize_label(self, business_category: str) -> str:
        """As Anonymizer.anonymize_label."""
        return self._inner.anonymize_label(business_category)

    def _forget(self) -> None:
        self.insights.clear()
        self.texts.clear()
