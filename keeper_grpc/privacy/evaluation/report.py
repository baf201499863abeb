"""How well the anonymizer does on the project's own labelled set: recall per kind, over-masking.

The set is in `evaluation/`: sentences of spa, salon and gym prose with the spans that must go, and
phrases of the trade that must stay, each in a tuning half and a held-out half. Rules and word lists
are changed by what the tuning half shows; the held-out half is only measured.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rich.table import Table

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer

Split: TypeAlias = Literal["tuning", "held_out", "all"]

EVALUATION: Final = Path(__file__).parent
_HALVES: Final = ("tuning", "held_out")
_WORD: Final = re.compile(r"[^\W_]+")
_ROLE: Final = re.compile(r"\[[a-z0-9_]+\]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One labelled sentence: its text, what is declared with it, and (kind, start, end) to mask."""

    text: str
    declared: Identifiers
    spans: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class KindRecall:
    """How many labelled spans of a kind are gone entirely: no word of them is left in place."""

    kind: str
    masked: int
    labelled: int

    @property
    def recall(self) -> float:
        return self.masked / self.labelled


@dataclass(frozen=True, slots=True)
class PrivacyReport:
    """The figures of one split.

    dropped: sentences whose text was dropped whole; their spans count as masked.
    touched: trade phrases that did not come back exactly as they went in, of `phrases`.
    left: the sentences in which something was left, for whoever tunes.
    """

    split: Split
    sentences: int
    dropped: int
    kinds: tuple[KindRecall, ...]
    phrases: int
    touched: tuple[str, ...]
    left: tuple[str, ...]


def privacy_report(split: Split) -> PrivacyReport:
    """Measures the default anonymizer on a split of the labelled set."""
    anonymizer = Anonymizer.default()
    masked: Counter[str] = Counter()
    labelled: Counter[str] = Counter()
    left: list[str] = []
    sentences = dropped = 0
    for sentence in labelled_sentences(split):
        result = anonymizer.anonymize(_insight(sentence.text), sentence.declared)
        kept = result.insight.action
        sentences += 1
        dropped += not kept
        for kind, gone in _outcomes(sentence, kept):
            labelled[kind] += 1
            masked[kind] += gone
            if not gone:
                left.append(f"{kind}: {sentence.text}")
    phrases = trade_phrases(split)
    touched = tuple(
        phrase
        for phrase in phrases
        if anonymizer.anonymize(_insight(phrase), Identifiers()).insight.action != phrase
    )
    kinds = tuple(KindRecall(kind, masked[kind], labelled[kind]) for kind in sorted(labelled))
    return PrivacyReport(
        split, sentences, dropped, kinds, len(phrases), touched, tuple(dict.fromkeys(left))
    )


def render(report: PrivacyReport) -> Table:
    """The report as a table: a row a kind, and the trade phrases below."""
    table = Table(
        title=f"Anonymization, {report.split.replace('_', '-')} split: "
        f"{report.sentences} sentences, {report.dropped} dropped whole"
    )
    table.add_column("entity")
    table.add_column("labelled", justify="right")
    table.add_column("masked", justify="right")
    table.add_column("recall", justify="right")
    for kind in report.kinds:
        table.add_row(kind.kind, str(kind.labelled), str(kind.masked), f"{kind.recall:.1%}")
    table.add_section()
    share = len(report.touched) / report.phrases if report.phrases else 0.0
    table.add_row(
        "trade phrases touched", str(report.phrases), str(len(report.touched)), f"{share:.1%}"
    )
    return table


def figures(report: PrivacyReport) -> dict[str, object]:
    """The report for a program: counts only, so that the held-out half stays unread."""
    return {
        "split": report.split.replace("_", "-"),
        "sentences": report.sentences,
        "dropped": report.dropped,
        "kinds": {
            kind.kind: {
                "labelled": kind.labelled,
                "masked": kind.masked,
                "recall": round(kind.recall, 4),
            }
            for kind in report.kinds
        },
        "phrases": report.phrases,
        "phrases_touched": len(report.touched),
    }


def labelled_sentences(split: Split) -> tuple[Sentence, ...]:
    """The labelled sentences of a split, in file order."""
    return tuple(
        _sentence(json.loads(line)) for half in _halves(split) for line in _lines(f"{half}.jsonl")
    )


def trade_phrases(split: Split) -> tuple[str, ...]:
    """The trade phrases of a split, in file order."""
    return tuple(phrase for half in _halves(split) for phrase in _lines(f"trade_{half}.txt"))


def _halves(split: Split) -> tuple[str, ...]:
    return _HALVES if split == "all" else (split,)


def _lines(name: str) -> Iterator[str]:
    return (line for line in (EVALUATION / name).read_text("utf-8").splitlines() if line)


def _sentence(row: dict[str, object]) -> Sentence:
    declared = row.get("declared", {})
    spans = row["spans"]
    assert isinstance(declared, dict)  # noqa: S101  # our own file
    assert isinstance(spans, list)  # noqa: S101  # our own file
    return Sentence(
        text=str(row["text"]),
        declared=Identifiers(**{field: tuple(values) for field, values in declared.items()}),
        spans=tuple((kind, start, end) for kind, start, end in spans),
    )


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
    """Folded words and numbers; a single letter says too little to count as left."""
    return [word.casefold() for word in _WORD.findall(text) if len(word) > 1]
