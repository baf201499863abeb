"""The words that may stay, and what is known about names.

A word may stay when it is common English, the trade's own vocabulary, or used by k distinct
accounts. The first two are files of this package, the third comes from the store.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field, replace
from typing import Protocol

from keeper_grpc.privacy.text.phrases import Phrases
from keeper_grpc.privacy.text.word_lists import DATA, WordListLost, read_lines, read_words


class ApprovedWords(Protocol):
    """The words that at least k distinct accounts use. Folded; looked up while a text is masked,
    so an implementation answers from memory.
    """

    def __contains__(self, word: object, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that may stay, and what is known about names. All words are folded.

    known: common English and the trade's words.
    given_words: known words that are given names, too (Rose, Will, Grace).
    mostly_names: the given_words that are names more often than words.
    surname_words: known words that are surnames, too (Young, Stone, Price).
    frequent_surnames: the surname_words that many people are called by; none is of the trade.
    given_names, surnames: names that are not words.
    verb_forms: third persons and past tenses: what people do.
    base_verbs: the base forms of the same verbs.
    places: cities and regions that treatments are named for.
    services: phrases of the trade that mean something whole, and no person: `grace period`.
    phrases: these and everyday ones: `how long`. What was declared may stand in one of those.
    trade: known words of the trade, which are no surnames (Gold, Stone, Spa).
    approved: words that k accounts use.
    """

    known: frozenset[str]
    given_words: frozenset[str] = frozenset()
    mostly_names: frozenset[str] = frozenset()
    surname_words: frozenset[str] = frozenset()
    frequent_surnames: frozenset[str] = frozenset()
    given_names: frozenset[str] = frozenset()
    surnames: frozenset[str] = frozenset()
    verb_forms: frozenset[str] = frozenset()
    base_verbs: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    services: Phrases = field(default_factory=lambda: Phrases(()))
    phrases: Phrases = field(default_factory=lambda: Phrases(()))
    trade: frozenset[str] = frozenset()
    approved: ApprovedWords = field(default_factory=frozenset)

    def knows(self, word: str) -> bool:
        """Whether the folded word may stay. No number of accounts makes a name a word."""
        return word in self.known or (not self.is_name(word) and word in self.approved)

    def is_name(self, word: str) -> bool:
        """Whether the folded word is a name and nothing else."""
        return word in self.given_names or word in self.surnames

    def with_approved(self, approved: ApprovedWords) -> Vocabulary:
        """This vocabulary with the words that k accounts use."""
        return replace(self, approved=approved)


@functools.cache
def default_vocabulary() -> Vocabulary:
    """The vocabulary of this package's files. Raises WordListLost when they are not what was built.

    About 50 ms, once a process.
    """
    try:
        sums = (DATA / "SHA256SUMS").read_text().split()
        lists = dict(zip(sums[1::2], sums[::2], strict=True))
        for name, digest in lists.items():
            if hashlib.sha256((DATA / name).read_bytes()).hexdigest() != digest:
                raise WordListLost(name)
        read = {name.removesuffix(".txt"): read_words(DATA / name) for name in lists}
        services = read_lines(DATA / "service_phrases.txt")
        return Vocabulary(
            known=read["vocabulary"],
            given_words=read["given_words"],
            mostly_names=read["mostly_names"],
            surname_words=read["surname_words"],
            frequent_surnames=read["frequent_surnames"],
            given_names=read["given_names"],
            surnames=read["surnames"],
            verb_forms=read["verb_forms"],
            base_verbs=read["base_verbs"],
            places=read["places"],
            services=Phrases(services),
            phrases=Phrases((*services, *read_lines(DATA / "everyday_phrases.txt"))),
            trade=read["trade_words"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise WordListLost(str(error)) from error
