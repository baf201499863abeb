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

SLOT: Final = "[]"
"""How a masked span reads to the cues."""
_INSIDE: Final = '-/"(\u201c'
"""Sentence ends that also stand inside a sentence: no-show, 50/50, an aside."""
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
        """The word before, "0" for a number, "" at the start of a sentence or after a dash."""
        start = self.words[at - 1].end if at else 0
        gap = self.text[start : self.words[at].start]
        for char in reversed(gap):
            if is_slot(char):
                return SLOT
            if char.isdigit():
                return "0"
            if char in cues.SENTENCE_END and (char not in _INSIDE or gap.strip(" ") == "-"):
                return ""
        return self.words[at - 1].key if at else ""

    def after(self, at: int) -> str:
        """The word after, "0" for a number, "," before a comma, "" at the end of a sentence."""
        end = self.words[at + 1].start if at + 1 < len(self.words) else len(self.text)
        gap = self.text[self.words[at].end : end]
        for char in gap:
            if is_slot(char):
                return SLOT
            if char.isdigit():
                return "0"
            if char == ",":
                return ","
            if char in cues.SENTENCE_END and (char not in _INSIDE or gap.strip(" ") == "-"):
                return ""
        if at + 1 < len(self.words):
            word = self.words[at + 1]
            # A contraction tells more than its stem: `Grace hasn't`.
            return word.key + word.clitic if word.clitic == "n't" else word.key
        return ""

    def opens(self, at: int) -> bool:
        """Whether a sentence, a line or a quotation begins with this word."""
        start = self.words[at - 1].end if at else 0
        gap = self.text[start : self.words[at].start].rstrip(" ")
        return (at == 0 and not gap) or (bool(gap) and gap[-1] in cues.SENTENCE_END)

    def given_score(self, at: int) -> float:
        """How much this word, which may be a given name, stands as one. 0 is even."""
        word = self.words[at]
        key = word.key
        before, after = self.before(at), self.after(at)
        full = self._reads_full(at)
        served = not full and (after in cues.SERVICES or (after == "and" and self._serves(at + 3)))
        score = self._case_score(at)
        if key in self.vocabulary.mostly_names:
            score += 1.0
        if word.clitic == "'s" and not served and key not in cues.CALENDAR:
            score += 2.0
        score += self._before_score(at, before)
        if served:
            score -= 5.0
        elif after in cues.HUMAN:
            score += 3.0
        elif after in cues.AFTER_NAME or after in self.vocabulary.verb_forms:
            score += 2.0
        elif after in cues.INSTRUCTED and self.opens(at):
            score -= 2.0
        elif self._addressed(at, after) or self._speaks(at):
            score += 2.0
        elif self._compound(at, after):
            score -= 1.5
        elif not after and not before and len(self.words) > 1:
            score += 1.0
        if key in cues.MODALS and (
            before in cues.SUBJECTS or before == SLOT or before.endswith("s")
        ):
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
        elif self._beside_unknown(at):
            score += 3.0
        elif full:
            score += 2.0
        return score

    def surname_score(self, at: int) -> float:
        """How much this word, which may be a surname, stands as one without a given name."""
        word = self.words[at]
        before, after = self.before(at), self.after(at)
        greeted = before in cues.GREETINGS and word.capitalized
        if not greeted and (word.key in self.vocabulary.trade or word.key in cues.SERVICES):
            return 0.0
        score = self._case_score(at)
        if word.clitic == "'s" and word.capitalized and self.cased:
            score += 1.0
        score += min(self._before_score(at, before), 3.0) / (1.0 if greeted else 2.0)
        if after in cues.SERVICES or after in cues.TIMES:
            score -= 3.0
        elif after in cues.HUMAN or after in cues.AFTER_NAME or after in self.vocabulary.verb_forms:
            score += 2.0
        elif after in cues.INSTRUCTED and self.opens(at):
            score -= 1.0
        if self._in_phrase(at):
            score -= 2.0
        return score

    def _before_score(self, at: int, before: str) -> float:
        word = self.words[at]
        if before in cues.ROLES or before in cues.SHORT_TITLES:
            return 3.0
        if before in cues.GREETINGS:
            return 3.0 if word.capitalized else 2.0
        if before == "to" and word.key in cues.VERBS and not word.capitalized:
            return -3.0
        if before in cues.BEFORE_NAME:
            return 2.0
        if before in cues.QUESTIONS:
            return 1.0
        if before == "of" and at > 1 and self.words[at - 2].key in cues.ROLES:
            return 3.0
        if before in cues.WEAK_BEFORE_NAME:
            return 0.0 if word.capitalized and self.cased else -1.5
        if before in cues.NOT_BEFORE_NAME or before == "0":
            return -3.0
        return 0.0

    def _serves(self, at: int) -> bool:
        """Whether the word is a thing of the trade: `Basil and mint *scrub*`."""
        return at < len(self.words) and self.words[at].key in cues.SERVICES

    def _reads_full(self, at: int) -> bool:
        """Whether a surname follows: `Cherry Day` in prose, `royal barber` where case says nothing."""
        if at + 1 == len(self.words) or self.words[at].clitic:
            return False
        word, following = self.words[at], self.words[at + 1]
        if self.text[word.end : following.start] != " ":
            return False
        if following.key not in self.vocabulary.surname_words:
            return False
        if self.cased:
            return word.capitalized and following.capitalized
        return (
            following.key not in self.vocabulary.trade
            and following.key not in cues.SERVICES
            and following.key not in cues.AFTER_NAME
            and following.key not in cues.BEFORE_NAME
            and following.key not in cues.FUNCTION_WORDS
        )

    def _addressed(self, at: int, after: str) -> bool:
        """`Grace, we miss you`: but not `Grace, health and happiness`."""
        if after != "," or not self.opens(at) or at + 1 == len(self.words):
            return False
        return self.words[at + 1].key in cues.FUNCTION_WORDS

    def _compound(self, at: int, after: str) -> bool:
        """`Rose quartz`: a plain word after it makes it one thing with that word."""
        if not after or after in {SLOT, "0", ","} or after in cues.FUNCTION_WORDS:
            return False
        if after in cues.BEFORE_NAME or after in cues.QUESTIONS or after in cues.TIMES:
            return False
        following = self.words[at + 1]
        return not following.capitalized and self.vocabulary.knows(following.key)

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

    def _beside_unknown(self, at: int) -> bool:
        """`diamond jaworowski`: what nobody knows is a surname more often than anything else."""
        if at + 1 == len(self.words):
            return False
        word, following = self.words[at], self.words[at + 1]
        gap = self.text[word.end : following.start]
        return gap == " " and not word.clitic and not self.vocabulary.knows(following.key)

    def _named(self, at: int) -> bool:
        """Whether the word is a name and nothing else."""
        return 0 <= at < len(self.words) and self.vocabulary.is_name(self.words[at].key)

    def _case_score(self, at: int) -> float:
        word = self.words[at]
        if not self.cased:
            return 0.5 if word.capitalized else 0.0
        if not word.capitalized:
            return -1.0
        return 1.0 if self.opens(at) else 3.0


