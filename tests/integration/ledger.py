"""A ledger made of plain rows, and its metrics' numbers counted from them one by one.

Nothing here shares code or SQL with what it is compared to: it reads whole tables and loops.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

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
VECTOR = "[" + ",".join(["0"] * 1536) + "]"
TABLES = ("observations", "enhancements", "network_patterns", "accounts")
MEASURES = ("measure_changes", "daily_measures", "pattern_advice", "account_milestones")


@dataclass(frozen=True)
class Ledger:
    """Writes rows as use cases do, but with values of the test's choice."""

    connection: asyncpg.Connection[asyncpg.Record]

    async def clear(self) -> None:
        """Begin anew."""
        await self.connection.execute(f"TRUNCATE {', '.join((*TABLES, *MEASURES))} CASCADE")

    async def account(
        self, key: str, category: str, joined: datetime, *, registered: bool = True
    ) -> None:
        """An account, registered or known from its first call."""
        await self.connection.execute(
            """
            INSERT INTO accounts (account_key, business_category, joined_time, registered,
                                  qualified)
            VALUES ($1, $2, $3, $4, true)
            """,
            key,
            category,
            joined,
            registered,
        )

    async def pattern(
        self,
        category: str,
        discovered: datetime,
        validated: datetime,
        *,
        accounts: int,
        occurrences: int,
        authored: bool = False,
    ) -> UUID:
        """A pattern with these counts, of the catalog if it is `authored`."""
        pattern_id = uuid4()
        await self.connection.execute(
            """
            INSERT INTO network_patterns (
                id, pattern_type, business_category, embedding_model, pattern_embedding, context,
                action_template, first_discovered, last_validated, occurrence_count,
                account_count, catalog_key)
            VALUES ($1, 'pricing', $2, 'model', $3::text::vector, '{}', 'act', $4, $5, $6, $7, $8)
            """,
            pattern_id,
            category,
            VECTOR,
            discovered,
            validated,
            occurrences,
            accounts,
            str(pattern_id) if authored else None,
        )
        return pattern_id

    async def enhancement(self, account: Row, pattern: Row | None, given: Row) -> UUID:
        """A question: advised when there is a pattern, unless held out."""
        enhancement_id = uuid4()
        held_out = pattern is not None and given["held_out"]
        reason = "holdout" if held_out else None if pattern else "no_patterns"
        await self.connection.execute(
            """
            INSERT INTO enhancements (
                id, account_key, pattern_id, no_match_reason, pattern_type, business_category,
                embedding_model, similarity, base_confidence, confidence, expected_success_rate,
                transfer, script, holdout, context, action, created_at, advised_category,
                expected_deviation)
            VALUES ($1, $2, $3, $4, 'pricing', $5, 'model', 1, $6, $7, $8, 1, '', $9, '{}', '',
                    $10, $11, $12)
            """,
            enhancement_id,
            account["key"],
            pattern["id"] if pattern else None,
            reason,
            account["category"],
            given["base"],
            given["base"] * 1.25 if pattern else given["base"],
            given["expected"] if pattern else 0.0,
            held_out,
            given["at"],
            pattern["category"] if pattern else None,
            given["deviation"] if pattern else None,
        )
        return enhancement_id

    async def observation(
        self, account: Row, outcome: Row, *, pattern: UUID | None, enhancement: UUID | None
    ) -> None:
        """A captured outcome, or a reported one."""
        await self.connection.execute(
            """
            INSERT INTO observations (
                id, account_key, request_id, fingerprint, disposition, pattern_id, enhancement_id,
                similarity, pattern_type, business_category, embedding_model, context, action,
                script, confidence, dollar_value, potential_value, success, revenue_impact,
                customer_retained, anonymization, occurred_time, recorded_time)
            VALUES ($1, $2, $1, '', $3, $4, $5, 1, 'pricing', $6, 'model', '{}', 'act', '', 0.5, 0,
                    0, $7, $8, $9, '{}', $10, $10)
            """,
            uuid4(),
            account["key"],
            "reported" if enhancement else "merged" if pattern else "withheld",
            pattern,
            enhancement,
            account["category"],
            outcome["success"],
            outcome["revenue"],
            outcome["retained"],
            outcome["at"],
        )

    async def forget(self, key: str) -> None:
        """Delete an account as ForgetAccount does: its observations pattern by pattern, the rest."""
        async with self.connection.transaction():
            for row in await self.connection.fetch(
                "SELECT DISTINCT pattern_id FROM observations WHERE account_key = $1", key
            ):
                await self.connection.execute(
                    "DELETE FROM observations "
                    "WHERE account_key = $1 AND pattern_id IS NOT DISTINCT FROM $2",
                    key,
                    row["pattern_id"],
                )
            await self.connection.execute("DELETE FROM enhancements WHERE account_key = $1", key)
            await self.connection.execute("DELETE FROM accounts WHERE account_key = $1", key)

    async def counted(self, category: str, start: datetime, k: int) -> Gathered:
        """The numbers, by brute force."""
        tables = {
            name: [dict(row) for row in await self.connection.fetch(f"SELECT * FROM {name}")]  # noqa: S608 - a constant
            for name in TABLES
        }
        return count(tables, category, start, k)


