"""What stays of archived observations in patterns: sums by pattern and account, and their words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from keeper_grpc.domain.evidence.sums import PatternSums
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.archives.questions import draw_of
from keeper_grpc.storage.archives.rows import Row
from keeper_grpc.storage.archives.sums import sums_of, to_stored
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.ledger_sums import to_counted
from keeper_grpc.storage.patterns.keys import by_column

_REPORTS = hashlib.sha256(b"reports").digest()
"""In place of the hash of their words: of an account's reports on one pattern the first is kept."""


@dataclass(slots=True)
class Wording:
    """How often one thing was said, and by which observation first."""

    context: Mapping[str, Any]
    action: str
    observations: int
    first_recorded: datetime
    first_id: UUID
    reported: bool

    def plus(self, other: Wording) -> Wording:
        """Both together, in the words of the first: those of reports are not all the same."""
        first = min(self, other, key=lambda each: (each.first_recorded, each.first_id))
        return replace(first, observations=self.observations + other.observations)


@dataclass(slots=True)
class Part:
    """One account's archived observations of one pattern, summed up in the order in which they come."""

    business_category: str
    first_recorded: datetime
    sums: PatternSums = field(default_factory=PatternSums)
    weeks: dict[str, list[int]] = field(default_factory=dict)
    wordings: dict[bytes, Wording] = field(default_factory=dict)

    def add(self, account_key: str, row: Row, half_life: timedelta) -> None:
        """Count one observation."""
        net = net_revenue(row)
        costed = row["cost"] is not None and net is not None
        self.sums.add(
            to_counted(
                {
                    **row,
                    **draw_of(row),
                    "final": True,
                    "account_key": account_key,
                    "net_revenue": net,
                    "costed": costed,
                }
            ),
            half_life,
        )
        self.first_recorded = min(self.first_recorded, row["recorded_time"])
        occurred = row["occurred_time"].astimezone(UTC).date()
        week = self.weeks.setdefault(str(occurred - timedelta(days=occurred.weekday())), [0, 0])
        week[0] += 1
        week[1] += row["success"]
        self._say(row)

    def _say(self, row: Row) -> None:
        reported = row["disposition"] == "reported"
        digest = _REPORTS if reported else words_hash(row["context"], row["action"])
        one = Wording(
            row["context"], row["action"], 1, row["recorded_time"], row["id"], reported=reported
        )
        before = self.wordings.get(digest)
        self.wordings[digest] = one if before is None else before.plus(one)


Parts = dict[tuple[PatternKey, str], Part]
"""By pattern and account."""


def net_revenue(row: Row) -> float | None:
    """As the ledger computes it."""
    revenue: float | None = row["revenue_impact"]
    return None if revenue is None else revenue - (row["cost"] or 0.0)


def words_hash(context: Mapping[str, Any], action: str) -> bytes:
    """The same for the same words."""
    return hashlib.sha256(json.dumps([context, action], sort_keys=True).encode()).digest()


def add_row(
    parts: Parts, account_key: str, key: PatternKey, row: Row, half_life: timedelta
) -> None:
    """Count one observation of a pattern by this account."""
    part = parts.get((key, account_key))
    if part is None:
        part = parts[key, account_key] = Part(row["business_category"], row["recorded_time"])
    part.add(account_key, row, half_life)


