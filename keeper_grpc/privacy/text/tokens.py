"""Words of a text, folded so that spellings of one name compare equal."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import re2  # type: ignore[import-untyped]  # the library ships no types

_ASCII_WORD = re.compile(r"[A-Za-z]+(?:['`][A-Za-z]+)*")
_PLAIN_WORD = re.compile(r"[^\W\d_]+(?:['\u2019\u02bc`\u00b4][^\W\d_]+)*")
_MARKED_WORD = re2.compile(r"\pL[\pL\pM]*(?:['\x{2019}\x{2bc}`\x{b4}]\pL[\pL\pM]*)*")
"""Letters and their marks, with apostrophes inside. Disjoint classes: all are linear. RE2 knows
marks as such, which scripts such as Devanagari need; `re` is faster where there are none."""
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u1dff\u20d0-\u20ff\u302a-\u30ff\ua66f-\uabff\ufb1e\ufe20-\ufe2f\U00010a00-\U0001efff]"
)
"""Where Unicode has combining marks, and then some."""

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2019\u02bc`\u00b4", "'"))

_UNFOLDABLE = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}  # noqa: RUF001  # the dotless i is the point
)
"""Letters that Unicode decomposition leaves as they are, in the usual ASCII spelling of a name."""

_CLITICS = ("'s", "'ll", "'ve", "'re", "'d", "'m", "n't", "s'")
"""What English hangs on a word; the word before it is what counts."""
_SHARED_N = frozenset({"can't", "won't"})
"""Contractions whose `n` belongs to the word as well: `ca` and `wo` are no words."""


_ALONE = frozenset(clitic.replace("'", "") for clitic in _CLITICS)
_APOSTROPHE = "'\u2019\u02bc`\u00b4"
"""A clitic whose word became a slot (`[customer]'s`) is no word."""


@dataclass(slots=True)
class Word:
    """One word of a text: [start, end) without its clitic ('s, 'll).

    text: as written. key: folded. clitic: what hung on it, folded, with the apostrophe. Not frozen: a
    draft moves its words when a span before them is replaced, and freezing doubles the cost.
    settled: it is part of a known phrase, and no name.
    """

    start: int
    end: int
    text: str
    key: str
    clitic: str = ""
    settled: bool = False

    @property
    def capitalized(self) -> bool:
        return self.text[0].isupper()

    @property
    def shouted(self) -> bool:
        return len(self.text) > 1 and self.text.isupper()


def words(text: str) -> list[Word]:
    """The words of `text` in order; slots, digits and punctuation are between them."""
    found: list[Word] = []
    ascii_only = text.isascii()
    lowered = text.lower().replace("`", "'") if ascii_only else ""
    pattern = _ASCII_WORD if ascii_only else _PLAIN_WORD
    if pattern is _PLAIN_WORD and _MARKS.search(text):
        pattern = _MARKED_WORD
    for match in pattern.finditer(text):
        start, end = match.span()
        word = match[0]
        key = lowered[start:end] if ascii_only else fold(word)
        if key in _ALONE and start and text[start - 1] in _APOSTROPHE:
            continue
        clitic = ""
        if "'" in key:
            for ending in _CLITICS:
                if key.endswith(ending) and len(key) > len(ending):
                    clitic = ending
                    kept = 1 if ending == "s'" else len(ending) - (key in _SHARED_N)
                    # Folding may lengthen a word (ß), never its ASCII clitic.
                    end -= kept
                    word, key = word[:-kept], key[:-kept]
                    break
        found.append(Word(start, end, word, key, clitic))
    return found


def keys(text: str) -> list[str]:
    """The folded words of `text`."""
    if text.isascii() and text.replace(" ", "").isalpha():  # most names: no marks, no apostrophes
        return text.lower().split()
    return [word.key for word in words(text)]


def fold(word: str) -> str:
    """Lower case, without accents, apostrophes made plain: `Nuñez` -> `nunez`."""
    if word.isascii():
        return word.lower().replace("`", "'")
    lowered = word.casefold().translate(_APOSTROPHES).translate(_UNFOLDABLE)
    return "".join(
        char for char in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(char)
    )
