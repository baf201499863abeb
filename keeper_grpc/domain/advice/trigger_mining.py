"""Finds triggers in the outcomes of patterns: found among half of the owners, verified among the other half.

1. **Candidates.** Itemsets of one to three conditions (Apriori; Agrawal and Srikant, 1994) that enough owners of the
   finding half met, with enough owners who also acted where they do not hold.
2. **Found.** Each is tested by the test of Mantel and Haenszel (1959) over owners: success where it holds against where it
   does not, compared within each owner, so that owners who are good at everything, and act in other situations than
   others, make no trigger. An owner weighs no more than in all evidence. Of all candidates of all patterns together the
   false discovery rate is held (Benjamini and Hochberg, 1995).
3. **Verified.** Those are tested again among the owners of the other half, and the rate is held once more. What is
   shown, precision, interval and lift, is of that half alone, which had no part in the choice.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from statistics import median
from typing import TypeAlias

import numpy as np
from efficient_apriori.itemsets import itemsets_from_transactions  # type: ignore[import-untyped]  # has no types
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr

from keeper_grpc.domain.advice.learned_trigger import (
    Condition,
    LearnedTrigger,
    TriggerFigures,
    conditions_met,
    meets,
)
from keeper_grpc.domain.evidence.evidence import Share, heaviest, weigh
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.shown_words import may_be_shown

MOST_CONDITIONS = 3
"""Of a trigger: more are hard to read, and hardly ever supported."""

FOUND_RATE = 0.10
VERIFIED_RATE = 0.05
"""False discovery rates, among all candidates and among those that were found."""

KEPT_BELOW = 0.05
"""The p-value among the verifying half up to which a trigger that is known stays."""

LEAST_SHARE = 0.05
"""Of the cases of a pattern, for a condition to be looked at."""

MOST_ITEMS = 30
"""Conditions of a pattern, the most frequent: bounds what is combined to some 4,500 itemsets."""

MOST_CANDIDATES = 500
"""Of a pattern, by their p-values. The others count as tested."""

MOST_TRIGGERS = 3
"""Of a pattern."""

INTERVAL = 0.05
"""Of an interval: as much lies below it as above."""


@dataclass(frozen=True, slots=True)
class Case:
    """One outcome of a pattern: whose, in which anonymized situation, and how long after the question it came."""

    owner_key: str
    situation: Mapping[str, JsonValue]
    success: bool
    lead_time: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trigger that was tested in both halves."""

    trigger: LearnedTrigger
    found: float
    verified: float


@dataclass(frozen=True, slots=True)
class Mined:
    """The candidates of one pattern, and the p-values of those that were tested beyond them."""

    candidates: Sequence[Candidate]
    others: Sequence[float] = ()


Counts: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cells:
    """What each owner did where a trigger holds and where it does not: outcomes, and successes among them.

    places: the cases in which it holds.
    """

    inside: Counts
    inside_good: Counts
    outside: Counts
    outside_good: Counts
    places: NDArray[np.intp]

    def supported(self, rule: PublicationRule) -> bool:
        """Whether more than k owners acted where the trigger holds, and more than k where it does not."""
        fewest = min(np.count_nonzero(self.inside), np.count_nonzero(self.outside))
        return bool(fewest > rule.k)


def finds(owner_key: str) -> bool:
    """Whether an owner is of the finding half: always the same one, by a hash of its key."""
    return hashlib.sha256(f"trigger/{owner_key}".encode()).digest()[0] % 2 == 0


