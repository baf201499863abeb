"""Metrics' numbers counted from whole tables, row by row.

Nothing here shares code or SQL with what it is compared to: it reads whole tables and loops.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from keeper_grpc.domain.metrics.experiment import OwnerOutcomes
from keeper_grpc.domain.metrics.inputs import (
    AccountCounts,
    Day,
    Gathered,
    Newcomer,
    PatternCounts,
    Prediction,
    Totals,
)
from keeper_grpc.domain.metrics.uplift import Arm

Row = Mapping[str, Any]
TABLES = ("observations", "enhancements", "network_patterns", "accounts")
"""The tables that `count` reads."""


BEHIND: Mapping[str, Sequence[str]] = {
    "active": ("active",),
    "observed": ("observed",),
    "asked": ("asked",),
    "enhanced": ("enhanced",),
    "advised": ("advised",),
    "revenue": ("revenue",),
    "compared": ("advised", "held_out"),
    "retention": ("advised_retention", "held_out_retention"),
    "joined": ("joined",),
}
"""For each kind of metrics, what k accounts must have done so that it is shown."""


def count(tables: Mapping[str, Sequence[Row]], category: str, start: datetime, k: int) -> Gathered:
    """Everything that metrics are computed from, out of whole tables."""
    tables = _of_accounts_that_count(tables)
    names = sorted({row["business_category"] for row in tables["accounts"]})
    did = {name: _did(tables, name, start) for name in names}
    counts = {
        kind: _count(tables, _chosen(did, deeds, category, k), category, start, k)
        for kind, deeds in BEHIND.items()
    }
    sums = {kind: counted.totals for kind, counted in counts.items()}
    owners = {kind: counted.accounts for kind, counted in counts.items()}
    by_day = {kind: {day.day: day for day in counted.days} for kind, counted in counts.items()}
    everything = counts["observed"]
    return replace(
        everything,
        totals=replace(
            sums["observed"],
            questions=sums["asked"].questions,
            answered=sums["asked"].answered,
            enhanced=sums["enhanced"].enhanced,
            from_elsewhere=sums["enhanced"].from_elsewhere,
            confidence_added=sums["enhanced"].confidence_added,
            exploration_loss=sums["enhanced"].exploration_loss,
            advised=sums["advised"].advised,
            compared=sums["compared"].compared,
            held_out=sums["compared"].held_out,
            advised_retention=sums["retention"].advised_retention,
            held_out_retention=sums["retention"].held_out_retention,
            advised_measured=sums["revenue"].advised_measured,
            advised_revenue=sums["revenue"].advised_revenue,
        ),
        lags=counts["enhanced"].lags,
        predictions=counts["advised"].predictions,
        paid_patterns=counts["revenue"].paid_patterns,
        newcomers=counts["joined"].newcomers,
        accounts=replace(
            owners["observed"],
            active=owners["active"].active,
            asked=owners["asked"].asked,
            enhanced=owners["enhanced"].enhanced,
            advised=owners["advised"].advised,
            revenue=owners["revenue"].revenue,
            held_out=owners["compared"].held_out,
            advised_retention=owners["retention"].advised_retention,
            held_out_retention=owners["retention"].held_out_retention,
        ),
        since=counts["active"].since,
        days=[
            replace(
                by_day["observed"].get(day, Day(day)),
                questions=by_day["asked"].get(day, Day(day)).questions,
                enhanced=by_day["asked"].get(day, Day(day)).enhanced,
                advised=by_day["advised"].get(day, Day(day)).advised,
                held_out=by_day["compared"].get(day, Day(day)).held_out,
            )
            for day in sorted({day for days in by_day.values() for day in days})
        ],
        categories=[name for name in names if len(did[name]["active"]) >= k],
    )


def _of_accounts_that_count(
    tables: Mapping[str, Sequence[Row]],
) -> Mapping[str, Sequence[Row]]:
    """What qualified accounts did in the line of business that they are in."""
    home = {
        row["account_key"]: row["business_category"]
        for row in tables["accounts"]
        if row["qualified"]
    }
    return {
        name: [
            row
            for row in rows
            if "account_key" not in row or home.get(row["account_key"]) == row["business_category"]
        ]
        for name, rows in tables.items()
    }


def _chosen(
    did: Mapping[str, Mapping[str, set[str]]], deeds: Sequence[str], category: str, k: int
) -> Sequence[str]:
    """The lines of business that are counted. Each account is an owner of its own here."""
    if category:
        return [category]
    shown = [name for name in did if all(len(did[name][deed]) >= k for deed in deeds)]
    hidden = [name for name in did if name not in shown]
    together = [sum(len(did[name][deed]) for name in hidden) for deed in deeds]
    return list(did) if min(together) >= k else shown


def _did(
    tables: Mapping[str, Sequence[Row]], category: str, start: datetime
) -> Mapping[str, set[str]]:
    """The accounts of a line of business by what they did."""
    here = {
        row["account_key"] for row in tables["accounts"] if row["business_category"] == category
    }
    given = {row["id"]: row for row in tables["enhancements"]}
    seen = [
        row
        for row in tables["observations"]
        if row["account_key"] in here and _day(row) >= start.date()
    ]
    ever = [row for row in tables["enhancements"] if row["account_key"] in here]
    asked = [row for row in ever if _day(row) >= start.date()]
    advised = [row for row in seen if _advised(row, given)]
    held_out = [row for row in seen if _held_out(row, given)]
    kept = "customer_retained"
    rows: Mapping[str, Sequence[Row]] = {
        "active": [*seen, *asked],
        "observed": seen,
        "asked": [row for row in asked if not row["holdout"]],
        "enhanced": [row for row in asked if row["no_match_reason"] is None],
        "advised": advised,
        "revenue": [row for row in advised if row["revenue_impact"] is not None],
        "advised_retention": [row for row in advised if row[kept] is not None],
        "held_out": held_out,
        "held_out_retention": [row for row in held_out if row[kept] is not None],
        "joined": [
            row
            for row in tables["accounts"]
            if row["account_key"] in here
            and row["registered"]
            and row["joined_time"] >= start
            and any(each["account_key"] == row["account_key"] for each in ever)
        ],
    }
    return {deed: {row["account_key"] for row in found} for deed, found in rows.items()}


def _count(
    tables: Mapping[str, Sequence[Row]],
    counted: Sequence[str],
    category: str,
    start: datetime,
    k: int,
) -> Gathered:
    """The same of some lines of business."""

    def here(rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if row["business_category"] in counted]

    given = {row["id"]: row for row in tables["enhancements"]}
    observations, enhancements = here(tables["observations"]), here(tables["enhancements"])
    patterns = [row for row in here(tables["network_patterns"]) if row["occurrence_count"]]
    return Gathered(
        reactions=[],
        totals=_totals(observations, enhancements, given, start),
        patterns=PatternCounts(
            discovered=sum(
                row["first_discovered"] >= start and row["catalog_key"] is None for row in patterns
            ),
            in_use=sum(row["last_validated"] >= start for row in patterns),
            shared=sum(
                row["last_validated"] >= start and row["account_count"] > 1 for row in patterns
            ),
            published=sum(
                row["account_count"] >= k and _shown(row, tables["network_patterns"])
                for row in tables["network_patterns"]
                if row["occurrence_count"] and category in ("", row["business_category"])
            ),
        ),
        lags=_lags(enhancements, tables["network_patterns"], start),
        predictions=_predictions(observations, given, start),
        paid_patterns=len(_predictions(observations, given, start)),
        newcomers=_newcomers(here(tables["accounts"]), observations, enhancements, start),
        accounts=_accounts(observations, enhancements, given, start),
        since=min(
            [_day(row) for row in observations]
            + [_day(row) for row in enhancements if not row["holdout"]],
            default=None,
        ),
        days=_days(observations, enhancements, patterns, given, start),
        experiment=_experiment(observations_of(tables, category), given),
    )


def observations_of(tables: Mapping[str, Sequence[Row]], category: str) -> list[Row]:
    """The observations of one category, or (empty) all."""
    return [row for row in tables["observations"] if category in ("", row["business_category"])]


def _experiment(observations: Sequence[Row], given: Mapping[UUID, Row]) -> list[OwnerOutcomes]:
    found: dict[tuple[str, str, float], tuple[list[bool], list[bool], list[bool]]] = defaultdict(
        lambda: ([], [], [])
    )
    for row in observations:
        question = given.get(row["enhancement_id"] or row["instead_of"])
        if (
            question
            and question["holdout_share"]
            and (question["no_match_reason"] is None or question["holdout"])
        ):
            key = (row["account_key"], question["business_category"], question["holdout_share"])
            found[key][question["holdout"]].append(row["success"])
            if row["enhancement_id"] and not question["holdout"]:
                found[key][2].append(row["success"])
    return [OwnerOutcomes(*key, *map(_arm, arms)) for key, arms in found.items()]


def _day(row: Row) -> date:
    moment: datetime = row["occurred_time"] if "occurred_time" in row else row["created_at"]
    return moment.astimezone(UTC).date()


def _advised(row: Row, given: Mapping[UUID, Row]) -> bool:
    advice = given.get(row["enhancement_id"])
    return advice is not None and advice["no_match_reason"] is None


def _held_out(row: Row, given: Mapping[UUID, Row]) -> bool:
    advice = given.get(row["enhancement_id"])
    return advice is not None and advice["holdout"]


def _two_digits(amount: float) -> float:
    """Two significant digits, halves away from zero."""
    exact = Decimal(str(amount))
    if not exact:
        return 0.0
    last = Decimal(1).scaleb(exact.adjusted() - 1)
    return float(exact.quantize(last, ROUND_HALF_UP))


def _arm(outcomes: Sequence[bool]) -> Arm:
    return Arm(len(outcomes), sum(outcomes))


def _totals(
    observations: Sequence[Row],
    enhancements: Sequence[Row],
    given: Mapping[UUID, Row],
    start: datetime,
) -> Totals:
    seen = [row for row in observations if _day(row) >= start.date()]
    asked = [row for row in enhancements if _day(row) >= start.date()]
    told = [row for row in asked if row["no_match_reason"] is None]
    advised = [row for row in seen if _advised(row, given)]
    held_out = [row for row in seen if _held_out(row, given)]
    measured = [
        _two_digits(row["revenue_impact"]) for row in advised if row["revenue_impact"] is not None
    ]
    kept = "customer_retained"
    return Totals(
        observations=len(seen),
        questions=sum(not row["holdout"] for row in asked),
        answered=len(told),
        enhanced=len(told),
        from_elsewhere=sum(row["advised_category"] != row["business_category"] for row in told),
        confidence_added=sum(row["confidence"] - row["base_confidence"] for row in told),
        exploration_loss=sum(row["exploration_loss"] for row in told),
        advised=_arm([row["success"] for row in advised]),
        compared=_arm([row["success"] for row in advised]),
        held_out=_arm([row["success"] for row in held_out]),
        advised_retention=_arm([row[kept] for row in advised if row[kept] is not None]),
        held_out_retention=_arm([row[kept] for row in held_out if row[kept] is not None]),
        advised_measured=len(measured),
        advised_revenue=sum(measured),
    )


def _lags(enhancements: Sequence[Row], patterns: Sequence[Row], start: datetime) -> Sequence[float]:
    discovered = {
        row["id"]: row["first_discovered"] for row in patterns if row["catalog_key"] is None
    }
    first: dict[UUID, datetime] = {}
    for row in enhancements:
        if row["no_match_reason"] is None and row["pattern_id"]:
            first[row["pattern_id"]] = min(
                first.get(row["pattern_id"], row["created_at"]), row["created_at"]
            )
    return [
        max((at - discovered[pattern]).total_seconds(), 0.0)
        for pattern, at in first.items()
        if at >= start and pattern in discovered
    ]


def _accounts(
    observations: Sequence[Row],
    enhancements: Sequence[Row],
    given: Mapping[UUID, Row],
    start: datetime,
) -> AccountCounts:
    seen = [row for row in observations if _day(row) >= start.date()]
    asked = [row for row in enhancements if _day(row) >= start.date()]
    advised = [row for row in seen if _advised(row, given)]
    held_out = [row for row in seen if _held_out(row, given)]

    def distinct(rows: Sequence[Row], told: str = "success") -> int:
        return len({row["account_key"] for row in rows if row[told] is not None})

    return AccountCounts(
        active=len({row["account_key"] for row in [*seen, *asked]}),
        asked=len({row["account_key"] for row in asked if not row["holdout"]}),
        enhanced=len({row["account_key"] for row in asked if row["no_match_reason"] is None}),
        observed=distinct(seen),
        advised=distinct(advised),
        revenue=distinct(advised, "revenue_impact"),
        advised_retention=distinct(advised, "customer_retained"),
        held_out=distinct(held_out),
        held_out_retention=distinct(held_out, "customer_retained"),
    )


def _predictions(
    observations: Sequence[Row], given: Mapping[UUID, Row], start: datetime
) -> Sequence[Prediction]:
    by_pattern: dict[UUID, list[tuple[Row, Row]]] = defaultdict(list)
    for row in observations:
        if _advised(row, given) and given[row["enhancement_id"]]["pattern_id"]:
            advice = given[row["enhancement_id"]]
            by_pattern[advice["pattern_id"]].append((row, advice))
    found = []
    for pairs in by_pattern.values():
        if all(row["occurred_time"] < start for row, _ in pairs):
            continue
        judged = [
            (row, advice) for row, advice in pairs if advice["expected_deviation"] is not None
        ]
        prediction = Prediction(
            outcomes=len(judged),
            successes=sum(row["success"] for row, _ in judged),
            expected=sum(advice["expected_success_rate"] for _, advice in judged),
            variance=sum(
                advice["expected_success_rate"] * (1 - advice["expected_success_rate"])
                for _, advice in judged
            ),
            deviation=sum(advice["expected_deviation"] for _, advice in judged),
        )
        found.append(prediction)
    return found


def _newcomers(
    accounts: Sequence[Row],
    observations: Sequence[Row],
    enhancements: Sequence[Row],
    start: datetime,
) -> Sequence[Newcomer]:
    found = []
    for account in accounts:
        key, joined = account["account_key"], account["joined_time"]
        seen = [row for row in observations if row["account_key"] == key]
        asked = [row for row in enhancements if row["account_key"] == key]
        if joined < start or not asked or not account["registered"]:
            continue
        first = min(row["created_at"] for row in asked)
        told = [row["created_at"] for row in asked if row["no_match_reason"] is None]
        successes = [
            row["occurred_time"]
            for row in seen
            if row["success"] and row["occurred_time"] >= joined
        ]
        found.append(
            Newcomer(
                first in told,
                (min(told) - joined).total_seconds() if told else None,
                (min(successes) - joined).total_seconds() if successes else None,
                key,
            )
        )
    return found


def _days(
    observations: Sequence[Row],
    enhancements: Sequence[Row],
    patterns: Sequence[Row],
    given: Mapping[UUID, Row],
    start: datetime,
) -> Sequence[Day]:
    discovered = [
        row["first_discovered"].astimezone(UTC).date()
        for row in patterns
        if row["catalog_key"] is None
    ]
    days = (
        {_day(row) for row in observations}
        | {_day(row) for row in enhancements if not row["holdout"]}
        | set(discovered)
    )
    found = []
    for day in sorted(day for day in days if day >= start.date()):
        seen = [row for row in observations if _day(row) == day]
        asked = [row for row in enhancements if _day(row) == day]
        found.append(
            Day(
                day,
                patterns_discovered=discovered.count(day),
                observations=len(seen),
                questions=sum(not row["holdout"] for row in asked),
                enhanced=sum(row["no_match_reason"] is None for row in asked),
                advised=_arm([row["success"] for row in seen if _advised(row, given)]),
                held_out=_arm([row["success"] for row in seen if _held_out(row, given)]),
            )
        )
    return found


def _shown(row: Row, patterns: Sequence[Row]) -> bool:
    """Whether an operator lets a pattern be shown, and it has words for that: its own, or those that it speaks in."""
    if row["retired_time"] is not None:
        return False
    sources = [each for each in patterns if each["id"] == row["worded_from"]]
    return bool(
        _words(row) or any(_words(each) for each in sources if each["retired_time"] is None)
    )


def _words(row: Row) -> str:
    words: str = row["shown_action"] if row["catalog_key"] is None else row["action_template"]
    return words
