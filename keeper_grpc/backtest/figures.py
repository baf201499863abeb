"""What a backtest shows: coverage, calibration, lift. Pure functions of the answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from keeper_grpc.domain.metrics.uplift import Arm, Uplift

BINS = 10
"""Parts of the calibration at most."""

IN_A_BIN = 20
"""Least rows of a part: of fewer, its interval is wider than 40 points."""

TOP = 10
"""Pieces of advice that are listed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One row that was asked about, and what happened in it.

    `expected` is the success rate that the network expected of what was done, None where it answered otherwise.
    `advised` is what it would have advised by itself, empty where nothing; `authored`: on an author's word alone.
    `followed`: that is what was done. `reason` says why nothing proven was advised.
    """

    success: bool
    expected: float | None = None
    advised: str = ""
    advised_expected: float | None = None
    authored: bool = False
    followed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of which about the same was expected: the mean of that, and what happened."""

    expected: float
    happened: Arm


@dataclass(frozen=True, slots=True)
class Advised:
    """One piece of advice: how often it would have been given, the mean of what was expected, and the outcomes of the
    rows in which it was done anyway.
    """

    action: str
    times: int
    expected: float
    done: Arm


@dataclass(frozen=True, slots=True)
class Figures:
    """The result. `lift` is the success rate of the best part of the calibration over that of all its rows."""

    asked: int
    proven: int
    authored: int
    reasons: Sequence[tuple[str, int]]
    advice: Sequence[Advised]
    agreement: Uplift
    bins: Sequence[Bin]
    judged: Arm
    brier: float | None
    brier_of_average: float | None
    lift: float | None
    others: int = field(default=0)
    """Pieces of advice that are not listed."""


def figures(answers: Sequence[Answer]) -> Figures:
    """Count the answers."""
    proven = [each for each in answers if each.advised and not each.authored]
    judged = sorted(
        (each for each in answers if each.expected is not None), key=lambda each: each.expected or 0
    )
    advice = _advice(proven)
    known = _arm(judged)
    bins = _bins(judged)
    best = bins[-1].happened.rate if len(bins) > 1 else None
    return Figures(
        asked=len(answers),
        proven=len(proven),
        authored=sum(each.authored for each in answers),
        reasons=Counter(each.reason for each in answers if each.reason).most_common(),
        advice=advice[:TOP],
        others=max(len(advice) - TOP, 0),
        agreement=Uplift(
            _arm([each for each in proven if each.followed]),
            _arm([each for each in proven if not each.followed]),
        ),
        bins=bins,
        judged=known,
        brier=_brier(judged, None),
        brier_of_average=_brier(judged, known.rate),
        lift=best / known.rate if best is not None and known.rate else None,
    )


def _arm(answers: Sequence[Answer]) -> Arm:
    return Arm(len(answers), sum(each.success for each in answers))


def _advice(proven: Sequence[Answer]) -> list[Advised]:
    by_action: dict[str, list[Answer]] = defaultdict(list)
    for each in proven:
        by_action[each.advised].append(each)
    found = [
        Advised(
            action,
            len(given),
            sum(each.advised_expected or 0.0 for each in given) / len(given),
            _arm([each for each in given if each.followed]),
        )
        for action, given in by_action.items()
    ]
    return sorted(found, key=lambda each: (-each.times, each.action))


def _bins(ordered: Sequence[Answer]) -> list[Bin]:
    """Parts of about one length, in the order of what was expected."""
    parts = min(BINS, len(ordered) // IN_A_BIN)
    if not parts:
        return []
    ends = [part * len(ordered) // parts for part in range(parts + 1)]
    return [
        Bin(
            sum(each.expected or 0.0 for each in ordered[begin:end]) / (end - begin),
            _arm(ordered[begin:end]),
        )
        for begin, end in pairwise(ends)
    ]


def _brier(judged: Sequence[Answer], always: float | None) -> float | None:
    """The mean squared error of what was expected, or of one constant expectation; None without any."""
    if not judged:
        return None
    return sum(
        ((each.expected or 0.0) - each.success if always is None else always - each.success) ** 2
        for each in judged
    ) / len(judged)
