"""How well the anonymizer does on the project's own labelled sets: recall per kind, over-masking.

Each figure is a share with its 95% interval and, where there is one, the goal. Of the held-out half
counts alone leave this module through `figures`, so that it stays unread.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.table import Table

from keeper_grpc.domain.insight import Insight
from keeper_grpc.domain.metrics.uplift import Arm
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.privacy.evaluation.labelled import (
    GIVEN_WORDS,
    SURNAME_WORDS,
    ForeignText,
    Sentence,
    Split,
    foreign_texts,
    grids,
    labelled_sentences,
    phrases,
)

_WORD: Final = re.compile(r"[^\W_]+")
_ROLE: Final = re.compile(r"\[[a-z0-9_]+\]")

FRONT_DESK_NAMES: Final = "undeclared names, front desk"
FRONT_DESK_WORDS: Final = "of these, names that are words"

GOALS: Final[dict[str, float]] = {
    "declared": 1.0,
    f"{GIVEN_WORDS}, cased": 1.0,
    f"{GIVEN_WORDS}, lower case": 1.0,
    f"{SURNAME_WORDS}, cased": 1.0,
    f"{SURNAME_WORDS}, lower case": 1.0,
    "declared business as a placeholder": 1.0,
    "person": 0.99,
    FRONT_DESK_NAMES: 0.99,
    FRONT_DESK_WORDS: 0.97,
    "address": 0.95,
    "address, every form": 0.95,
    "address in a listing, every form": 0.95,
    "number or address in disguise": 0.99,
    "trade phrases touched": 0.05,
    "front-desk phrases touched": 0.05,
    "service names with a place touched": 0.0,
}
"""The share that is aimed at; of what is touched, the largest one."""

_PHRASES: Final = (
    ("trade phrases touched", "trade"),
    ("front-desk phrases touched", "front_desk_phrases"),
    ("service names with a place touched", "place_services"),
)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: how many of the cases. A span is masked when no word of it is left in place."""

    name: str
    count: int
    cases: int

    @property
    def share(self) -> float:
        """Count / cases."""
        return Arm(self.cases, self.count).rate

    @property
    def interval(self) -> tuple[float, float]:
        """The share's 95% interval (Wilson)."""
        return Arm(self.cases, self.count).interval()


@dataclass(frozen=True, slots=True)
class LanguageMeasure:
    """What became of the texts of one language that the layers do not cover.

    dropped: whole. masked: kept in part, and no name is left. leaked: a name is left.
    """

    language: str
    texts: int
    dropped: int
    masked: int
    leaked: int


@dataclass(frozen=True, slots=True)
class PrivacyReport:
    """The figures of one split.

    sentences, dropped: labelled sentences, and those dropped whole; their spans count as masked.
    masked: of what must go, how much went. touched: of what must stay, how much did not.
    languages: measured whole, whatever the split.
    left: cases in which something was left, or a phrase was touched, for whoever tunes.
    """

    split: Split
    sentences: int
    dropped: int
    masked: tuple[Measure, ...]
    touched: tuple[Measure, ...]
    languages: tuple[LanguageMeasure, ...]
    left: tuple[str, ...]


def privacy_report(split: Split) -> PrivacyReport:
    """Measures the default anonymizer on a split of the labelled sets."""
    anonymizer = Anonymizer.default()
    tally = _Tally(anonymizer)
    for sentence in labelled_sentences(split):
        tally.add(sentence)
    for sentence in labelled_sentences(split, "front_desk"):
        tally.add(sentence, {"person": FRONT_DESK_NAMES, "word_name": FRONT_DESK_WORDS})
    sentences, dropped = tally.sentences, tally.dropped
    for measure, sentence in grids(split):
        tally.add(sentence, dict.fromkeys((kind for kind, _, _ in sentence.spans), measure))
    # A name that is a word is a name.
    tally.masked[FRONT_DESK_NAMES] += tally.masked[FRONT_DESK_WORDS]
    tally.cases[FRONT_DESK_NAMES] += tally.cases[FRONT_DESK_WORDS]
    masked = tuple(Measure(n, tally.masked[n], tally.cases[n]) for n in _ordered(tally.cases))
    touched = []
    for name, which in _PHRASES:
        chosen = phrases(split, which)
        changed = [phrase for phrase in chosen if tally.kept(Sentence(phrase)) != phrase]
        tally.left += [f"{name}: {phrase}" for phrase in changed]
        touched.append(Measure(name, len(changed), len(chosen)))
    return PrivacyReport(
        split,
        sentences,
        dropped,
        masked,
        tuple(touched),
        tuple(_languages(tally, foreign_texts())),
        tuple(dict.fromkeys(tally.left)),
    )


