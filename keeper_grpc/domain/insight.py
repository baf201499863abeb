"""Insights, raw and anonymized; their outcomes; and the text of an insight that is embedded.

`Insight` holds raw text of an account. `AnonymizedInsight` is the anonymizer's result, and the only form that anything beyond the anonymizer accepts: the embedder, the store, the logs and the
other accounts never see an `Insight`. The two are unrelated types so that mypy keeps them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""A value of `conditions`, as google.protobuf.Struct can carry it."""

RENDERING = "sentence-1"
"""The version of `EmbeddedWords.of`. It is part of every embedding model's id, because
vectors of differently worded texts must never be compared (docs/adr/0003)."""


@dataclass(frozen=True, slots=True)
class Insight:
    """An observation of an account's engine, in the account's own words: not yet safe to store.

    `confidence` is in [0, 1]. `dollar_value` (at stake) and `potential_value` (that acting may
    bring) are in the account's currency. An insight to be captured has an action; one that asks
    to be enhanced may come without action and script.
    """

    insight_id: str
    type: str
    business_category: str
    conditions: Mapping[str, JsonValue]
    action: str
    script: str
    confidence: float
    dollar_value: float = 0.0
    potential_value: float = 0.0
    observed_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Identifying names and numbers in the caller's texts. Used to scrub them, never stored."""

    customer_names: tuple[str, ...] = ()
    customer_emails: tuple[str, ...] = ()
    customer_phones: tuple[str, ...] = ()
    business_names: tuple[str, ...] = ()
    employee_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of acting on an insight. `None` means that it was not measured.

    `revenue_impact` is in the account's currency and may be negative, `cost` is not; `response_rate` is in
    [0, 1]. One that is not `final` stands until another is reported.
    """

    success: bool
    revenue_impact: float | None = None
    customer_retained: bool | None = None
    response_rate: float | None = None
    cost: float | None = None
    complained: bool | None = None
    unsubscribed: bool | None = None
    final: bool = True

    @property
    def net_revenue(self) -> float | None:
        """The revenue less its cost where that is known; None where the revenue was not measured."""
        return None if self.revenue_impact is None else self.revenue_impact - (self.cost or 0.0)


@dataclass(frozen=True, slots=True)
class EmbeddedWords:
    """The words of an insight that are embedded: its sentence, and its action alone."""

    sentence: str
    action: str

    @classmethod
    def of(
        cls,
        insight_type: str,
        business_category: str,
        conditions: Mapping[str, JsonValue],
        action: str,
    ) -> EmbeddedWords:
        """The sentence is `When {conditions}, {action} ({type}, {category}).`

        Without the outcome, so that failures meet their successes; without the script, so that
        wordings of one action meet; conditions in sorted key order, so that equal conditions give
        equal text. An insight without action renders the same sentence less the action.
        """
        situation = ", ".join(
            f"{key.replace('_', ' ')} is {_plain(conditions[key])}" for key in sorted(conditions)
        )
        parts = [part for part in (f"When {situation}" if situation else "", action) if part]
        subject = f"({_words(insight_type)}, {_words(business_category)})."
        return cls(" ".join([", ".join(parts), subject]) if parts else subject, action)


@dataclass(frozen=True, slots=True)
class AnonymizedInsight:
    """An insight that the anonymizer vouches for: safe to embed, log, cache, store and share.

    The business's `insight_id` is gone, `conditions` holds allow-listed keys only, `action` and
    `script` are masked. A text that could not be vouched for is the empty string; the report beside
    it says why.
    """

    type: str
    business_category: str
    conditions: Mapping[str, JsonValue]
    action: str
    script: str
    confidence: float
    dollar_value: float
    potential_value: float

    def in_category(self, business_category: str) -> AnonymizedInsight:
        """The same insight of an account of this category."""
        if business_category == self.business_category:
            return self
        return replace(self, business_category=business_category)

    @property
    def words(self) -> EmbeddedWords:
        """The words of it that are embedded."""
        return EmbeddedWords.of(self.type, self.business_category, self.conditions, self.action)

    def render(self) -> str:
        """The sentence of its embedded words."""
        return self.words.sentence


@dataclass(frozen=True, slots=True)
class DroppedField:
    """One field that was removed whole, and the UPPER_SNAKE reason why. Never its content."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnonymizationReport:
    """What the anonymizer did to one record: counts and reasons, never content.

    `masked` counts replacements by entity kind ("customer_name", "email", "phone", ...).
    """

    masked: Mapping[str, int] = field(default_factory=dict)
    dropped: tuple[DroppedField, ...] = ()


@dataclass(frozen=True, slots=True)
class UnknownWord:
    """A word that nobody knows: its keyed hash, and about how many `letters` it has, for a person to judge by."""

    word_hash: str
    letters: str

    @classmethod
    def of(cls, word: str, word_hash: str) -> UnknownWord:
        """The word itself stays behind."""
        for most in (6, 9):
            if len(word) <= most:
                return cls(word_hash, f"{most - 2}-{most}")
        return cls(word_hash, "10+")


@dataclass(frozen=True, slots=True)
class Anonymized:
    """The anonymizer's answer: the insight that may travel, and the report on what was done.

    `unknown_words` are words that were masked for no other reason than that nobody
    knows them: when k accounts use one, it is masked no longer. Never a word itself.
    """

    insight: AnonymizedInsight
    report: AnonymizationReport
    unknown_words: tuple[UnknownWord, ...] = ()


def _words(snake: str) -> str:
    return snake.replace("_", " ")


def _plain(value: JsonValue) -> str:
    """A condition's value as prose. Nested values keep sorted keys, for the same reason as above."""
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case dict():
            return ", ".join(f"{_words(key)} {_plain(value[key])}" for key in sorted(value))
        case list():
            return ", ".join(_plain(item) for item in value)
        case _:
            return str(value)
