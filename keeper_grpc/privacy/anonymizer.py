"""The anonymizer: the layers in order, and what happens when one of them cannot vouch for a text.

    conditions   structured -> every text of it through the layers below
    a text       normalized -> declared -> protected -> recognizers -> slips -> coverage -> establishments ->
                 names -> health -> unknown words -> rests -> the recognizers once more over the result

Fail closed: a layer that raises, has lost its data or runs out of time, a text over the cap or in a
language that is not covered, a result in which something is still recognized: the text is dropped,
and the report says which and why. Never its content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from keeper_grpc.domain.insight import (
    AnonymizationReport,
    Anonymized,
    AnonymizedInsight,
    DroppedField,
    Identifiers,
    Insight,
    JsonValue,
    UnknownWord,
)
from keeper_grpc.domain.patterns.screen import objection_to_action
from keeper_grpc.privacy.conditions import bands
from keeper_grpc.privacy.layers.declared.scrubber import DeclaredScrubber, scrub_declared
from keeper_grpc.privacy.layers.establishments import Establishments
from keeper_grpc.privacy.layers.health import Health, HealthDetail
from keeper_grpc.privacy.layers.names import Names
from keeper_grpc.privacy.layers.protected import Protected
from keeper_grpc.privacy.layers.recognizers import Recognizers, recognized
from keeper_grpc.privacy.layers.rests import mask_rests
from keeper_grpc.privacy.layers.slips import Slips
from keeper_grpc.privacy.layers.structured import Structured
from keeper_grpc.privacy.layers.unknown_words import Coverage, LanguageNotCovered, UnknownWords
from keeper_grpc.privacy.memory import MaskedText, Memory
from keeper_grpc.privacy.text.draft import (
    Draft,
    Layer,
    OutOfTime,
    Record,
    TooManySpans,
    has_words_left,
    normalize,
)
from keeper_grpc.privacy.text.phrases import Phrases
from keeper_grpc.privacy.text.tokens import keys
from keeper_grpc.privacy.text.vocabulary import ApprovedWords, Vocabulary, default_vocabulary
from keeper_grpc.privacy.text.word_lists import WordListLost

MAXIMUM_TEXT: Final = 8_192
"""Characters of one text. Scripts have a few hundred; the worst text of this size costs 60 ms."""
MAXIMUM_VALUE: Final = 512
"""Characters of one text in `conditions`: a label, not a letter."""
TIME_BUDGET: Final = 0.25
"""CPU seconds for one insight: a hundred times what an ordinary one takes."""
REMEMBERED_LABELS: Final = 1_024
"""Types and categories found plausible. There are dozens; a flood of others is not remembered."""
UNPLAUSIBLE: Final = "other"
"""What a type or category becomes that may hold a name."""
MOST_UNKNOWN: Final = 50
"""Hashes of unknown words that one insight hands out; a text with more of them is no prose."""
SHORTEST_UNKNOWN: Final = 4
"""Letters of a word that accounts can approve: shorter ones are initials and abbreviations of names
as often as words."""


class IdentifierLeft(Exception):
    """Something is still recognized in what the layers made."""


REFUSALS: Final[Mapping[type[Exception], str]] = {
    OutOfTime: "TIME_BUDGET_EXCEEDED",
    TooManySpans: "TOO_MANY_IDENTIFIERS",
    LanguageNotCovered: "LANGUAGE_NOT_COVERED",
    HealthDetail: "HEALTH_DETAIL",
    IdentifierLeft: "IDENTIFIER_LEFT",
}
"""What a layer raises to refuse a text, and the reason in the report. Anything else is a failure."""

Recheck = Callable[[str], str | None]
HashWord = Callable[[str], str]


class Anonymizer:
    """Makes what may be kept of what an account noticed.

    vocabulary: what words are known; None when its files are lost, which drops every text.
    protected_phrases: service names of the catalog; they pass untouched.
    shared_keys: condition keys that may be shared beside the built-in ones.
    max_text: characters of one text beyond which it is dropped.
    time_budget: CPU seconds for one insight.
    hash_word: makes the keyed hash of a folded word; None hands out no unknown words.

    `layers` are the text layers by name, in order; tests replace one to see it fail. `texts`, where there is one,
    remembers what they made of a text without what was declared in it; whoever gives one empties it when words are
    approved or are no more.
    """

    def __init__(
        self,
        *,
        vocabulary: Vocabulary | None,
        protected_phrases: Iterable[str] = (),
        shared_keys: Iterable[str] = (),
        max_text: int = MAXIMUM_TEXT,
        time_budget: float = TIME_BUDGET,
        hash_word: HashWord | None = None,
    ) -> None:
        self.catalog = Phrases(protected_phrases)
        self._max_text = max_text
        self._time_budget = time_budget
        self._hash_word = hash_word
        self.structured = Structured(shared_keys)
        self.recheck: Recheck = recognized
        self.vocabulary = vocabulary
        self.plausible_labels: set[str] = set()
        self.texts: Memory[MaskedText] | None = None
        self.layers: dict[str, Layer] = {}
        if vocabulary is not None:
            self.layers = {
                "declared": scrub_declared,
                "protected": Protected(self.catalog, vocabulary),
                "recognizers": Recognizers(),
                "slips": Slips(vocabulary),
                "coverage": Coverage(vocabulary),
                "establishments": Establishments(vocabulary),
                "names": Names(vocabulary),
                "health": Health(vocabulary),
                "unknown_words": UnknownWords(vocabulary),
                "rests": mask_rests,
            }

    @classmethod
    def default(
        cls,
        protected_phrases: Iterable[str] = (),
        *,
        shared_keys: Iterable[str] = (),
        approved: ApprovedWords | None = None,
        hash_word: HashWord | None = None,
    ) -> Anonymizer:
        """The anonymizer over this package's word lists. When they are lost, every text is dropped."""
        try:
            vocabulary: Vocabulary | None = default_vocabulary()
        except WordListLost:
            vocabulary = None
        if vocabulary is not None and approved is not None:
            vocabulary = vocabulary.with_approved(approved)
        return cls(
            vocabulary=vocabulary,
            protected_phrases=protected_phrases,
            shared_keys=shared_keys,
            hash_word=hash_word,
        )

    def anonymize(self, insight: Insight, identifiers: Identifiers) -> Anonymized:
        """What may travel of `insight`, and the report. Never raises for content."""
        return _Run(self, insight.conditions, identifiers).result(insight)

    def anonymize_label(self, business_category: str) -> str:
        """The category itself when it is plausible, else `other`: for a call without an insight."""
        return _Run(self, {}, Identifiers()).label("business_category", business_category)

    def unknown_words(self, words: Iterable[str]) -> tuple[UnknownWord, ...]:
        """These folded words by keyed hash, as many as one insight may hand out."""
        hashed = self._hash_word
        if hashed is None:
            return ()
        chosen = sorted(word for word in words if len(word) >= SHORTEST_UNKNOWN)
        return tuple(UnknownWord.of(word, hashed(word)) for word in chosen[:MOST_UNKNOWN])

    def has_words(self, text: str) -> bool:
        """Whether this package's lists have every word of `text`; approved words do not count."""
        return self.vocabulary is not None and self.vocabulary.known.issuperset(keys(text))

    def has_trade_words(self, text: str) -> bool:
        """Whether every word of `text` is one of the trade's."""
        return self.vocabulary is not None and self.vocabulary.trade.issuperset(keys(text))

    @property
    def limits(self) -> tuple[int, float]:
        """The cap on a text (characters) and on an insight (CPU seconds)."""
        return self._max_text, self._time_budget


