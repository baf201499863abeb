"""The questions that archived observations answer: which may leave the ledger, as files have them, and what is counted of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from keeper_grpc.storage.archives.rows import QUESTION, Row
from keeper_grpc.storage.database import Connection

if TYPE_CHECKING:
    from asyncpg import Record

KNOWN = """
    SELECT coalesce(min(recorded_time) - interval '1 hour', 'infinity') AS since FROM reaction_requests
"""
"""Since when reactions were recorded whose requests are still known, by whichever clock. A request does not say its reaction."""

ANSWERED = """
    SELECT x.observation_id FROM enhancement_outcomes x
      JOIN enhancements e ON e.scope_id = x.scope_id AND e.id = x.enhancement_id
     WHERE e.created_at < '{asked_before}'
       AND NOT EXISTS (SELECT 1 FROM reactions r CROSS JOIN known k
                        WHERE r.scope_id = e.scope_id AND r.enhancement_id = e.id
                          AND (r.counted_time IS NULL OR r.recorded_time >= k.since))
"""
"""Observations whose questions may leave with them: asked before that time, with no reaction that waits for its step or may be
reported again. `known` is KNOWN.
"""

LOOK_TIMEOUT = 3600.0
"""Seconds for a statement about a group's questions, while the machine is busy."""


def question_of(row: Row | Record) -> UUID | None:
    """The question that an observation answers, also one whose advice was not followed."""
    asked: UUID | None = row["enhancement_id"] or row["instead_of"]
    return asked


async def read_questions(
    connection: Connection, ids: Collection[UUID]
) -> Mapping[UUID, Mapping[str, Any]]:
    """These questions with their reactions, as files have them; they may be of several scopes."""
    if not ids:
        return {}
    asked = await connection.fetch(
        """
        SELECT e.id, to_jsonb(e) - '{account_key,kept}'::text[] AS question
          FROM enhancements e WHERE e.id = ANY($1::uuid[])
        """,
        list(ids),
        timeout=LOOK_TIMEOUT,
    )
    reacted = await connection.fetch(
        """
        SELECT r.enhancement_id,
               jsonb_agg(to_jsonb(r) - '{account_key,scope_id,enhancement_id}'::text[] ORDER BY r.id) AS reactions
          FROM enhancements e JOIN reactions r ON r.scope_id = e.scope_id AND r.enhancement_id = e.id
         WHERE e.id = ANY($1::uuid[]) GROUP BY 1
        """,
        list(ids),
        timeout=LOOK_TIMEOUT,
    )
    reactions = {row["enhancement_id"]: row["reactions"] for row in reacted}
    return {
        row["id"]: row["question"] | {"reactions": reactions.get(row["id"], [])} for row in asked
    }


def advised_by(rows: Sequence[Row]) -> Collection[tuple[int, UUID, str]]:
    """The patterns whose advice these rows are outcomes of, in the line of business that got it."""
    questions = [row[QUESTION] for row in rows if row[QUESTION] is not None]
    return {
        (each["advised_scope_id"], UUID(each["pattern_id"]), each["business_category"])
        for each in questions
        if each["pattern_id"] is not None
    }


def draw_of(row: Row) -> Mapping[str, float | None]:
    """What drawn_scripts has of the question whose advice was followed, by its columns; a row may have these itself."""
    if "inverse" in row:
        return {"inverse": row["inverse"], "expected": row["expected"]}
    asked = row[QUESTION] if row["enhancement_id"] is not None else None
    if asked is None or not _drawn(asked):
        return {"inverse": None, "expected": None}
    return {
        "inverse": 1 / asked["script_propensity"],
        "expected": asked["expected_success_rate"],
    }


def _drawn(asked: Mapping[str, Any]) -> bool:
    chance = asked["script_propensity"]
    return (
        chance is not None
        and 0 < chance < 1
        and not asked["holdout"]
        and asked["advised_category"] == asked["business_category"]
    )