def count(tables: Mapping[str, Sequence[Row]], category: str, start: datetime, k: int) -> Gathered:
    """Everything that metrics are computed from, out of whole tables."""

    def here(rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if category in ("", row["business_category"])]

    given = {row["id"]: row for row in tables["enhancements"]}
    observations, enhancements = here(tables["observations"]), here(tables["enhancements"])
    patterns = [row for row in here(tables["network_patterns"]) if row["occurrence_count"]]
    return Gathered(
        totals=_totals(observations, enhancements, given, start),
        patterns=PatternCounts(
            discovered=sum(
                row["first_discovered"] >= start and row["catalog_key"] is None for row in patterns
            ),
            in_use=sum(row["last_validated"] >= start for row in patterns),
            shared=sum(
                row["last_validated"] >= start and row["account_count"] > 1 for row in patterns
            ),
            published=sum(row["account_count"] >= k for row in patterns),
        ),
        lags=_lags(enhancements, tables["network_patterns"], start),
        predictions=[prediction for prediction, _ in _advised_patterns(observations, given, start)],
        revenues=[revenue for _, revenue in _advised_patterns(observations, given, start)],
        newcomers=_newcomers(here(tables["accounts"]), observations, enhancements, start),
        accounts=_accounts(observations, enhancements, given, start),
        since=min(
            [_day(row) for row in observations]
            + [_day(row) for row in enhancements if not row["holdout"]],
            default=None,
        ),
        days=_days(observations, enhancements, patterns, given, start),
        categories=[
            name
            for name in sorted({row["business_category"] for row in tables["accounts"]})
            if _active(tables, name, start) >= k
        ],
    )


def _active(tables: Mapping[str, Sequence[Row]], category: str, start: datetime) -> int:
    """Accounts of a line of business that asked or observed something."""
    rows = [*tables["observations"], *tables["enhancements"]]
    active = {row["account_key"] for row in rows if _day(row) >= start.date()}
    return sum(
        row["account_key"] in active and row["business_category"] == category
        for row in tables["accounts"]
    )


def _day(row: Row) -> date:
    moment: datetime = row["occurred_time"] if "occurred_time" in row else row["created_at"]
    return moment.astimezone(UTC).date()


def _advised(row: Row, given: Mapping[UUID, Row]) -> bool:
    advice = given.get(row["enhancement_id"])
    return advice is not None and advice["no_match_reason"] is None


def _held_out(row: Row, given: Mapping[UUID, Row]) -> bool:
    advice = given.get(row["enhancement_id"])
    return advice is not None and advice["holdout"]


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
    measured = [row["revenue_impact"] for row in advised if row["revenue_impact"] is not None]
    kept = "customer_retained"
    return Totals(
        observations=len(seen),
        questions=sum(not row["holdout"] for row in asked),
        enhanced=len(told),
        from_elsewhere=sum(row["advised_category"] != row["business_category"] for row in told),
        confidence_added=sum(row["confidence"] - row["base_confidence"] for row in told),
        advised=_arm([row["success"] for row in advised]),
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


def _advised_patterns(
    observations: Sequence[Row], given: Mapping[UUID, Row], start: datetime
) -> Sequence[tuple[Prediction, float]]:
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
        found.append((prediction, sum(row["revenue_impact"] or 0.0 for row, _ in pairs)))
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