class _Run:
    """One insight on its way through the layers of an anonymizer."""

    def __init__(
        self, parts: Anonymizer, conditions: Mapping[str, JsonValue], identifiers: Identifiers
    ) -> None:
        self._parts = parts
        self._max_text, budget = parts.limits
        self._record = Record(budget)
        self._dropped: list[DroppedField] = []
        self._refused = ""
        """Why no text of this insight can be vouched for; empty when they can."""
        self._declared: DeclaredScrubber | None = None
        if parts.vocabulary is None:
            self._refused = "WORD_LISTS_LOST"
            return
        try:
            harvest = parts.structured.harvest(conditions, identifiers)
        except Exception:  # noqa: BLE001  # fail closed, whatever it is
            self._refused = "STRUCTURED_LAYER_FAILED"
            return
        if not harvest.complete:
            self._refused = "TOO_MANY_VALUES"
            return
        if harvest.high_value:
            self._record.customer_role = "high_value_customer"
        try:
            self._declared = DeclaredScrubber(
                harvest.identifiers, parts.vocabulary, self._record, parts.catalog
            )
            self._record.scrub = self._declared
        except Exception:  # noqa: BLE001  # fail closed, whatever it is
            self._refused = "DECLARED_LAYER_FAILED"

    def result(self, insight: Insight) -> Anonymized:
        safe = AnonymizedInsight(
            type=self.label("type", insight.type),
            business_category=self.label("business_category", insight.business_category),
            action=self._text("action", insight.action) or "",
            script=self._text("script", insight.script) or "",
            conditions=self._conditions(insight.conditions),
            confidence=insight.confidence,
            dollar_value=bands.two_digits(insight.dollar_value),
            potential_value=bands.two_digits(insight.potential_value),
        )
        report = AnonymizationReport(dict(self._record.masked), tuple(self._dropped))
        return Anonymized(safe, report, self._parts.unknown_words(self._record.unknown))

    def _conditions(self, conditions: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        try:
            shared, dropped = self._parts.structured.share(conditions, self._value)
        except Exception:  # noqa: BLE001  # fail closed, whatever it is
            self._drop("conditions", "STRUCTURED_LAYER_FAILED")
            return {}
        self._dropped += dropped
        return shared

    def _value(self, field: str, value: str) -> str | None:
        """A text of the conditions: a label that is masked like any text, or nothing."""
        if len(value) > MAXIMUM_VALUE:
            self._drop(field, "TEXT_TOO_LONG")
            return None
        return self._text(field, value)

    def label(self, field: str, label: str) -> str:
        """A type or category, which is lower_snake: it stays whole or becomes `other`.

        It is shown as it is, so it passes the screen of what is shown. The words of this package alone decide. Approval by k accounts begins and ends, and a category
        that changed with it would lock out every account that is registered in it.
        """
        parts, prose = self._parts, _prose(label)
        if not label:
            return label
        harmful = objection_to_action(prose) is not None
        # What an account is stays so, whoever its customers are: a barber may have a Mr Barber for one.
        if not harmful and field == "business_category" and parts.has_trade_words(prose):
            declared = self._declared is not None and self._declared.names_business(prose)
            if not declared:
                return label
        else:
            declared = self._declared is not None and self._declared.touches(prose)
        if harmful or declared or not (self._refused or parts.has_words(prose)):
            self._drop(field, "NOT_PLAUSIBLE")
            return UNPLAUSIBLE
        if not self._refused and label in parts.plausible_labels:
            return label
        kept = self._text(field, prose)
        if kept == prose:
            if len(parts.plausible_labels) < REMEMBERED_LABELS:
                parts.plausible_labels.add(label)
            return label
        if kept is not None:
            self._drop(field, "NOT_PLAUSIBLE")
        return UNPLAUSIBLE

    def _text(self, field: str, text: str) -> str | None:
        """The masked text, or None when it was dropped (which is then in the report)."""
        if not text:
            return text
        reason = self._refused or ("TEXT_TOO_LONG" if len(text) > self._max_text else "")
        if not reason:
            kept, reason = self._kept(Draft(normalize(text), self._record))
            if not reason:
                return kept
        self._drop(field, reason)
        return None

    def _kept(self, draft: Draft) -> tuple[str, str]:
        """What may be kept of the draft, or the reason why nothing may.

        What the layers make of a text once what is declared has been taken out does not depend on what that was,
        nor on the other texts, unless they find a person, who gets a number, or a word to be counted.
        """
        record, memory = self._record, self._parts.texts
        declared, *others = self._parts.layers.items()
        reason = self._mask(draft, [declared])
        if reason:
            return "", reason
        outline = memory.hashed(draft.outline()) if memory is not None else b""
        known = memory.get(outline) if memory is not None else None
        if known is not None:
            record.masked.update(known.masked)
            return known.kept, ""
        before, roles = dict(record.masked), record.roles
        reason = self._mask(draft, [*others, ("recheck", self._recheck)])
        if reason:
            return "", reason
        kept = draft.finish()
        if not has_words_left(kept):
            return "", "NOTHING_LEFT"
        record.unknown |= draft.unknown
        if memory is not None and record.roles == roles and not draft.unknown:
            masked = {
                kind: number - before.get(kind, 0)
                for kind, number in record.masked.items()
                if number != before.get(kind, 0)
            }
            memory.put(outline, MaskedText(kept, masked))
        return kept, ""

    def _mask(self, draft: Draft, layers: Sequence[tuple[str, Layer]]) -> str:
        """Runs some layers over the draft. The reason why it must be dropped, or "" when it is safe."""
        if len(draft.text) > self._max_text:
            return "TEXT_TOO_LONG"  # normalizing lengthens some characters
        running = ""
        try:
            for name, mask in layers:
                running = name
                self._record.check_time()
                mask(draft)
            self._record.check_time()
        except tuple(REFUSALS) as refusal:
            return REFUSALS[type(refusal)]
        except Exception:  # noqa: BLE001  # fail closed, whatever it is
            return f"{running.upper()}_LAYER_FAILED"
        return ""

    def _recheck(self, draft: Draft) -> None:
        # Over the slots, so that the number of a role is no digit of a telephone number.
        if self._parts.recheck(draft.text) is not None:
            raise IdentifierLeft

    def _drop(self, field: str, reason: str) -> None:
        self._dropped.append(DroppedField(field, reason))


def _prose(label: str) -> str:
    return label.replace("_", " ")
