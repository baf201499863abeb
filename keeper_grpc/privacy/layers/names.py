"""Layer 4: names that nobody declared.

A word that is a name and nothing else is masked wherever it stands, and so is an unknown word (the
next layer's rule), so what is left to decide is the name that is a word: Rose, Will, Grace, and the
surname that is one: Young, Price, Stone. Their neighbours decide: what people do, what is done to
people, titles, other names, things of the trade, and the capital letter where a capital says
something.
"""

from __future__ import annotations

import bisect
import operator
import re
from collections.abc import Iterator
from typing import Final

from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.draft import PERSON_KINDS, Draft, Record, Shape, Span, slots_in
from keeper_grpc.privacy.text.frames import frames_nickname
from keeper_grpc.privacy.text.name_scores import (
    BESIDE_A_NAME_FROM,
    NAME_FROM,
    SURNAME_FROM,
    given_score,
    surname_score,
)
from keeper_grpc.privacy.text.reading import Reading
from keeper_grpc.privacy.text.tokens import Word
from keeper_grpc.privacy.text.vocabulary import Vocabulary
from keeper_grpc.privacy.text.word_lists import listed

_GAP_OF_ONE_NAME: Final = re.compile(r"(?:\s|-|\.|,\s|\u2019|'){0,3}")
"""What may stand between two parts of one name."""


