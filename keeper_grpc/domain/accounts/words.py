"""What a person sees of a word that k owners may approve: never the word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import Enum

from keeper_grpc.domain.insight import Anonymized

MASK = "[other]"
"""Stands for a word that the anonymizer does not know (privacy/layers/unknown_words.py)."""

UNKNOWN = "unknown_word"
"""How the anonymization report counts them."""

NEIGHBOURS = 2
"""Words on each side of the mask: enough to tell a treatment from a person, and what k owners still share."""

_TOKEN = re.compile(r"\[\w+\]|\{\w+\}|[\w'-]+")


class Standing(Enum):
    """Whether a word passes, and why not."""

    APPROVED = "approved"
    """It passes."""
    REJECTED = "rejected"
    """A person said no."""
    WAITING = "waiting"
    """Enough owners use it, and approval is manual."""
    NEAR = "near"
    """One more owner, and it is as the ones above."""


@dataclass(frozen=True, slots=True)
class WordUse:
    """A word by its keyed hash. Owners and accounts are those that count.

    `letters` is about how many it has, empty of a word that an earlier version noted. `context` is what at least
    k of the owners wrote around it, empty where they share nothing.
    """

    word_hash: str
    standing: Standing
    owners: int
    accounts: int
    first_used: date
    letters: str
    context: str


def context_of(anonymized: Anonymized) -> str | None:
    """The words around the one unknown word of an insight, from its masked texts.

    None where there are several: which hash belongs to which place is not known then.
    """
    if len(anonymized.unknown_words) != 1 or anonymized.report.masked.get(UNKNOWN) != 1:
        return None
    for text in (anonymized.insight.action, anonymized.insight.script):
        tokens = _TOKEN.findall(text)
        if MASK in tokens:
            at = tokens.index(MASK)
            return " ".join(tokens[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1]).casefold()
    return None
