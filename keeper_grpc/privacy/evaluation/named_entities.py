"""Layer 6, optional and off by default: a named-entity model as a second opinion.

It costs ten times what all other layers cost together, so it is not for requests: an operator's job
runs it over texts that are already masked (`names_left`), and whatever it finds is a gap in the word
lists. Its packages are an extra of the operator's choice; nothing here is imported without it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

FindPeople: TypeAlias = Callable[[str], Iterable[tuple[int, int]]]
"""A text -> [start, end) of every person's name in it."""

SUSPECT_SHARE: Final = 0.5
"""Of a hit, this much must be outside of roles: `[person] Gold` is a role and a tier."""


def spacy_people(model: str) -> FindPeople:
    """People as a spaCy model sees them. Raises ImportError without spaCy, OSError without a model."""
    pipeline = importlib.import_module("spacy").load(model)

    def find(text: str) -> Iterator[tuple[int, int]]:
        for entity in pipeline(text).ents:
            if entity.label_ == "PERSON":
                yield entity.start_char, entity.end_char

    return find


def names_left(text: str, find: FindPeople) -> list[tuple[int, int]]:
    """Where a model sees people in a masked text, without the roles that stand for them."""
    return [
        (start, end)
        for start, end in find(text)
        if _outside_roles(text, start, end) >= (end - start) * SUSPECT_SHARE
    ]


def _outside_roles(text: str, start: int, end: int) -> int:
    """How many characters of [start, end) are outside of square brackets."""
    depth = text.count("[", 0, start) - text.count("]", 0, start)
    outside = 0
    for char in text[start:end]:
        depth += char == "["
        outside += depth == 0
        depth -= char == "]"
    return outside
