"""The k rule for words: which words of what accounts said may be shown.

A sentence is one account's, and though it is anonymized, a word of it that hardly anyone else used may
still tell who said it, or may be there to be read by everyone. So words are counted by distinct owners,
and one that fewer than k used is left out as "…". Patterns and emerging clusters are worded by this rule.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import lru_cache

ELLIPSIS = "…"

GAP = 2
"""Shared words that a sentence needs more for each word that it leaves out: gaps are hard to read."""

MOST_READ = 20_000
"""Texts whose words are kept, some ten megabytes: the same few sentences are read again and again."""

WORD = re.compile(
    # A role, a slot, a word or number; then whatever else could tell, one by one.
    r"\{[^{}]*\}|\[[^\[\]]*\]|\w[\w%'\N{RIGHT SINGLE QUOTATION MARK}-]*|[^\s\w.,;:!?()\"'/-]"
)

FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be but by can do does each every for from has have her his if in into is"
        " it its my no nor not of on or our out over so than that the their them then there these they"
        " this those to up us was we when which who will with you your",
    )
)
"""Words that say nothing by themselves."""


def shared_words(said: Iterable[tuple[str, str]], k: int) -> Counter[str]:
    """How many owners used each word, of the words that at least k did, from (owner, text) pairs."""
    uses: dict[str, set[str]] = defaultdict(set)
    for owner, text in said:
        uses[owner].update(words_of(text))
    counts = Counter(word for words in uses.values() for word in words)
    return Counter({word: count for word, count in counts.items() if count >= k})


def masked(text: str, shared: AbstractSet[str]) -> str:
    """The text with each row of words that are not shared as one ellipsis."""
    parts: list[str] = []
    end, left_out = 0, False
    for match in WORD.finditer(text):
        between = text[end : match.start()]
        end = match.end()
        if fold(match[0]) in shared:
            parts += [between, match[0]]
            left_out = False
        elif not left_out:
            parts += [between, ELLIPSIS]
            left_out = True
    return "".join(parts) + text[end:]


def legibility(text: str, shared: AbstractSet[str]) -> int:
    """How much of a text can be shown, less what is left out."""
    words = words_of(text)
    known = sum(map(shared.__contains__, words))
    return known - GAP * (len(words) - known)


@lru_cache(MOST_READ)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, in any case, roles and slots as one word each."""
    return tuple(WORD.findall(fold(text)))


def fold(word: str) -> str:
    """The form in which words are compared."""
    return word.casefold()
