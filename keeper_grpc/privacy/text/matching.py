"""Matching in linear time: RE2 expressions that turn into spans of a draft."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import re2  # type: ignore[import-untyped]  # the library ships no types

from keeper_grpc.privacy.text.draft import Draft, Span


class Match(Protocol):
    """What this package needs of an RE2 match; the library ships no types."""

    def span(self, group: int = 0, /) -> tuple[int, int]: ...
    def __getitem__(self, group: int, /) -> str: ...


class Pattern(Protocol):
    """What this package needs of an RE2 expression."""

    def finditer(self, text: str, /) -> Iterator[Match]: ...
    def search(self, text: str, /) -> Match | None: ...


def compiled(pattern: str) -> Pattern:
    """`pattern` in RE2, without regard to case. Groups are Perl's, lookaround does not exist."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 64 << 20  # Unicode classes make large automata; RE2's default is 8 MiB
    expression: Pattern = re2.compile(pattern, options)
    return expression


def _always(_match: Match) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Recognizer:
    """One kind of identifier.

    needs: the text is searched only when it has one of these characters ("0" stands for any digit).
    accept: a second look at a match: checksums, lengths.
    group: the part of the match that is masked.
    name: the kind as a match tells it, where it is not always `kind`.
    coarse: what takes the place of the match; `[kind]` unless given.
    """

    kind: str
    pattern: Pattern
    needs: str
    accept: Callable[[Match], bool] = _always
    group: int = 0
    name: Callable[[Match], str] | None = None
    coarse: Callable[[Match], str] | None = None

    def may_match(self, text: str) -> bool:
        """Whether the text has a character without which there is no match."""
        if self.needs == "0":
            return _DIGIT.search(text) is not None
        return not self.needs or any(char in text for char in self.needs)

    def spans(self, text: str) -> Iterator[Span]:
        for match in self.pattern.finditer(text):
            if self.accept(match):
                start, end = match.span(self.group)
                kind = self.name(match) if self.name else self.kind
                replacement = self.coarse(match) if self.coarse else f"[{kind}]"
                yield Span(start, end, kind, replacement)

    def mask(self, draft: Draft) -> None:
        if self.may_match(draft.text):
            draft.record.check_time()
            draft.replace(self.spans(draft.text))


_DIGIT: Final = re.compile(r"\d")
