"""In which parts patterns are recounted from the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from keeper_grpc.domain.patterns.pattern import PatternKey

TOGETHER = 100
"""Patterns of one scope that are recounted at once. A statement of many costs little more than one of one; captures of
the scope wait meanwhile, some tenths of a second."""


@dataclass(frozen=True, slots=True)
class Recounted:
    """How many patterns were still there, and how many observations they have."""

    patterns: int
    observations: int


def in_parts(keys: Sequence[PatternKey]) -> Iterator[Sequence[PatternKey]]:
    """Patterns, those of a scope together, as they are recounted at once."""
    for _, same in groupby(keys, key=lambda key: key.scope_id):
        waiting = list(same)
        for start in range(0, len(waiting), TOGETHER):
            yield waiting[start : start + TOGETHER]
