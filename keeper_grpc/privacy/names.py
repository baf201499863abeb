"""Layer 4: names that nobody declared.

A word that is a name and nothing else is masked wherever it stands, and so is an unknown word (the
next layer's rule), so what is left to decide is the name that is a word: Rose, Will, Grace, and the
surname that is one: Young, Price, Stone. Their neighbours decide: what people do, what is done to
people, titles, other names, things of the trade, and the capital letter where a capital says
something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keeper_grpc.privacy import cues
from keeper_grpc.privacy.draft import Draft, Record, Span, is_slot
from keeper_grpc.privacy.tokens import Word, words
from keeper_grpc.privacy.vocabulary import Vocabulary
from keeper_grpc.privacy.word_lists import listed

NAME_FROM: Final = 2.0
"""A given name that is a word is masked at this score (see `Reading.given_score`)."""
DECLARED_FROM: Final = 1.0
"""The same for a name that the caller declared: less evidence is enough."""
SURNAME_FROM: Final = 3.0
"""A surname that is a word, alone, needs more: thousands of common words are surnames."""

_GAP_OF_ONE_NAME: Final = re.compile(r"(?:\s|-|\.|,\s|\u2019|'){0,3}")
_PERSON_SLOTS: Final = frozenset({"customer_name", "employee_name", "person"})


@dataclass(slots=True)
class Reading:
    """A text's words, read for names."""

    text: str
    words: list[Word]
    vocabulary: Vocabulary
    cased: bool

    @classmethod
    def of(cls, text: str, vocabulary: Vocabulary) -> Reading:
        found = words(text)
        return cls(text, found, vocabulary, _is_cased(text, found))

    def before(self, at: int) -> str:
        """The word before, or "" at the start of a sentence; a masked person reads `[person]`."""
        start = self.words[at - 1].end if at else 0
        gap = self.text[start : self.words[at].start]
        for char in reversed(gap):
            if is_slot(char):
                return "[slot]"
            if char in cues.SENTENCE_END and char not in '-/"(\u201c':
                return ""
            if char.isdigit():
                return "0"
        return self.words[at - 1].key if at else ""

    def after(self, at: int) -> str:
        """The word after, or "" at the end of a sentence or before a comma."""
        end = self.words[at + 1].start if at + 1 < len(self.words) else len(self.text)
        gap = self.text[self.words[at].end : end]
        for char in gap:
            if is_slot(char):
                return "[slot]"
            if char.isdigit():
                return "0"
            if char in cues.SENTENCE_END and char not in "-/":
                return ""
            if char == ",":
                return ","
        if at + 1 < len(self.words):
            word = self.words[at + 1]
            # A contraction tells more than its stem: `Grace hasn't`.
            return word.key + word.clitic if word.clitic == "n't" else word.key
        return ""

    def opens(self, at: int) -> bool:
        """Whether a sentence, a line or a quotation begins with this word."""
        start = self.words[at - 1].end if at else 0
        gap = self.text[start : self.words[at].start].rstrip(" ")
        return at == 0 and not gap or bool(gap) and gap[-1] in cues.SENTENCE_END

    def given_score(self, at: int) -> float:
        """How much this word, which may be a given name, stands as one. 0 is even."""
        word = self.words[at]
        key = word.key
        before, after = self.before(at), self.after(at)
        score = self._case_score(at)
        if key in self.vocabulary.mostly_names:
            score += 1.0
        if word.clitic == "'s" and after not in cues.SERVICES and key not in cues.CALENDAR:
            score += 2.0
        if before in cues.ROLES or before in cues.SHORT_TITLES:
            score += 3.0
        elif before in cues.BEFORE_NAME:
            score += 2.0
        elif before in cues.NOT_BEFORE_NAME or before == "0":
            score -= 3.0
        elif before == "to" and key in cues.VERBS:
            score -= 3.0
        if after in cues.SERVICES or (after == "and" and self._serves(at + 3)):
            score -= 4.0
        elif after in cues.HUMAN:
            score += 3.0
        elif after in cues.AFTER_NAME:
            score += 2.0
        elif after in cues.INSTRUCTED and self.opens(at):
            score -= 2.0
        elif after == "," and self.opens(at):
            score += 2.0
        elif self._speaks(at):
            score += 2.0
        if key in cues.MODALS and (before in cues.SUBJECTS or before.endswith("s")):
            score -= 4.0
        if key in cues.CALENDAR and (
            before in cues.BEFORE_TIME
            or before in cues.TIMES
            or after in cues.TIMES
            or after == "0"
        ):
            score -= 4.0
        if self._named(at - 1) or self._named(at + 1):
            score += 4.0
        return score

    def surname_score(self, at: int) -> float:
        """How much this word, which may be a surname, stands as one without a given name."""
        word = self.words[at]
        if word.key in self.vocabulary.trade or word.key in cues.SERVICES:
            return 0.0
        before, after = self.before(at), self.after(at)
        score = self._case_score(at)
        if word.clitic == "'s" and word.capitalized and self.cased:
            score += 1.0
        if before in cues.ROLES:
            score += 1.5
        elif before in cues.BEFORE_NAME:
            score += 1.0
        elif before in cues.NOT_BEFORE_NAME or before == "0":
            score -= 2.0
        if after in cues.HUMAN:
            score += 2.0
        elif after in cues.SERVICES or after in cues.TIMES:
            score -= 3.0
        elif after in cues.INSTRUCTED:
            score -= 1.0
        if self._in_phrase(at):
            score -= 2.0
        return score

    def _case_score(self, at: int) -> float:
        word = self.words[at]
        if not self.cased:
            return 0.5 if word.capitalized else 0.0
        if not word.capitalized:
            return -1.0
        return 1.0 if self.opens(at) else 3.0

    def _serves(self, at: int) -> bool:
        """Whether the word is a thing of the trade: `Basil and mint *scrub*`."""
        return at < len(self.words) and self.words[at].key in cues.SERVICES

    def _speaks(self, at: int) -> bool:
        """`Heather: I would like to rebook.`"""
        end = self.words[at].end
        return self.opens(at) and self.words[at].capitalized and self.text[end : end + 1] == ":"

    def _in_phrase(self, at: int) -> bool:
        """Whether a capitalized word that is no name stands beside it: `New Client Special`."""
        for near in (at - 1, at + 1):
            if 0 <= near < len(self.words):
                other = self.words[near]
                left, right = sorted((at, near))
                gap = self.text[self.words[left].end : self.words[right].start]
                if gap != " " or not other.capitalized or self.opens(near):
                    continue
                if (
                    self.vocabulary.knows(other.key)
                    and other.key not in self.vocabulary.given_words
                ):
                    return True
        return False

    def _named(self, at: int) -> bool:
        """Whether the word is a name and nothing else."""
        return 0 <= at < len(self.words) and self.vocabulary.is_name(self.words[at].key)