async def add_parts(connection: Connection, parts: Parts) -> None:
    """Add what was archived to what was before; the caller owns the patterns' scopes."""
    if not parts:
        return
    for part, before in await _before(connection, parts):
        part.sums.join(sums_of(before["account_key"], before))
        part.first_recorded = min(part.first_recorded, before["first_recorded_time"])
        for week, counts in before["weeks"].items():
            there = part.weeks.setdefault(week, [0, 0])
            there[0] += counts[0]
            there[1] += counts[1]
    await connection.executemany(
        """
        INSERT INTO archived_parts (scope_id, pattern_id, account_key, business_category, observations,
                                    first_time, last_time, first_recorded_time, sums, weeks)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (scope_id, pattern_id, account_key) DO UPDATE
           SET observations = excluded.observations, first_time = excluded.first_time,
               last_time = excluded.last_time, first_recorded_time = excluded.first_recorded_time,
               sums = excluded.sums, weeks = excluded.weeks
        """,
        [
            (
                *key,
                account,
                part.business_category,
                part.sums.observations,
                part.sums.first,
                part.sums.last,
                part.first_recorded,
                to_stored(part.sums, account),
                part.weeks,
            )
            for (key, account), part in parts.items()
        ],
    )
    await connection.executemany(
        """
        INSERT INTO archived_wordings AS w (scope_id, pattern_id, account_key, words_hash, context, action,
                                            observations, first_recorded_time, first_id, reported)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (scope_id, pattern_id, account_key, words_hash) DO UPDATE
           SET observations = w.observations + excluded.observations,
               context = CASE WHEN (excluded.first_recorded_time, excluded.first_id)
                                   < (w.first_recorded_time, w.first_id)
                              THEN excluded.context ELSE w.context END,
               first_id = CASE WHEN (excluded.first_recorded_time, excluded.first_id)
                                    < (w.first_recorded_time, w.first_id)
                               THEN excluded.first_id ELSE w.first_id END,
               first_recorded_time = least(w.first_recorded_time, excluded.first_recorded_time)
        """,
        [
            (
                *key,
                account,
                digest,
                said.context,
                said.action,
                said.observations,
                said.first_recorded,
                said.first_id,
                said.reported,
            )
            for (key, account), part in parts.items()
            for digest, said in part.wordings.items()
        ],
    )


async def _before(connection: Connection, parts: Parts) -> Sequence[tuple[Part, Any]]:
    rows = await connection.fetch(
        """
        SELECT p.* FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS asked (scope_id, pattern_id, account_key)
          JOIN archived_parts p USING (scope_id, pattern_id, account_key)
         WHERE p.scope_id = ANY($1::bigint[])
        """,
        [key.scope_id for key, _ in parts],
        [key.pattern_id for key, _ in parts],
        [account for _, account in parts],
    )
    return [
        (parts[PatternKey(row["scope_id"], row["pattern_id"]), row["account_key"]], row)
        for row in rows
    ]


async def move_parts(connection: Connection, gone: PatternKey, stays: PatternKey) -> None:
    """Let what was archived of one pattern be of another of its scope, which the caller owns."""
    had = await connection.fetch(
        "DELETE FROM archived_parts WHERE scope_id = $1 AND pattern_id = $2 RETURNING *", *gone
    )
    said = await connection.fetch(
        "DELETE FROM archived_wordings WHERE scope_id = $1 AND pattern_id = $2 RETURNING *", *gone
    )
    parts: Parts = {}
    for row in had:
        account = row["account_key"]
        part = Part(row["business_category"], row["first_recorded_time"])
        part.sums, part.weeks = sums_of(account, row), row["weeks"]
        parts[stays, account] = part
    for row in said:
        parts[stays, row["account_key"]].wordings[row["words_hash"]] = Wording(
            row["context"],
            row["action"],
            row["observations"],
            row["first_recorded_time"],
            row["first_id"],
            row["reported"],
        )
    await add_parts(connection, parts)


async def drop_parts(
    connection: Connection, keys: Collection[PatternKey], account_key: str | None = None
) -> int:
    """Drop what was archived of these patterns, of one account or of all: how many observations that was."""
    rows = await connection.fetch(
        """
        DELETE FROM archived_parts
         WHERE scope_id = ANY($1::bigint[]) AND pattern_id = ANY($2::uuid[])
           AND ($3::text IS NULL OR account_key = $3)
        RETURNING observations
        """,
        *by_column(keys),
        account_key,
    )
    await connection.execute(
        """
        DELETE FROM archived_wordings
         WHERE scope_id = ANY($1::bigint[]) AND pattern_id = ANY($2::uuid[])
           AND ($3::text IS NULL OR account_key = $3)
        """,
        *by_column(keys),
        account_key,
    )
    return sum(row["observations"] for row in rows)
