"""Patterns and scripts that an operator took back."""

from __future__ import annotations

import hashlib
from uuid import UUID

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.errors import PatternNotFound, ScriptNotFound
from keeper_grpc.domain.patterns.withdrawal import wording_hash
from keeper_grpc.storage.accounts.audit import append_event
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.emerging.sightings import counts
from keeper_grpc.storage.locks import lock_step
from keeper_grpc.storage.patterns.holding import keep_patterns
from keeper_grpc.storage.patterns.keys import pattern_keys
from keeper_grpc.storage.patterns.versions import touch


def folded(text: str) -> str:
    """What an SQL expression says in any case, blanks and marks, as a script is withdrawn."""
    return rf"lower(trim(regexp_replace({text}, '\W+', ' ', 'g')))"


_SAID = f"""
    SELECT p.pattern_type, {folded("p.action_template")} AS said FROM network_patterns p
     WHERE {{of}}
     UNION
    SELECT p.pattern_type, {folded("w.action")}
      FROM network_patterns p
      JOIN pattern_wordings w ON w.scope_id = p.scope_id AND w.pattern_id = p.id
     WHERE {{of}}
"""  # noqa: S608 - only constants are interpolated


async def said_by_retired(connection: Connection) -> tuple[list[str], list[str]]:
    """What the accounts or authors of retired patterns say, `folded`: types and texts."""
    rows = await connection.fetch(_SAID.format(of="p.retired_time IS NOT NULL"))
    return [row["pattern_type"] for row in rows], [row["said"] for row in rows]


class PostgresWithdrawal:
    """The tables of usecases/patterns/withdraw.py; see there for what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def retire(self, pattern_id: UUID, event: AuditEvent, *, undo: bool) -> bool:
        async with self._database.transaction() as connection:
            # First, since a step may take a second, and what is locked below keeps calls waiting.
            await lock_step(connection)
            key = (await pattern_keys(connection, [pattern_id])).get(pattern_id)
            row = key and await connection.fetchrow(
                """
                SELECT retired_time IS NOT NULL AS retired FROM network_patterns
                 WHERE scope_id = $1 AND id = $2 FOR NO KEY UPDATE
                """,
                *key,
            )
            if key is None or row is None:
                raise PatternNotFound(for_operator=True)
            if row["retired"] is not undo:
                return False
            await connection.execute(
                "UPDATE network_patterns SET retired_time = $3 WHERE scope_id = $1 AND id = $2",
                *key,
                None if undo else event.created_at,
            )
            # Emerging patterns that tell of it are worded anew.
            said = await connection.fetch(_SAID.format(of="p.scope_id = $1 AND p.id = $2"), *key)
            seen = await connection.fetch(
                f"""
                SELECT s.id, {counts("s")} AS pending
                  FROM unnest($1::text[], $2::text[]) AS p (pattern_type, said)
                  JOIN sightings s ON s.pattern_type = p.pattern_type
                 WHERE s.emerging_pattern_id IS NOT NULL AND s.action <> '' AND {folded("s.action")} = p.said
                """,  # noqa: S608 - only aliases are interpolated
                [row["pattern_type"] for row in said],
                [row["said"] for row in said],
            )
            await connection.execute(
                """
                UPDATE sightings s SET pending = seen.pending
                  FROM unnest($1::bigint[], $2::boolean[]) AS seen (id, pending) WHERE s.id = seen.id
                """,
                [row["id"] for row in seen],
                [row["pending"] for row in seen],
            )
            await append_event(connection, event)
            await touch(connection, [key])
        return True

    async def withdraw_script(
        self, pattern_id: UUID, script: str, event: AuditEvent, *, undo: bool
    ) -> bool:
        digest = wording_hash(script)
        async with self._database.transaction() as connection:
            # Keeps the pattern until the end.
            key = (await pattern_keys(connection, [pattern_id])).get(pattern_id)
            if key is None or not await keep_patterns(connection, [key]):
                raise PatternNotFound(for_operator=True)
            if undo:
                changed = await connection.fetchval(
                    """
                    DELETE FROM withdrawn_scripts
                     WHERE scope_id = $1 AND pattern_id = $2 AND template_hash = $3
                    RETURNING true
                    """,
                    *key,
                    digest,
                )
            else:
                if not await connection.fetchval(
                    """
                    SELECT EXISTS (SELECT 1 FROM pattern_scripts
                                    WHERE scope_id = $1 AND pattern_id = $2
                                      AND template_hash = $3)
                    """,
                    *key,
                    hashlib.sha256(script.encode()).digest(),
                ):
                    raise ScriptNotFound
                changed = await connection.fetchval(
                    """
                    INSERT INTO withdrawn_scripts
                           (scope_id, pattern_id, template_hash, withdrawn_time)
                    VALUES ($1, $2, $3, $4)
                    ON CONFLICT DO NOTHING RETURNING true
                    """,
                    *key,
                    digest,
                    event.created_at,
                )
            if changed:
                await append_event(connection, event)
                await touch(connection, [key])
        return bool(changed)