def _is_cased(text: str, found: list[Word]) -> bool:
    """Whether capitals mark names here: not in lower case, in capitals, or In A Title."""
    capitals = sum(word.capitalized for word in found)
    if capitals == 0 or sum(word.shouted for word in found) * 2 > len(found):
        return False
    long = [word for word in found if len(word.text) > 3]  # noqa: PLR2004  # titles leave short words small
    return sum(word.capitalized for word in long) * 3 <= len(long) * 2 or text.count(" ") < 1


class Names:
    """Masks names that nobody declared as `[person]`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def __call__(self, draft: Draft) -> None:
        reading = Reading.of(draft.text, self._vocabulary)
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
            if not vocabulary.knows(key):
                if vocabulary.is_name(key) or (word.capitalized and len(key) > 1):
                    marked.add(at)
            elif key in vocabulary.given_words:
                if reading.given_score(at) >= NAME_FROM:
                    marked.add(at)
            elif key in vocabulary.surname_words and word.capitalized:
                if reading.surname_score(at) >= SURNAME_FROM:
                    marked.add(at)
        self._extend(reading, marked, record)
        return marked

    def _extend(self, reading: Reading, marked: set[int], record: Record) -> None:
        """Surnames after given names, given names before surnames, initials, names after titles."""
        found = reading.words
        for at, word in enumerate(found):
            if at in marked:
                continue
            gap = reading.text[found[at - 1].end : word.start] if at else reading.text[: word.start]
            title = at > 0 and _follows_title(found[at - 1], word, gap)
            joined = (at - 1 in marked and _joins(gap)) or _after_person_slot(gap, record)
            if title or (joined and self._may_be_surname(reading, at)):
                marked.add(at)
            elif joined and word.key in _PARTICLES and at + 1 < len(found):
                following = found[at + 1]
                if following.capitalized and _joins(reading.text[word.end : following.start]):
                    marked |= {at, at + 1}
        for at in range(len(found) - 2, -1, -1):
            if at + 1 in marked and at not in marked:
                gap = reading.text[found[at].end : found[at + 1].start]
                if _joins(gap) and self._may_be_given(reading, at):
                    marked.add(at)

    def _may_be_surname(self, reading: Reading, at: int) -> bool:
        word = reading.words[at]
        key = word.key
        if len(key) == 1:
            return word.capitalized or reading.text[word.end : word.end + 1] == "."
        if key in _NEVER_SURNAMES or key in cues.SERVICES:
            return False
        name_like = key in self._vocabulary.surname_words or key in self._vocabulary.given_words
        if word.capitalized and reading.cased:
            return True
        if key in cues.AFTER_NAME or key in cues.NOT_BEFORE_NAME or key in cues.BEFORE_NAME:
            return False
        return name_like

    def _may_be_given(self, reading: Reading, at: int) -> bool:
        word = reading.words[at]
        key = word.key
        following = reading.words[at + 1].key
        if len(key) == 1:
            return word.capitalized and key not in {"i", "a"}
        if key in cues.BEFORE_NAME or key in cues.NOT_BEFORE_NAME or key in cues.ROLES:
            return False
        if key in cues.TITLES or key in cues.TIMES or key in cues.SERVICES:
            return False
        if key in self._vocabulary.given_words:
            return word.capitalized or not reading.cased or reading.vocabulary.is_name(following)
        return word.capitalized and reading.cased and not reading.opens(at)


_PARTICLES: Final = frozenset(
    listed(
        "van von der den de del della di da do dos das du la le el al bin ibn ben ter ten te zu zum "
        "san santa st af av y e"
    )
)
"""What stands small inside a name: `Willemijn ten Pas`, `Ludwig van Dyk`."""

_NEVER_SURNAMES: Final = frozenset(
    listed(
        "a an i and or but the to for with of in on at by is was has had who whose that if when as "
        "from her his their about after before because so not no yes"
    )
)


def _follows_title(title: Word, word: Word, gap: str) -> bool:
    if gap.strip(" ") not in {"", "."} or len(gap) > 3:  # noqa: PLR2004  # ". " and one more
        return False
    if title.key in cues.SHORT_TITLES:
        return word.key not in _NEVER_SURNAMES
    return (
        title.key in cues.TITLES
        and title.capitalized
        and word.capitalized
        and not title.shouted
        and word.key not in cues.SERVICES
        and word.key not in cues.TIMES
    )


def _joins(gap: str) -> bool:
    return len(gap) <= 3 and _GAP_OF_ONE_NAME.fullmatch(gap) is not None and "\n" not in gap  # noqa: PLR2004  # as the expression says


def _after_person_slot(gap: str, record: Record) -> bool:
    at = max((index for index, char in enumerate(gap) if is_slot(char)), default=-1)
    return (
        at >= 0
        and record.kind(gap[at]) in _PERSON_SLOTS
        and _joins(gap[at + 1 :])
        and len(gap) > at + 1
    )


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
