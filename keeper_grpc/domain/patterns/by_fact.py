"""Where a pattern works and where not: its evidence by single facts of the situation.

A fact is shown where k owners observed it. What is left of its key, observations with another value or without the
key, is of k owners as well, or of none: the whole less what is shown would otherwise be what fewer did. Where it
is not, the fact with the fewest owners is withheld too, until it is. One that the screen stops is shown nowhere, as
among a pattern's conditions, and belongs to what is left.

What is shown of a fact is rough: outcomes in fives and rates in tenths. An account's outcomes of a pattern begin to count five
by five (domain/evidence/steps.py), but one of the five may be the only one with some fact, and an exact figure before
and after would tell how it ended. A rough one tells it only where it happens to cross a tenth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from keeper_grpc.domain.evidence.evidence import Evidence, Shares, heaviest, weigh
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.shown_words import may_be_shown
from keeper_grpc.domain.patterns.situation import fact_key, read_fact

ROUGHLY = 5
"""Outcomes are shown in multiples of this, as many as begin to count together."""

MOST_FACTS = 40
"""Facts that are shown, those of most owners: what a page has room for."""


@dataclass(frozen=True, slots=True)
class FactEvidence:
    """The evidence of the situations in which one condition had one value, roughly."""

    key: str
    value: JsonValue
    evidence: Evidence


def by_fact(
    facts: Mapping[str, Shares], whole: Shares, rule: PublicationRule
) -> Sequence[FactEvidence]:
    """The facts that may be shown, by key, those of most owners first.

    `facts` are each owner's outcomes by the facet of a single fact, `whole` all outcomes of the pattern.
    """
    of_key: dict[str, list[str]] = defaultdict(list)
    for facet in facts:
        of_key[fact_key(facet)].append(facet)
    most = heaviest([share.trials for share in whole.values()], rule.k)
    found = []
    for facets in of_key.values():
        for facet in _shown(facets, facts, whole, rule):
            read = read_fact(facet)
            if read is not None:
                evidence = _roughly(weigh(facts[facet].values(), rule.k, most))
                if evidence.trials:
                    found.append(FactEvidence(*read, evidence))
    listed = sorted(found, key=lambda each: (-each.evidence.accounts, each.key, str(each.value)))
    return sorted(
        listed[:MOST_FACTS],
        key=lambda each: (each.key, -each.evidence.accounts, str(each.value)),
    )


def _roughly(evidence: Evidence) -> Evidence:
    trials = evidence.trials // ROUGHLY * ROUGHLY
    successes = round(round(evidence.success_rate, 1) * trials)
    return Evidence(trials, successes, evidence.accounts)


def _shown(
    facets: Collection[str], facts: Mapping[str, Shares], whole: Shares, rule: PublicationRule
) -> Sequence[str]:
    """Those of one key's facets that may be shown."""
    shown = sorted(
        (facet for facet in facets if _owners(facts[facet]) >= rule.k and _is_showable(facet)),
        key=lambda facet: (-_owners(facts[facet]), facet),
    )
    while shown and 0 < _left(shown, facts, whole) < rule.k:
        shown.pop()
    return shown


def _is_showable(facet: str) -> bool:
    """Whether it is known in words, and in such as may be shown."""
    read = read_fact(facet)
    return read is not None and may_be_shown(*read)


def _owners(shares: Shares) -> int:
    return sum(share.trials > 0 for share in shares.values())


def _left(shown: Collection[str], facts: Mapping[str, Shares], whole: Shares) -> int:
    """The owners with outcomes that are in none of these."""
    return sum(
        share.trials > sum(facts[facet][owner].trials for facet in shown if owner in facts[facet])
        for owner, share in whole.items()
    )