class Names:
    """Masks names that nobody declared as `[person]`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def __call__(self, draft: Draft) -> None:
        reading = Reading.of(draft, self._vocabulary)
        marked = self._mark(reading, draft.record)
        if marked:
            draft.replace(_spans(reading, marked, draft.record))

    def _mark(self, reading: Reading, record: Record) -> set[int]:
        vocabulary = self._vocabulary
        marked: set[int] = set()
        for at, word in enumerate(reading.words):
            if at % 256 == 0:
                record.check_time()
            key = word.key
            if word.capitalized and not word.settled and frames_nickname(reading, at):
                marked.add(at)
                continue
            # Most words are known and nobody's name.
            if key in vocabulary.known and key not in vocabulary.given_words:
                names = (
                    vocabulary.surname_words
                    if word.text[0].isupper()
                    else vocabulary.frequent_surnames
                )
                if key not in names:
                    continue
            if self._is_name(reading, at, word):
                marked.add(at)
        self._extend(reading, marked, record)
        return marked

    def _is_name(self, reading: Reading, at: int, word: Word) -> bool:
        """Whether the word by itself, where it stands, is a name."""
        key = word.key
        if word.settled:
            return False
        if not self._vocabulary.knows(key):
            return self._vocabulary.is_name(key) or (word.capitalized and len(key) > 1)
        if key in self._vocabulary.given_words:
            return given_score(reading, at) >= NAME_FROM
        return self._is_surname(reading, at, word)

    def _is_surname(self, reading: Reading, at: int, word: Word) -> bool:
        """Whether a known word that is no given name stands as a surname."""
        key = word.key
        surnames = (
            self._vocabulary.surname_words
            if word.capitalized
            else self._vocabulary.frequent_surnames
        )
        if key not in surnames or key in _NO_SURNAMES or key == cues.ADDRESSED:
            return False
        if key in cues.CLAUSE_OPENERS and reading.after(at) not in cues.HUMAN and reading.opens(at):
            return False
        return surname_score(reading, at) >= SURNAME_FROM

    def _extend(self, reading: Reading, marked: set[int], record: Record) -> None:
        """Surnames after given names, given names before surnames, initials, names after titles."""
        near = _near_names(reading, marked, record)
        for at in range(len(reading.words)) if near else ():
            if at in near:
                found = self._with_those_before(reading, at, marked, record) - marked
                if found:
                    marked |= found
                    near |= {place + step for place in found for step in (1, 2)}
        behind = sorted(marked)
        while behind:
            at = behind.pop() - 1
            if at >= 0 and at not in marked and self._leads(reading, at):
                marked.add(at)
                behind.append(at)

    def _leads(self, reading: Reading, at: int) -> bool:
        """Whether the word, in front of a name, belongs to it."""
        gap = reading.text[reading.words[at].end : reading.words[at + 1].start]
        if gap == ", " and self._may_stand_first(reading, at):
            return True
        ended = reading.cased and _ends_sentence(gap, *reading.words[at : at + 2])
        return _joins(gap) and not ended and self._may_be_given(reading, at)

    def _with_those_before(
        self, reading: Reading, at: int, marked: set[int], record: Record
    ) -> set[int]:
        """Which words this one makes a name, given what is marked before it."""
        found, word = reading.words, reading.words[at]
        gap = reading.text[found[at - 1].end : word.start] if at else reading.text[: word.start]
        if at and (
            _follows_title(reading, at, gap)
            or (at not in marked and self._initialed(reading, at, gap))
        ):
            return {at - 1, at}
        if at in marked:
            return set()
        person = _marked_before(reading, at, marked) or _slot_before(reading, at, gap, record)
        if person is not None:
            if self._may_be_surname(reading, at, person, "," in gap):
                return {at}
            if word.key in _PARTICLES and at + 1 < len(found):
                following = found[at + 1]
                if following.capitalized and _joins(reading.text[word.end : following.start]):
                    return {at, at + 1}
        return {at} if self._beside_another(reading, at, marked) else set()

    def _may_be_surname(self, reading: Reading, at: int, person: Shape, after_comma: bool) -> bool:
        """Whether the word goes on with the name of the `person` before it."""
        word = reading.words[at]
        key = word.key
        known_name = key in self._vocabulary.surname_words or key in self._vocabulary.given_words
        if person.capitalized and not word.capitalized and _goes_on(word, person, after_comma):
            return False
        if after_comma and word.capitalized and reading.cased:
            if len(key) == 1:
                return key != "i"
            return known_name and key not in _NO_SURNAME_AFTER_COMMA
        if len(key) == 1:
            return word.capitalized or reading.text[word.end : word.end + 1] == "."
        if word.capitalized and reading.cased:
            return key not in cues.FUNCTION_WORDS or known_name
        return known_name and key not in _NO_SMALL_SURNAME

    def _may_be_given(self, reading: Reading, at: int) -> bool:
        """Whether the word in front of a name belongs to it."""
        word = reading.words[at]
        key = word.key
        certain = self._vocabulary.is_name(reading.words[at + 1].key)
        if len(key) == 1:
            return word.capitalized and key not in {"i", "a"}
        if key in _NICKNAMES:
            return word.capitalized
        if key in self._vocabulary.given_words:
            likely = word.capitalized or not reading.cased or certain
            return likely and given_score(reading, at) > BESIDE_A_NAME_FROM
        if key in _NEVER_GIVEN:
            return False
        if word.capitalized and reading.cased and not reading.opens(at):
            return True
        surname = key in self._vocabulary.surname_words and key not in cues.AFTER_NAME
        return surname and certain and (word.capitalized or not reading.cased)

    def _may_stand_first(self, reading: Reading, at: int) -> bool:
        """`Brown, Mary`: a surname in front, its given name after the comma."""
        word = reading.words[at]
        following = reading.words[at + 1].key
        return (
            word.capitalized
            and word.key in self._vocabulary.surname_words
            and word.key not in cues.GREETINGS
            and word.key not in cues.TIMES
            and (following in self._vocabulary.given_words or self._vocabulary.is_name(following))
        )

    def _initialed(self, reading: Reading, at: int, gap: str) -> bool:
        """`C. Wing` and `Rich D.`: a letter that stands for half of a name."""
        word, before = reading.words[at], reading.words[at - 1]
        if len(before.key) == 1 and len(word.key) > 1:
            counted = at > 1 and reading.words[at - 2].key in cues.LETTERED
            return (
                gap in {". ", "."}
                and before.capitalized
                and word.capitalized
                and not counted
                and _may_be_called(word)
            )
        if len(word.key) == 1 and len(before.key) > 1 and gap == " ":
            dotted = reading.text[word.end : word.end + 1] == "."
            name = before.key in self._vocabulary.given_words or (
                dotted and before.key in self._vocabulary.surname_words
            )
            return (
                name
                and before.capitalized
                and word.capitalized
                and (dotted or word.key not in {"i", "a"})
                and before.key not in cues.LETTERED
            )
        return False

    def _beside_another(self, reading: Reading, at: int, marked: set[int]) -> bool:
        """`Trinity and Grace`: of two that are named together, one is surely a name."""
        word = reading.words[at]
        if word.key not in self._vocabulary.given_words or reading.after(at) in cues.SERVICES:
            return False
        if reading.cased and not word.capitalized:
            return False
        return any(
            at + 2 * step in marked and reading.words[at + step].key in {"and", "or"}
            for step in (-1, 1)
        )


def _near_names(reading: Reading, marked: set[int], record: Record) -> set[int]:
    """The words that what is before them may make a name: behind names, titles, initials, people."""
    near = {at + step for at in marked for step in (-2, 1, 2)}
    for at, word in enumerate(reading.words):
        if len(word.key) == 1:
            near |= {at, at + 1}
        elif word.key in cues.TITLES:
            near.add(at + 1)
    for place, slot in slots_in(reading.text):
        if record.kind(slot) in PERSON_KINDS:
            first = bisect.bisect_right(reading.words, place, key=_start)
            end = bisect.bisect_right(reading.words, place + _LONGEST_JOIN, key=_start)
            near.update(range(first, end))
    return near


_start: Final = operator.attrgetter("start")


_LONGEST_JOIN: Final = 4
"""A slot and the three characters of _GAP_OF_ONE_NAME."""

_NO_SURNAMES: Final = frozenset(
    listed("men women man woman kids ladies gentlemen mens womens dads moms members")
)
"""`Men's cut`: whom a service is for. All of them are surnames somewhere."""

_NEVER_GIVEN: Final = (
    cues.ROLES
    | cues.TITLES
    | cues.TIMES
    | cues.SERVICES
    | cues.BEFORE_NAME
    | cues.FUNCTION_WORDS
    | cues.QUESTIONS
    | cues.NOT_BEFORE_NAME
)
"""What stands in front of a name without belonging to it."""

_NICKNAMES: Final = frozenset(listed("big old little young lil"))
"""`Big Mike`."""

_NO_SMALL_SURNAME: Final = cues.FUNCTION_WORDS | cues.AFTER_NAME | cues.BEFORE_NAME
"""What follows a name in small letters without belonging to it."""

_NO_SURNAME_AFTER_COMMA: Final = cues.TIMES | cues.FUNCTION_WORDS
"""What stands capitalized after a name and a comma without belonging to it: `Grace, Monday`."""

_PARTICLES: Final = frozenset(
    listed(
        "van von der den de del della di da do dos das du la le el al bin ibn ben ter ten te zu zum "
        "san santa st af av y e"
    )
)
"""What stands small inside a name: `Willemijn ten Pas`, `Ludwig van Dyk`."""


def _may_be_called(word: Word) -> bool:
    """Whether the word may be the name behind a title or an initial."""
    surname = word.capitalized and word.key == cues.ADDRESSED
    return surname or word.key not in cues.FUNCTION_WORDS


def _follows_title(reading: Reading, at: int, gap: str) -> bool:
    title, word = reading.words[at - 1], reading.words[at]
    if gap.strip(" ") not in {"", "."} or len(gap) > 3:  # noqa: PLR2004  # ". " and one more
        return False
    if title.key in cues.SHORT_TITLES:
        return _may_be_called(word)
    return (
        title.key in cues.TITLES
        and title.capitalized
        and word.capitalized
        and not title.shouted
        and word.key not in cues.TIMES
        # `Master Suite`, but `Mayor Price opened`.
        and (word.key not in cues.SERVICES or reading.after(at) in reading.vocabulary.verb_forms)
    )


def _joins(gap: str) -> bool:
    return len(gap) <= 3 and _GAP_OF_ONE_NAME.fullmatch(gap) is not None and "\n" not in gap  # noqa: PLR2004  # as the expression says


def _ends_sentence(gap: str, word: Word, following: Word) -> bool:
    """Whether the gap's stop ends a sentence: `today. Grace`, but not `J. Doe` and not `jas. doe`."""
    abbreviated = len(word.key) == 1 or word.key in cues.SHORT_TITLES
    return "." in gap and following.capitalized and not abbreviated


