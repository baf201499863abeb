"""What the database must say at the end, held against what was acknowledged."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from bench.chaos.book import Book

SHOWN = 5
"""Examples of one kind of violation that are printed."""


async def ledger(connection: asyncpg.Connection, book: Book) -> Sequence[str]:
    """Every acknowledged call is there once, with what it said last, and nothing else is."""
    requests = await connection.fetch(
        """
        SELECT r.request_id::text AS request_id, r.observation_id, r.revises, o.success
          FROM outcome_requests r
          LEFT JOIN observations o ON o.scope_id = r.scope_id AND o.id = r.observation_id
        """
    )
    stored = {row["request_id"]: row for row in requests}
    said = book.outcomes
    last = {name: one.success for name, one in said.items() if not one.revises}
    first = {name: name for name in last}
    for name, one in said.items():
        if one.revises:  # which comes after what it revises, in the order of the book
            first[name] = first[one.revises]
            last[first[name]] = one.success
    recorded = [row["observation_id"] for row in requests if not row["revises"]]
    counts = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM observations) AS observations,
               (SELECT count(*) FROM outcome_revisions) AS revisions,
               (SELECT count(*) FROM reactions) AS reactions,
               ARRAY(SELECT request_id::text FROM reaction_requests) AS reaction_requests,
               ARRAY(SELECT id::text FROM enhancements) AS questions
        """
    )
    assert counts is not None  # noqa: S101 - a SELECT without FROM has a row
    return [
        *_some("lost outcomes", said.keys() - stored.keys()),
        *_some("outcomes that nobody sent", stored.keys() - said.keys()),
        *_some(
            "requests without an observation",
            (n for n, row in stored.items() if row["success"] is None),
        ),
        *_some(
            "outcomes that say something else",
            (n for n in stored.keys() & said.keys() if stored[n]["success"] is not last[first[n]]),
        ),
        *_some(
            "revisions that are none, or the other way round",
            (
                n
                for n in stored.keys() & said.keys()
                if stored[n]["revises"] is not bool(said[n].revises)
            ),
        ),
        *_unequal("observations", counts["observations"], len(set(recorded)), len(recorded)),
        *_unequal("revisions", counts["revisions"], len(requests) - len(recorded)),
        *_some("lost questions", book.questions - set(counts["questions"])),
        *_some("lost reactions", book.reactions - set(counts["reaction_requests"])),
        *_unequal(
            "reactions", counts["reactions"], len(counts["reaction_requests"]), len(book.reactions)
        ),
    ]


async def patterns(connection: asyncpg.Connection) -> Sequence[str]:
    """Those who said the same are one pattern, which lies where its observations do."""
    doubled = await connection.fetch(
        """
        SELECT pattern_type, business_category, action_template, count(*)
          FROM network_patterns GROUP BY scope_id, 1, 2, 3, context HAVING count(*) > 1
        """
    )
    # A sum of equal unit vectors is as long as there are of them.
    moved = await connection.fetch(
        """
        SELECT p.id, p.embedding_weight, a.action_weight, o.observations
          FROM network_patterns p JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
          JOIN (SELECT scope_id, pattern_id, count(*) AS observations
                  FROM observations WHERE disposition IN ('created', 'merged')
                 GROUP BY 1, 2 HAVING count(DISTINCT (action, context)) = 1) o
            ON o.scope_id = p.scope_id AND o.pattern_id = p.id
         WHERE p.worded_from IS NULL  -- one that began with a report lies where that did at first
           AND (abs(p.embedding_weight - o.observations) > 0.01 * o.observations
                OR abs(a.action_weight - o.observations) > 0.01 * o.observations)
        """
    )
    return [
        *_some("patterns that are there more than once", (tuple(row) for row in doubled)),
        *_some("patterns that lie where their observations do not", (tuple(row) for row in moved)),
    ]


DERIVED: Mapping[str, tuple[int, str]] = {
    "pattern_accounts": (3, "SELECT scope_id, pattern_id, account_key, * FROM pattern_accounts"),
    "pattern_harms": (3, "SELECT scope_id, pattern_id, account_key, * FROM pattern_harms"),
    "pattern_facets": (4, "SELECT scope_id, pattern_id, facet, account_key, * FROM pattern_facets"),
    "pattern_wordings": (
        4,
        "SELECT scope_id, pattern_id, account_key, action_hash, action FROM pattern_wordings",
    ),
    "script_accounts": (3, "SELECT scope_id, script_id, account_key, * FROM script_accounts"),
    "pattern_scripts": (
        3,
        "SELECT scope_id, pattern_id, template_hash, template FROM pattern_scripts",
    ),
    "network_patterns": (
        2,
        """SELECT scope_id, id, occurrence_count, success_count, account_count, confidence_score, first_discovered,
                  last_validated, shown_action, shown_context, fading FROM network_patterns""",
    ),
    "current_measures": (2, "SELECT day, business_category, * FROM current_measures"),
    "pattern_advice": (3, "SELECT scope_id, pattern_id, business_category, * FROM pattern_advice"),
    "account_milestones": (1, "SELECT account_key, * FROM account_milestones"),
    "experiment_outcomes": (
        3,
        "SELECT scope_id, account_key, holdout_share, * FROM experiment_outcomes",
    ),
    "enhancements": (2, "SELECT scope_id, id, reaction, adopted, adopted_time FROM enhancements"),
}
"""All that is counted from the ledgers: as many leading columns as name a row, and what it says."""

Derived = Mapping[str, Mapping[tuple[Any, ...], Sequence[Any]]]


async def derived(connection: asyncpg.Connection) -> Derived:
    """Everything that is counted."""
    return {
        table: {
            tuple(row[:names]): tuple(row[names:])
            for row in map(tuple, await connection.fetch(query))
        }
        for table, (names, query) in DERIVED.items()
    }


def corrected(before: Derived, after: Derived) -> Iterator[str]:
    """The rows that a rebuild changed. Sums of weights by age depend on their order in the last digits."""
    for table, rows in before.items():
        again = after[table]
        wrong = [
            key
            for key in rows.keys() | again.keys()
            if key not in rows or key not in again or not _same(rows[key], again[key])
        ]
        yield from _some(
            f"rows of {table} that a rebuild corrects",
            (f"{key}: {rows.get(key)} -> {again.get(key)}" for key in wrong),
        )


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(
        math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-9)
        if isinstance(mine, float) and isinstance(theirs, float)
        else mine == theirs
        for mine, theirs in zip(one, other, strict=True)
    )


async def rebuild(environment: Mapping[str, str]) -> str:
    """Run the command as an operator would: what it printed."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).parent / "keeper", "rebuild"],
            env=os.environ | dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    done = await asyncio.to_thread(run)
    return done.stdout + done.stderr


def _some(what: str, found: Iterator[object] | set[str]) -> Iterator[str]:
    every = [str(each) for each in found]
    if every:
        yield f"{len(every)} {what}: {', '.join(every[:SHOWN])}"


def _unequal(what: str, *counts: int) -> Iterator[str]:
    if len(set(counts)) > 1:
        yield f"{what} do not agree: {counts}"