def _is_cased(text: str, found: list[Word]) -> bool:
    """Whether capitals mark names here: not in lower case, in capitals, or In A Title.

    The words that open a sentence say nothing; of the others at most half may be capitalized.
    """
    inner = small = 0
    for at, word in enumerate(found):
        start = found[at - 1].end if at else 0
        gap = text[start : word.start].rstrip(" ")
        if len(word.key) > 1 and at > 0 and not (gap and gap[-1] in cues.SENTENCE_END):
            inner += 1
            small += not word.capitalized
    return small * 2 >= inner and small < len(found) and any(word.capitalized for word in found)


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
            gap = reading.text[found[at - 1].end : word.start] if at else reading.text[: word.start]
            if at in marked:
                if (
                    at
                    and found[at - 1].key in cues.TITLES
                    and _follows_title(found[at - 1], word, gap)
                ):
                    marked.add(at - 1)
                continue
            joined = (at - 1 in marked and _joins(gap)) or _after_person_slot(gap, record)
            if (at and _follows_title(found[at - 1], word, gap)) or (
                at and self._initialed(reading, at, gap)
            ):
                marked |= {at - 1, at}
            elif joined and self._may_be_surname(reading, at):
                marked.add(at)
            elif joined and word.key in _PARTICLES and at + 1 < len(found):
                following = found[at + 1]
                if following.capitalized and _joins(reading.text[word.end : following.start]):
                    marked |= {at, at + 1}
            elif self._beside_another(reading, at, marked):
                marked.add(at)
        for at in range(len(found) - 2, -1, -1):
            if at + 1 in marked and at not in marked:
                gap = reading.text[found[at].end : found[at + 1].start]
                if (_joins(gap) and self._may_be_given(reading, at)) or (
                    gap == ", " and self._may_stand_first(reading, at)
                ):
                    marked.add(at)

    def _may_be_surname(self, reading: Reading, at: int) -> bool:
        word = reading.words[at]
        key = word.key
        if len(key) == 1:
            return word.capitalized or reading.text[word.end : word.end + 1] == "."
        known_name = key in self._vocabulary.surname_words or key in self._vocabulary.given_words
        if word.capitalized and reading.cased:
            return key not in cues.FUNCTION_WORDS or known_name
        if key in cues.FUNCTION_WORDS or key in cues.AFTER_NAME or key in cues.BEFORE_NAME:
            return False
        return known_name

    def _may_be_given(self, reading: Reading, at: int) -> bool:
        word = reading.words[at]
        key = word.key
        following = reading.words[at + 1].key
        if len(key) == 1:
            return word.capitalized and key not in {"i", "a"}
        if key in cues.ROLES or key in cues.TITLES or key in cues.TIMES or key in cues.SERVICES:
            return False
        if key in self._vocabulary.given_words:
            return (
                word.capitalized or not reading.cased or reading.vocabulary.is_name(following)
            ) and reading.given_score(at) > -2.0
        if key in cues.BEFORE_NAME or key in cues.FUNCTION_WORDS or key in cues.QUESTIONS:
            return False
        if key in _NICKNAMES:
            return word.capitalized
        if key in cues.NOT_BEFORE_NAME:
            return False
        if word.capitalized and reading.cased and not reading.opens(at):
            return True
        if key in cues.AFTER_NAME or key not in self._vocabulary.surname_words:
            return False
        listed_name = self._vocabulary.is_name(following)
        return listed_name and (word.capitalized or not reading.cased)

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
                and word.key not in cues.FUNCTION_WORDS
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
        for step in (-1, 1):
            link, other = at + step, at + 2 * step
            if 0 <= other < len(reading.words) and other in marked:
                if reading.words[link].key in {"and", "or"}:
                    return True
        return False


_NICKNAMES: Final = frozenset(listed("big old little young lil"))
"""`Big Mike`."""

_PARTICLES: Final = frozenset(
    listed(
        "van von der den de del della di da do dos das du la le el al bin ibn ben ter ten te zu zum "
        "san santa st af av y e"
    )
)
"""What stands small inside a name: `Willemijn ten Pas`, `Ludwig van Dyk`."""


def _follows_title(title: Word, word: Word, gap: str) -> bool:
    if gap.strip(" ") not in {"", "."} or len(gap) > 3:  # noqa: PLR2004  # ". " and one more
        return False
    if title.key in cues.SHORT_TITLES:
        return word.key not in cues.FUNCTION_WORDS
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