def _marked_before(reading: Reading, at: int, marked: set[int]) -> Shape | None:
    """How the marked word right before this one is written, if a name may go on after it."""
    if at - 1 not in marked:
        return None
    last, word = reading.words[at - 1], reading.words[at]
    gap = reading.text[last.end : word.start]
    if not _joins(gap) or (reading.cased and _ends_sentence(gap, last, word)):
        return None
    return Shape(last.capitalized, 1)


def _slot_before(reading: Reading, at: int, gap: str, record: Record) -> Shape | None:
    """How the person was written whose slot stands right before, if a name may go on after it."""
    if gap.isascii():
        return None
    slot = max((place for place, _ in slots_in(gap)), default=-1)
    rest = gap[slot + 1 :]
    if slot < 0 or record.kind(gap[slot]) not in PERSON_KINDS or not rest or not _joins(rest):
        return None
    if reading.cased and "." in rest and reading.words[at].capitalized:
        return None
    return record.shape(gap[slot])


def _goes_on(word: Word, person: Shape, after_comma: bool) -> bool:
    """Whether a small word after a capitalized person is just the next word of the sentence.

    `tell Grace first`, `Grace, late bookings`. Who was declared in full is complete.
    """
    apart = after_comma and len(word.key) > 1
    return apart or word.key in cues.AFTER_PERSON or person.words > 1


def _spans(reading: Reading, marked: set[int], record: Record) -> Iterator[Span]:
    """Neighbouring marked words are one person; the first word tells which."""
    found = reading.words
    order = sorted(marked)
    at = 0
    while at < len(order):
        first = last = order[at]
        while at + 1 < len(order) and order[at + 1] == last + 1:
            gap = reading.text[found[last].end : found[last + 1].start]
            if found[last].clitic or not _joins(gap) or "," in gap:
                break
            at += 1
            last = order[at]
        at += 1
        yield Span(
            found[first].start, found[last].end, "person", record.role("person", found[first].key)
        )