def mine(key: PatternKey, cases: Sequence[Case], rule: PublicationRule) -> Mined:
    """Test what could be a trigger of this pattern.

    k + 1 owners of each half stand behind each: without any one of them it is still k who say so.
    """
    halves = tuple(
        [case for case in cases if finds(case.owner_key) is which] for which in (True, False)
    )
    if any(len({case.owner_key for case in half}) <= rule.k for half in halves):
        return Mined(())
    items = _items(halves[0])
    searched, held = (_Half(half, items) for half in halves)
    met = [tuple(np.flatnonzero(row)) for row in searched.met]
    itemsets, _ = itemsets_from_transactions(met, LEAST_SHARE, max_length=MOST_CONDITIONS)
    tested: list[tuple[float, tuple[int, ...]]] = []
    for columns in (itemset for sized in itemsets.values() for itemset in sized):
        if _redundant([items[column] for column in columns]):
            continue
        cells = searched.cells(columns)
        if cells.supported(rule):
            tested.append((mantel_haenszel(cells, rule.k), columns))
    tested.sort(key=lambda each: (each[0], len(each[1]), each[1]))
    candidates, others = [], [found for found, _ in tested[MOST_CANDIDATES:]]
    for found, columns in tested[:MOST_CANDIDATES]:
        cells = held.cells(columns)
        figures = _figures(held, cells, rule) if cells.supported(rule) else None
        if figures is None:
            others.append(found)
            continue
        conditions = tuple(sorted((items[column] for column in columns), key=str))
        trigger = LearnedTrigger(key, conditions, figures)
        candidates.append(Candidate(trigger, found, mantel_haenszel(cells, rule.k)))
    return Mined(candidates, others)


def choose(
    mined: Sequence[Mined], known: Collection[tuple[PatternKey, tuple[Condition, ...]]] = ()
) -> Sequence[LearnedTrigger]:
    """The triggers that were found and verified among all patterns, and those known ones that still hold.

    Of a pattern the best three by what they surely reach, without any that says less of a shorter one.
    """
    candidates = [candidate for each in mined for candidate in each.candidates]
    if not candidates:
        return []
    # Takes a second to import, and 50 MB: only who has something to choose from pays for it.
    from scipy.stats import false_discovery_control  # noqa: PLC0415 - see above

    p_values = [each.found for each in candidates] + [p for each in mined for p in each.others]
    adjusted = false_discovery_control(p_values)[: len(candidates)]
    found = [
        candidate
        for candidate, rate in zip(candidates, adjusted, strict=True)
        if rate <= FOUND_RATE
    ]
    sure: list[LearnedTrigger] = []
    if found:
        rates = false_discovery_control([each.verified for each in found])
        sure = [
            each.trigger
            for each, rate in zip(found, rates, strict=True)
            if rate <= VERIFIED_RATE and each.trigger.figures.lift > 1
        ]
    stay = [
        each.trigger
        for each in candidates
        if (each.trigger.key, each.trigger.conditions) in known
        and each.verified <= KEPT_BELOW
        and each.trigger.figures.lift > 1
    ]
    return _best(dict.fromkeys((*sure, *stay)))


def mantel_haenszel(cells: Cells, k: int) -> float:
    """The p-value, one-sided, of success being as frequent where a trigger holds as elsewhere, within owners.

    1 where no owner acted in both. An owner's outcomes are scaled down to the most that one may weigh.
    """
    total = cells.inside + cells.outside
    most = heaviest(total.tolist(), k)
    # A variance needs two outcomes, and an owner that acted in both says something.
    both = (cells.inside > 0) & (cells.outside > 0)
    inside, outside, total = cells.inside[both], cells.outside[both], total[both]
    successes = cells.inside_good[both] + cells.outside_good[both]
    weights = np.minimum(1.0, most / total)
    excess = weights @ (cells.inside_good[both] - inside * successes / total)
    variance = (weights**2) @ (
        inside * outside * successes * (total - successes) / (total**2 * (total - 1))
    )
    if variance <= 0:
        return 1.0
    # Half an outcome is taken off: what is counted moves in whole ones.
    return float(ndtr(-max(float(excess) - 0.5, 0.0) / np.sqrt(variance)))