class _Tally:
    """Counts per measure what was masked of what is labelled."""

    def __init__(self, anonymizer: Anonymizer) -> None:
        self._anonymizer = anonymizer
        self.masked: Counter[str] = Counter()
        self.cases: Counter[str] = Counter()
        self.left: list[str] = []
        self.sentences = self.dropped = 0

    def kept(self, sentence: Sentence) -> str:
        """What the anonymizer keeps of the sentence as an action."""
        result = self._anonymizer.anonymize(_insight(sentence.text), sentence.declared)
        return result.insight.action

    def add(self, sentence: Sentence, measures: dict[str, str] | None = None) -> None:
        """Counts each span under its measure, which is its kind unless `measures` renames it."""
        kept = self.kept(sentence)
        self.sentences += 1
        self.dropped += not kept
        for kind, gone in _outcomes(sentence, kept):
            name = (measures or {}).get(kind, kind)
            self.cases[name] += 1
            self.masked[name] += gone
            if not gone:
                self.left.append(f"{name}: {sentence.text} -> {kept}")


def _languages(tally: _Tally, texts: Iterable[ForeignText]) -> Iterator[LanguageMeasure]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        kept = tally.kept(Sentence(text.text))
        words = {word.casefold() for word in _WORD.findall(_ROLE.sub(" ", kept))}
        leaked = any(name.casefold() in words for name in text.names)
        became = "dropped" if not kept else "leaked" if leaked else "masked"
        counts[text.language][became] += 1
        if leaked:
            tally.left.append(f"{text.language}: {text.text} -> {kept}")
    for language, count in counts.items():
        yield LanguageMeasure(
            language, count.total(), count["dropped"], count["masked"], count["leaked"]
        )


def _ordered(names: Iterable[str]) -> list[str]:
    """Measures with a goal in the goals' order, then the others by name."""
    found = set(names)
    return [name for name in GOALS if name in found] + sorted(found - set(GOALS))


def render(report: PrivacyReport) -> Table:
    """The report as a table: what must go, what must stay, and other languages."""
    table = Table(
        title=f"Anonymization, {report.split.replace('_', '-')} split: "
        f"{report.sentences} sentences, {report.dropped} dropped whole"
    )
    table.add_column("measured")
    for column in ("cases", "count", "share", "95% interval", "goal"):
        table.add_column(column, justify="right")
    for measures in (report.masked, report.touched):
        for measure in measures:
            low, high = measure.interval
            goal = GOALS.get(measure.name)
            table.add_row(
                measure.name,
                str(measure.cases),
                str(measure.count),
                f"{measure.share:.1%}",
                f"{low:.1%} to {high:.1%}",
                "" if goal is None else f"{goal:.0%}",
            )
        table.add_section()
    for language in report.languages:
        table.add_row(
            f"language {language.language}: dropped, masked, leaked",
            str(language.texts),
            f"{language.dropped}, {language.masked}, {language.leaked}",
        )
    return table


def figures(report: PrivacyReport) -> dict[str, object]:
    """The report for a program: counts only."""

    def row(measure: Measure) -> dict[str, object]:
        low, high = measure.interval
        return {
            "cases": measure.cases,
            "count": measure.count,
            "share": round(measure.share, 4),
            "interval": [round(low, 4), round(high, 4)],
            "goal": GOALS.get(measure.name),
        }

    return {
        "split": report.split.replace("_", "-"),
        "sentences": report.sentences,
        "dropped": report.dropped,
        "masked": {measure.name: row(measure) for measure in report.masked},
        "touched": {measure.name: row(measure) for measure in report.touched},
        "languages": {
            language.language: {
                "texts": language.texts,
                "dropped": language.dropped,
                "masked": language.masked,
                "leaked": language.leaked,
            }
            for language in report.languages
        },
    }


def _insight(text: str) -> Insight:
    return Insight(
        insight_id="",
        type="labelled_set",
        business_category="spa",
        conditions={},
        action=text,
        script="",
        confidence=1.0,
    )


def _outcomes(sentence: Sentence, kept: str) -> Iterator[tuple[str, bool]]:
    """(kind, gone) of each span: gone when none of its words occurs more often than outside spans."""
    outside = list(sentence.text)
    for _, start, end in sentence.spans:
        outside[start:end] = " " * (end - start)
    allowed = Counter(_words("".join(outside)))
    left = Counter(_words(_ROLE.sub(" ", kept)))
    for kind, start, end in sentence.spans:
        words = _words(sentence.text[start:end])
        yield kind, all(left[word] <= allowed[word] for word in words)


def _words(text: str) -> list[str]:
    """Folded words and numbers; a single letter or digit says too little to count as left."""
    return [word.casefold() for word in _WORD.findall(text) if len(word) > 1]
