"""What passes untouched: template placeholders, the catalog's service names, phrases of the trade."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.draft import PASSED, Draft, Span
from keeper_grpc.privacy.text.phrases import Phrases
from keeper_grpc.privacy.text.tokens import Word, keys
from keeper_grpc.privacy.text.vocabulary import Vocabulary
from keeper_grpc.privacy.text.word_lists import listed

PLACEHOLDER: Final = re.compile(r"\{\{?\s{0,2}([A-Za-z][A-Za-z0-9_.]{0,39})\s{0,2}\}?\}")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
MAXIMUM_DIGITS: Final = 2
"""`{service_2}` is a placeholder; `{5550134}` is not."""
FARTHEST_TREATMENT: Final = 3
"""Words between a place and the treatment that is named for it: `Dead Sea mineral salt scrub`."""


class Protected:
    """Lets pass what later layers must not touch.

    A placeholder passes when all its words are known and none is a name: `{favorite_service}` and
    `{firstName}`, not `{jane_doe}`. A service name of the catalog passes when it has at least two
    words. Both become slots. The words of known phrases, and places in the names of treatments, are
    settled instead: they stay neighbours by which others are read.
    """

    def __init__(self, catalog: Phrases, vocabulary: Vocabulary) -> None:
        self._catalog = catalog
        self._vocabulary = vocabulary
        self._known = vocabulary.phrases

    def __call__(self, draft: Draft) -> None:
        if "{" in draft.text:
            draft.replace(self._placeholders(draft.text))
        if self._catalog:
            draft.replace(self._services(draft))
        settle(draft, self._known, self._vocabulary)

    def _placeholders(self, text: str) -> Iterator[Span]:
        for match in PLACEHOLDER.finditer(text):
            inner = _CAMEL.sub(" ", match[1]).replace("_", " ")
            digits = sum(char.isdigit() for char in inner)
            if digits <= MAXIMUM_DIGITS and all(self._plain(key) for key in keys(inner)):
                yield Span(*match.span(), PASSED, match[0])

    def _plain(self, key: str) -> bool:
        return self._vocabulary.knows(key) and key not in self._vocabulary.given_words

    def _services(self, draft: Draft) -> Iterator[Span]:
        found = draft.words()
        for first, end in self._catalog.find(draft):
            start, stop = found[first].start, found[end - 1].end
            yield Span(start, stop, PASSED, draft.text[start:stop])


def settle(draft: Draft, phrases: Phrases, vocabulary: Vocabulary) -> None:
    """Marks the words of known phrases, and places before a treatment, as no names."""
    found = draft.words()
    for first, end in phrases.find(draft):
        if found[end - 1].clitic != "'s":  # `at dawn`, but not `at Dawn's`
            for word in found[first:end]:
                word.settled = True
    if not vocabulary.places.isdisjoint(draft.keys()):
        for at, word in enumerate(found):
            place = word.key in vocabulary.places and not word.settled
            if place and _names_treatment(draft, found, at, vocabulary):
                _settle_ingredients(found, at, vocabulary)


def _settle_ingredients(found: list[Word], at: int, vocabulary: Vocabulary) -> None:
    """The place, and what stands between it and the treatment: `moss` in `Icelandic moss wrap`.

    A capital or a given name between them may be a person's.
    """
    found[at].settled = True
    for word in found[at + 1 : at + 1 + FARTHEST_TREATMENT]:
        key = word.key
        if key in cues.TREATMENTS or key in _STYLES or word.settled:
            return
        if word.capitalized or key in vocabulary.given_words or not vocabulary.knows(key):
            return
        word.settled = True


def _names_treatment(draft: Draft, found: list[Word], at: int, vocabulary: Vocabulary) -> bool:
    """`London lash set`, `Bora Bora coconut wrap`: not `London's facial` and not `text London`."""
    word = found[at]
    if word.clitic or (at and found[at - 1].key in _PERSON_BEFORE):
        return False
    for near in range(at + 1, min(at + 2 + FARTHEST_TREATMENT, len(found))):
        gap = draft.text[found[near - 1].end : found[near].start]
        if gap not in {" ", "-", " & "} or found[near - 1].clitic:
            return False
        key = found[near].key
        if key in cues.TREATMENTS or key in _STYLES or found[near].settled:
            # `sydney facial at 3`: who, what and when.
            person = vocabulary.is_name(word.key) or word.key in vocabulary.given_words
            return not (person and _AT_A_TIME.match(draft.text, found[near].end))
        if key in _JOURNEYS:
            return not vocabulary.is_name(word.key)
        if found[near].key in cues.AFTER_NAME or found[near].key in cues.FUNCTION_WORDS:
            return False
    return False


_AT_A_TIME: Final = re.compile(
    r"(?:\s[a-z]{1,12})?\s{1,2}(?:(?:at|@)\s?(?:\d{1,2}\b|noon\b)|\d{1,2}(?::\d\d|\s?[ap]\.?m\b))",
    re.IGNORECASE,
)
"""Behind a treatment, with one word of it between: a time of day makes a booking of both."""

_STYLES: Final = frozenset(
    listed(
        "bob bobs cut cuts fade fades curl curls perm perms braid braids twist twists wave waves bangs "
        "layers shag lob updo updos glow lulur boreh hilot hammam compress soap henna mehndi sauna "
        "sugaring threading cupping makeup lashing tinting cornrows locs "
        "squat squats deadlift deadlifts stretch stretches swings lifting "
        "acupuncture reflexology exfoliation keratin lift lifts pack packs tissue extensions knots hair "
        "polishing plaster mud clay plunge bowl bowls oil beard shave"
    )
)
_JOURNEYS: Final = frozenset(
    listed(
        "package packages special specials getaway escape journey retreat experience night nights "
        "class classes workshop clinic dance yoga session sessions spa beer"
    )
)
"""What a place is put before that a person is put before as well: `the London package`."""
_PERSON_BEFORE: Final = cues.TITLES | frozenset({"text", "call", "tell", "pm", "am", "per"})
