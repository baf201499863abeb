"""What the ledger has of the accounts, requests and questions of a group."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING
from uuid import UUID

from keeper_grpc.domain.insight import AnonymizationReport, DroppedField
from keeper_grpc.domain.observation import Disposition, Recorded, Standing
from keeper_grpc.domain.patterns.group import Asking, Known, Pinned, Request
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.storage.accounts.holding import hold_accounts, own_reactions
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.holding import keep_patterns
from keeper_grpc.storage.patterns.keys import by_column, key_of
from keeper_grpc.storage.patterns.words import action_in_words

if TYPE_CHECKING:
    from asyncpg import Record


async def find_known(connection: Connection, asking: Asking) -> Known:
    """Look all of it up within the caller's transaction, which owns the scopes.

    Accounts and the advised patterns are kept from whoever would delete them until the transaction ends.
    """
    # In one order, before any row that others take after the account.
    accounts = await hold_accounts(connection, asking.accounts)
    if asking.reporting:
        # A reaction owns its account before it reads outcomes.
        await own_reactions(connection, asking.reporting)
    recorded = await find_recorded(connection, asking.requests)
    answered = await _answered(
        connection, {*asking.reported, *(each for _, each, _ in asking.not_followed)}
    )
    asked = await _asked(connection, asking.not_followed)
    pinned, merged = await _pin(connection, asking.advised)
    dismissed = await _dismissed(connection, asking.reported)
    return Known(accounts, recorded, asked, answered, dismissed, pinned, merged)


async def _dismissed(connection: Connection, enhancement_ids: AbstractSet[UUID]) -> set[UUID]:
    if not enhancement_ids:
        return set()
    rows = await connection.fetch(
        "SELECT id FROM enhancements WHERE id = ANY($1::uuid[]) AND reaction = 'dismissed'",
        list(enhancement_ids),
    )
    return {row["id"] for row in rows}


async def find_recorded(
    connection: Connection, requests: Collection[Request]
) -> Mapping[Request, Recorded]:
    """The ledger entries of earlier attempts, also of reports whose outcome was replaced since."""
    found = await connection.fetch(
        """
        SELECT account_key, request_id, fingerprint, scope_id, observation_id
          FROM unnest($1::text[], $2::uuid[]) AS asked (account_key, request_id)
          JOIN outcome_requests USING (account_key, request_id)
        """,
        [account_key for account_key, _ in requests],
        [request_id for _, request_id in requests],
    )
    if not found:
        return {}
    rows = await connection.fetch(
        """
        SELECT id, scope_id, pattern_id, disposition, similarity, anonymization FROM observations
         WHERE scope_id = ANY($1::bigint[]) AND id = ANY($2::uuid[])
        """,
        list({row["scope_id"] for row in found}),
        [row["observation_id"] for row in found],
    )
    entries = {row["id"]: row for row in rows}
    return {
        (row["account_key"], row["request_id"]): _to_recorded(row["fingerprint"], entry)
        for row in found
        if (entry := entries.get(row["observation_id"])) is not None
    }


def _to_recorded(fingerprint: bytes, row: Record) -> Recorded:
    return Recorded(
        fingerprint=fingerprint,
        pattern=(
            None if row["pattern_id"] is None else PatternKey(row["scope_id"], row["pattern_id"])
        ),
        disposition=Disposition(row["disposition"]),
        similarity=row["similarity"],
        anonymization=AnonymizationReport(
            masked=row["anonymization"]["masked"],
            dropped=tuple(DroppedField(*pair) for pair in row["anonymization"]["dropped"]),
        ),
    )


async def _answered(
    connection: Connection, questions: AbstractSet[UUID]
) -> Mapping[UUID, Standing | None]:
    if not questions:
        return {}
    # An outcome may be of another scope than its question.
    claimed = await connection.fetch(
        """
        SELECT enhancement_id, observation_id FROM enhancement_outcomes
         WHERE enhancement_id = ANY($1::uuid[])
        """,
        list(questions),
    )
    if not claimed:
        return {}
    question_of = {row["observation_id"]: row["enhancement_id"] for row in claimed}
    rows = await connection.fetch(
        """
        SELECT o.id, o.pattern_type, o.business_category, o.pattern_id, o.final, o.disposition,
               -- Its pattern may have been moved to another model since.
               coalesce(p.embedding_model, o.embedding_model) AS embedding_model
          FROM observations o
          LEFT JOIN network_patterns p ON p.scope_id = o.scope_id AND p.id = o.pattern_id
         WHERE o.id = ANY($1::uuid[])
        """,
        list(question_of),
    )
    return {
        question_of[row["id"]]: None
        if row["disposition"] != "reported"
        else Standing(
            row["id"],
            Scope(row["pattern_type"], row["business_category"], row["embedding_model"]),
            row["pattern_id"],
            row["final"],
        )
        for row in rows
    }


async def _asked(
    connection: Connection, claimed: AbstractSet[tuple[str, UUID, str]]
) -> set[tuple[str, UUID, str]]:
    if not claimed:
        return set()
    rows = await connection.fetch(
        """
        SELECT e.account_key, e.id, e.pattern_type
          FROM unnest($1::text[], $2::uuid[], $3::text[]) AS claimed (account_key, id, pattern_type)
          JOIN enhancements e USING (account_key, id, pattern_type)
        """,
        *(list(column) for column in zip(*claimed, strict=True)),
    )
    return {(row["account_key"], row["id"], row["pattern_type"]) for row in rows}


async def _pin(
    connection: Connection, keys: AbstractSet[PatternKey]
) -> tuple[Mapping[PatternKey, Pinned], AbstractSet[PatternKey]]:
    if not keys:
        return {}, frozenset()
    await keep_patterns(connection, keys)
    rows = await connection.fetch(
        f"""
        SELECT p.scope_id, p.id, {action_in_words("p")} AS action, p.embedding_model
          FROM network_patterns p
         WHERE p.scope_id = ANY($1::bigint[]) AND p.id = ANY($2::uuid[])
        """,  # noqa: S608 - a constant
        *by_column(keys),
    )
    pinned = {key_of(row): Pinned(row["action"], row["embedding_model"]) for row in rows}
    if not (gone := keys - pinned.keys()):
        return pinned, frozenset()
    merged = await connection.fetch(
        """
        SELECT scope_id, pattern_id FROM merged_patterns
         WHERE scope_id = ANY($1::bigint[]) AND pattern_id = ANY($2::uuid[])
        """,
        *by_column(gone),
    )
    return pinned, {PatternKey(*row) for row in merged}
