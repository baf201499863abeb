"""A text read for names: its words, their neighbours, and whether capitals mean anything in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.draft import Draft, is_slot
from keeper_grpc.privacy.text.tokens import Word
from keeper_grpc.privacy.text.vocabulary import Vocabulary

SLOT: Final = "[]"
"""How a masked span reads to the cues."""
NUMBER: Final = "0"
"""How digits read to the cues."""
_INSIDE: Final = '-/"(\u201c'
"""Sentence ends that also stand inside a sentence: no-show, 50/50, an aside."""


_DAY: Final = r"(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?"
_DAY_AFTER: Final = re.compile(
    rf"\.?\s(?:the\s)?{_DAY}\b(?![:.]\d|\s?[ap]\.?m\b)(?=\W*$|[,.;)-]|\s(?:at|and|to|for|from|or|with)\b)",
    re.IGNORECASE,
)
_DAY_BEFORE: Final = re.compile(rf"(?<![\d:.$]){_DAY}(?:\sof)?\s$")
_CLOCK_BEFORE: Final = re.compile(
    r"(?:\d:\d\d\s?(?:[ap]\.?m\.?)?|\d\s?[ap]\.?m\.?|(?:at|@)\s?\d{1,2})[\s,-]{1,3}$", re.IGNORECASE
)
_LONGEST_CLOCK: Final = 14
"""`12:30 p.m. - ` has 13 characters."""


@dataclass(slots=True)
class Reading:
    """A text's words, and what is known about them.

    cased: whether a capital marks a name here, which it does not in a title or in lower case.
    """

    text: str
    words: list[Word]
    vocabulary: Vocabulary
    _cased: bool | None = None
    _before: dict[int, str] = field(default_factory=dict)
    _after: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, draft: Draft, vocabulary: Vocabulary) -> Reading:
        """Reads a draft, which may hold slots."""
        return cls(draft.text, draft.words(), vocabulary)

    @property
    def cased(self) -> bool:
        """Looked at when it is first asked for: most texts hold nothing that it decides."""
        if self._cased is None:
            self._cased = _is_cased(self.text, self.words)
        return self._cased

    def before(self, at: int) -> str:
        """The word before, "0" for a number, "" at the start of a sentence or after a dash."""
        known = self._before.get(at)
        if known is None:
            known = self._before[at] = self._read_before(at)
        return known

    def after(self, at: int) -> str:
        """The word after, "0" for a number, "," before a comma, "" at the end of a sentence."""
        known = self._after.get(at)
        if known is None:
            known = self._after[at] = self._read_after(at)
        return known

    def _read_before(self, at: int) -> str:
        start = self.words[at - 1].end if at else 0
        gap = self.text[start : self.words[at].start]
        if gap == " ":
            return self.words[at - 1].key if at else ""
        for char in reversed(gap):
            if is_slot(char):
                return SLOT
            if char.isdigit():
                return NUMBER
            if char in cues.SENTENCE_END and (char not in _INSIDE or gap.strip(" ") == "-"):
                return ""
        return self.words[at - 1].key if at else ""

    def _read_after(self, at: int) -> str:
        end = self.words[at + 1].start if at + 1 < len(self.words) else len(self.text)
        gap = self.text[self.words[at].end : end]
        for char in gap:
            if is_slot(char):
                return SLOT
            if char.isdigit():
                return NUMBER
            if char == ",":
                return ","
            if char in cues.SENTENCE_END and (char not in _INSIDE or gap.strip(" ") == "-"):
                return ""
        if at + 1 < len(self.words):
            word = self.words[at + 1]
            # A contraction tells more than its stem: `Grace hasn't`.
            return word.key.removesuffix("n") + "n't" if word.clitic == "n't" else word.key
        return ""

    def opens(self, at: int) -> bool:
        """Whether a sentence, a line or a quotation begins with this word."""
        start = self.words[at - 1].end if at else 0
        gap = self.text[start : self.words[at].start].rstrip(" ")
        return (at == 0 and not gap) or (bool(gap) and gap[-1] in cues.SENTENCE_END)

    def acts(self, at: int) -> bool:
        """Whether the word is the base form of a verb."""
        return at < len(self.words) and self.words[at].key in self.vocabulary.base_verbs

    def adjoins(self, at: int) -> bool:
        """Whether nothing but a blank is between the word and the next one."""
        end = self.words[at].end
        return at + 1 < len(self.words) and self.text[end : self.words[at + 1].start] == " "

    def adjoins_capital(self, at: int) -> bool:
        """Whether a capitalized word is right before or behind: of a title, as in `Tell Us Club`."""
        return any(
            0 <= near < len(self.words) and self.words[near].capitalized and not self.opens(near)
            for near in (at - 1, at + 1)
        )

    def is_day(self, at: int, *, before: bool = False) -> bool:
        """Whether the number beside the word is a day of a month: not a clock, not a count of people."""
        if before:
            start = self.words[at - 1].end if at else 0
            return _DAY_BEFORE.search(self.text, start, self.words[at].start) is not None
        return _DAY_AFTER.match(self.text, self.words[at].end) is not None

    def after_clock(self, at: int) -> bool:
        """`3pm rose`, `9:40 rose`: a time of day stands before the word."""
        if self.before(at) not in {NUMBER, "am", "pm", "m"}:
            return False
        start = self.words[at].start
        return _CLOCK_BEFORE.search(self.text[max(start - _LONGEST_CLOCK, 0) : start]) is not None

    def determined(self, at: int) -> bool:
        """Whether an article or the like stands before the word, which is then a noun."""
        return at > 0 and self.words[at - 1].key in cues.DETERMINERS

    def instructs(self, at: int, after: str) -> bool:
        """`Ring guests`, `Ask lapsed clients`, `Come and try it`: it opens with a verb, not a name."""
        if self.words[at].key not in cues.IMPERATIVES or not self.opens(at):
            return False
        if after in cues.PEOPLE:
            return True
        third = self.words[at + 2] if at + 2 < len(self.words) else None
        if third is None or after not in {"lapsed", "and"}:
            return False
        if after == "lapsed":
            return third.key in cues.PEOPLE
        return not third.capitalized and third.key not in cues.FUNCTION_WORDS

    def commands(self, at: int) -> bool:
        """Whether a sentence opens with the word and it is a verb: `Call overdue regulars`."""
        return self.opens(at) and self.words[at].key in cues.IMPERATIVES

    def named(self, at: int) -> bool:
        """Whether the word is a name and nothing else."""
        return 0 <= at < len(self.words) and self.vocabulary.is_name(self.words[at].key)

    def beside_unknown(self, at: int) -> bool:
        """`diamond jaworowski`: what nobody knows is a surname more often than anything else."""
        if at + 1 == len(self.words):
            return False
        word, following = self.words[at], self.words[at + 1]
        gap = self.text[word.end : following.start]
        # `May I show you`, `Mark a place`, but not `give Hope a call`.
        asks = following.key == "i" or (following.text == "a" and word.key in cues.VERBS)
        known = (asks and self.opens(at)) or self.vocabulary.knows(following.key)
        return gap == " " and not word.clitic and not known

    def reads_full(self, at: int) -> bool:
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
        if self.serves(at + 2):  # `Lily White Tips`
            return False
        return (
            following.key not in self.vocabulary.trade
            and following.key not in cues.SERVICES
            and following.key not in cues.AFTER_NAME
            and following.key not in cues.BEFORE_NAME
            and following.key not in cues.FUNCTION_WORDS
        )

    def addressed(self, at: int, after: str) -> bool:
        """`Grace, we miss you`: but not `Grace, health and happiness`."""
        if after != "," or not self.opens(at) or at + 1 == len(self.words):
            return False
        return self.words[at + 1].key in cues.FUNCTION_WORDS

    def speaks(self, at: int) -> bool:
        """`Heather: I would like to rebook.`"""
        end = self.words[at].end
        return self.opens(at) and self.words[at].capitalized and self.text[end : end + 1] == ":"

    def serves(self, at: int) -> bool:
        """Whether the word is a thing of the trade: `Basil and mint *scrub*`."""
        return at < len(self.words) and self.words[at].key in cues.SERVICES

    def compound(self, at: int, after: str) -> bool:
        """`Rose quartz`: a plain word after it makes it one thing with that word."""
        if not after or after in {SLOT, NUMBER, ","} or after in cues.FUNCTION_WORDS:
            return False
        if after in cues.BEFORE_NAME or after in cues.QUESTIONS or after in cues.TIMES:
            return False
        following = self.words[at + 1]
        return not following.capitalized and self.vocabulary.knows(following.key)

    def in_phrase(self, at: int) -> bool:
        """Whether a capitalized word that is no name stands beside it: `New Client Special`."""
        for near in (at - 1, at + 1):
            if 0 <= near < len(self.words):
                other = self.words[near]
                left, right = sorted((at, near))
                gap = self.text[self.words[left].end : self.words[right].start]
                if gap != " " or not other.capitalized or self.opens(near):
                    continue
                given = other.key in self.vocabulary.given_words
                if self.vocabulary.knows(other.key) and not given:
                    return True
        return False


def _is_cased(text: str, found: list[Word]) -> bool:
    """Whether capitals mark names here: not in lower case, in capitals, or In A Title.

    The words that open a sentence say nothing; of the others at most half may be capitalized.
    """
    inner = small = end = 0
    for at, word in enumerate(found):
        if at and len(word.key) > 1:
            gap = text[end : word.start]
            if gap == " " or not gap.strip(" ") or gap.rstrip(" ")[-1] not in cues.SENTENCE_END:
                inner += 1
                small += not word.text[0].isupper()
        end = word.end
    return small * 2 >= inner and small < len(found) and any(word.capitalized for word in found)
