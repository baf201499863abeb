"""The project's own labelled sets: sentences, grids, phrases that must stay, other languages.

Everything in them is invented. Each has a tuning half, by which rules and word lists are changed, and
a held-out half, which is only measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from keeper_grpc.domain.insight import Identifiers

Split: TypeAlias = Literal["tuning", "held_out", "all"]

SETS: Final = Path(__file__).parent
_HALVES: Final = ("tuning", "held_out")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One labelled sentence: its text, what is declared with it, and (kind, start, end) to mask."""

    text: str
    declared: Identifiers = field(default_factory=Identifiers)
    spans: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignText:
    """A text in another language, and the names in it that must not be kept."""

    language: str
    text: str
    names: tuple[str, ...]


def labelled_sentences(split: Split, name: str = "") -> tuple[Sentence, ...]:
    """The labelled sentences of a split, in file order. name: "" for general prose, "front_desk"."""
    prefix = f"{name}_" if name else ""
    return tuple(
        _sentence(json.loads(line))
        for half in halves(split)
        for line in _lines(f"{prefix}{half}.jsonl")
    )


def phrases(split: Split, name: str) -> tuple[str, ...]:
    """What must come back as it went in: "trade", "front_desk_phrases", "place_services"."""
    return tuple(line for half in halves(split) for line in _lines(f"{name}_{half}.txt"))


def foreign_texts() -> tuple[ForeignText, ...]:
    """Texts in languages that the layers do not cover."""
    rows = map(json.loads, _lines("languages.jsonl"))
    return tuple(ForeignText(row["language"], row["text"], tuple(row["names"])) for row in rows)


def grids(split: Split) -> Iterator[tuple[str, Sentence]]:
    """(measure, sentence) for every context with every word, address and disguise of the grids."""
    for half in halves(split):
        grid: dict[str, list[str]] = json.loads((SETS / f"grid_{half}.json").read_text("utf-8"))
        yield from _names(grid)
        for form in grid["placeholders"]:
            for business in grid["businesses"]:
                for spelling in _as_identifiers(business):
                    yield (
                        "declared business as a placeholder",
                        _slotted(form, spelling, "business", business_names=(business,)),
                    )
        for kind, forms in (("address_contexts", "address"), ("listings", "address in a listing")):
            for form in grid[kind]:
                for address in grid["addresses"]:
                    yield f"{forms}, every form", _slotted(form, address, "address")
        for text in grid["disguised"]:
            yield "number or address in disguise", Sentence(text, spans=_disguised(text))


def halves(split: Split) -> tuple[str, ...]:
    """The halves that a split consists of."""
    return _HALVES if split == "all" else (split,)


GIVEN_WORDS: Final = "declared given names that are words"
SURNAME_WORDS: Final = "declared surnames that are words"
UNDECLARED_WORDS: Final = "undeclared given names that are words"


def _names(grid: dict[str, list[str]]) -> Iterator[tuple[str, Sentence]]:
    for form in grid["contexts"]:
        for name in grid["given"]:
            for case, written in (("cased", name), ("lower case", name.lower())):
                yield (
                    f"{GIVEN_WORDS}, {case}",
                    _slotted(form, written, "name", customer_names=(f"{name} Kowalczyk",)),
                )
                yield f"{UNDECLARED_WORDS}, {case}", _slotted(form, written, "name")
        for name in grid["surnames"]:
            for case, written in (("cased", name), ("lower case", name.lower())):
                yield (
                    f"{SURNAME_WORDS}, {case}",
                    _slotted(form, written, "name", employee_names=(f"Delphine {name}",)),
                )


def _as_identifiers(name: str) -> tuple[str, ...]:
    """`gold_room`, `GoldRoom`, `goldroom`: how the name of a business stands in a template."""
    words = [word for word in name.split() if word != "&"]
    return ("_".join(words).lower(), "".join(words), "".join(words).lower())


def _slotted(form: str, value: str, kind: str, **declared: tuple[str, ...]) -> Sentence:
    start = len(form.partition("{0}")[0]) if "{0}" in form else form.index("{}")
    if "{0}" in form:
        before, _, after = form.partition("{0}")
        before, after = (part.replace("{{", "{").replace("}}", "}") for part in (before, after))
        start = len(before)
        text = f"{before}{value}{after}"
    else:
        text = form.replace("{}", value)
    return Sentence(text, Identifiers(**declared), ((kind, start, start + len(value)),))


_CARRIERS: Final = frozenset(
    [
        "call",
        "cell",
        "book",
        "at",
        "mail",
        "tel",
        "text",
        "ssn",
        "dial",
        "my",
        "card",
        "is",
        "me",
        "and",
        "then",
        "area",
        "code",
        "triple",
        "hundred",
        "dot",
        "point",
        "dash",
        "number",
    ]
)
"""Words of a disguise that may stay: what carries a number, or parts it, identifies nothing."""


def _disguised(text: str) -> tuple[tuple[str, int, int], ...]:
    start = 0
    while True:
        word = text[start:].split(" ", 1)[0]
        if word.lower() not in _CARRIERS or " " not in text[start:]:
            return (("number", start, len(text)),)
        start += len(word) + 1


def _lines(name: str) -> Iterator[str]:
    return (line for line in (SETS / name).read_text("utf-8").splitlines() if line)


def _sentence(row: dict[str, Any]) -> Sentence:
    declared: dict[str, list[str]] = row.get("declared", {})
    return Sentence(
        text=row["text"],
        declared=Identifiers(**{kind: tuple(values) for kind, values in declared.items()}),
        spans=tuple((kind, start, end) for kind, start, end in row["spans"]),
    )