class _Half:
    """The outcomes of one half of the owners, as arrays."""

    def __init__(self, cases: Sequence[Case], items: Sequence[Condition]) -> None:
        self.cases = cases
        owners = {
            owner: number for number, owner in enumerate(sorted({c.owner_key for c in cases}))
        }
        self._owners = len(owners)
        self._owner = np.array([owners[case.owner_key] for case in cases])
        self._success = np.array([case.success for case in cases], np.float64)
        self.met = np.array([[meets(case.situation, item) for item in items] for case in cases])
        self._stated = np.array([[item.key in case.situation for item in items] for case in cases])

    def cells(self, columns: Sequence[int]) -> Cells:
        """Outcomes by owner. A case that does not state a key of the trigger says nothing about it, and is left out."""
        chosen = list(columns)
        stated = np.all(self._stated[:, chosen], axis=1)
        holds = np.all(self.met[:, chosen], axis=1)
        return Cells(
            *self._counts(holds),
            *self._counts(np.asarray(stated & ~holds)),
            places=np.flatnonzero(holds),
        )

    def _counts(self, chosen: NDArray[np.bool_]) -> tuple[Counts, Counts]:
        owner = self._owner[chosen]
        return (
            np.bincount(owner, minlength=self._owners).astype(np.float64),
            np.bincount(owner, self._success[chosen], minlength=self._owners).astype(np.float64),
        )


def _items(cases: Sequence[Case]) -> list[Condition]:
    """The conditions that these cases meet, the most frequent first."""
    counts: dict[Condition, int] = defaultdict(int)
    for case in cases:
        for condition in conditions_met(case.situation):
            counts[condition] += 1
    showable = (item for item in counts if may_be_shown(item.key, item.value))
    return sorted(showable, key=lambda item: (-counts[item], str(item)))[:MOST_ITEMS]


def _redundant(chosen: Iterable[Condition]) -> bool:
    """Whether one of its conditions follows from another one of the same key."""
    return any(
        one.key == other.key and (one.relation == other.relation or one.value == other.value)
        for one, other in combinations(chosen, 2)
    )


def _figures(half: _Half, cells: Cells, rule: PublicationRule) -> TriggerFigures | None:
    """The figures of a trigger in this half; None where nothing succeeds outside of it."""
    inside = weigh(_shares(cells.inside, cells.inside_good), rule.k)
    outside = weigh(_shares(cells.outside, cells.outside_good), rule.k)
    if inside.trials == 0 or outside.successes == 0:
        return None
    good, bad = inside.successes, inside.trials - inside.successes
    return TriggerFigures(
        precision=inside.success_rate,
        low=float(betaincinv(good, bad + 1, INTERVAL)) if good else 0.0,
        high=float(betaincinv(good + 1, bad, 1 - INTERVAL)) if bad else 1.0,
        lift=inside.success_rate / outside.success_rate,
        trials=inside.trials,
        owners=inside.accounts,
        lead_time=_lead_time([half.cases[place] for place in cells.places], rule),
    )


def _shares(trials: Counts, successes: Counts) -> list[Share]:
    return [Share(int(n), int(good)) for n, good in zip(trials, successes, strict=True)]


def _lead_time(cases: Sequence[Case], rule: PublicationRule) -> timedelta | None:
    """The median of the owners' medians, in whole days, where more than k owners say."""
    times: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        if case.lead_time is not None:
            times[case.owner_key].append(case.lead_time / timedelta(days=1))
    if len(times) <= rule.k:
        return None
    return timedelta(days=round(median([median(own) for own in times.values()])))


def _best(triggers: Iterable[LearnedTrigger]) -> list[LearnedTrigger]:
    """Of each pattern the few that surely reach most; none that a shorter one of its conditions does as well."""
    chosen: dict[PatternKey, list[LearnedTrigger]] = defaultdict(list)
    ordered = sorted(
        triggers, key=lambda each: (-each.figures.low, len(each.conditions), each.text)
    )
    for each in ordered:
        own = chosen[each.key]
        conditions = set(each.conditions)
        related = any(
            conditions <= set(other.conditions) or conditions >= set(other.conditions)
            for other in own
        )
        if len(own) < MOST_TRIGGERS and not related:
            own.append(each)
    return [each for own in chosen.values() for each in own]
