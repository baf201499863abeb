"""What passes untouched: template placeholders, and the catalog's service names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from keeper_grpc.privacy.text.draft import PASSED, Draft, Span
from keeper_grpc.privacy.text.tokens import keys
from keeper_grpc.privacy.text.vocabulary import Vocabulary

_PLACEHOLDER: Final = re.compile(r"\{\{?\s{0,2}([A-Za-z][A-Za-z0-9_.]{0,39})\s{0,2}\}?\}")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
MAXIMUM_DIGITS: Final = 2
"""`{service_2}` is a placeholder; `{5550134}` is not."""


class Protected:
    """Puts slots in the place of what later layers must not touch.

    A placeholder passes when all its words are known and none is a name: `{favorite_service}` and
    `{firstName}`, not `{jane_doe}`. A service name passes when it has at least two words; a single
    word ("Rose") would hide a person of that name, and is known vocabulary anyway.
    """

    def __init__(self, phrases: Iterable[str], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._phrases: dict[str, list[tuple[str, ...]]] = {}
        for phrase in phrases:
            run = tuple(keys(phrase))
            if len(run) > 1 and run not in self._phrases.get(run[0], ()):
                self._phrases.setdefault(run[0], []).append(run)
        for runs in self._phrases.values():
            runs.sort(key=len, reverse=True)

    def __call__(self, draft: Draft) -> None:
        if "{" in draft.text:
            draft.replace(self._placeholders(draft.text))
        if self._phrases:
            draft.replace(self._services(draft))

    def _placeholders(self, text: str) -> Iterator[Span]:
        for match in _PLACEHOLDER.finditer(text):
            inner = _CAMEL.sub(" ", match[1]).replace("_", " ")
            digits = sum(char.isdigit() for char in inner)
            if digits <= MAXIMUM_DIGITS and all(self._plain(key) for key in keys(inner)):
                yield Span(*match.span(), PASSED, match[0])

    def _plain(self, key: str) -> bool:
        return self._vocabulary.knows(key) and key not in self._vocabulary.given_words

    def _services(self, draft: Draft) -> Iterator[Span]:
        text, found = draft.text, draft.words()
        at = 0
        while at < len(found):
            length = next(
                (
                    len(run)
                    for run in self._phrases.get(found[at].key, ())
                    if tuple(word.key for word in found[at : at + len(run)]) == run
                ),
                0,
            )
            if length:
                start, end = found[at].start, found[at + length - 1].end
                if "\n" not in text[start:end]:
                    yield Span(start, end, PASSED, text[start:end])
            at += length or 1
