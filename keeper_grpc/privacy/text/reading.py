"""A text read for names: its words, their neighbours, and whether capitals mean anything in it."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(slots=True)
class Reading:
    """A text's words, and what is known about them.

    cased: whether a capital marks a name here, which it does not in a title or in lower case.
    """

    text: str
    words: list[Word]
    vocabulary: Vocabulary
    cased: bool

    @classmethod
    def of(cls, draft: Draft, vocabulary: Vocabulary) -> Reading:
        """Reads a draft, which may hold slots."""
        found = draft.words()
        return cls(draft.text, found, vocabulary, _is_cased(draft.text, found))

    def before(self, at: int) -> str:
        """The word before, "0" for a number, "" at the start of a sentence or after a dash."""
        start = self.words[at - 1].end if at else 0
        gap = self.text[start : self.words[at].start]
        for char in reversed(gap):
            if is_slot(char):
                return SLOT
            if char.isdigit():
                return NUMBER
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
    inner = small = 0
    for at, word in enumerate(found):
        start = found[at - 1].end if at else 0
        gap = text[start : word.start].rstrip(" ")
        if len(word.key) > 1 and at > 0 and not (gap and gap[-1] in cues.SENTENCE_END):
            inner += 1
            small += not word.capitalized
    return small * 2 >= inner and small < len(found) and any(word.capitalized for word in found)
