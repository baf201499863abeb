"""Patterns and scripts that an operator took back."""

from __future__ import annotations

import hashlib
from uuid import UUID

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.errors import PatternNotFound, ScriptNotFound
from keeper_grpc.domain.patterns.withdrawal import wording_hash
from keeper_grpc.storage.accounts.audit import append_event
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.sightings import counts
from keeper_grpc.storage.locks import lock_step
from keeper_grpc.storage.patterns.keys import key_of
from keeper_grpc.storage.patterns.versions import touch


def says(pattern: str, sighting: str) -> str:
    """The condition that a sighting says what a pattern's accounts or author say, as SQL; of two aliases.

    In any case, blanks and marks, as a script is withdrawn.
    """

    def folded(text: str) -> str:
        return rf"lower(trim(regexp_replace({text}, '\W+', ' ', 'g')))"

    said = folded(f"{sighting}.action")
    return f"""
        {pattern}.pattern_type = {sighting}.pattern_type AND {sighting}.action <> ''
        AND ({said} = {folded(f"{pattern}.action_template")} OR EXISTS (
             SELECT FROM pattern_wordings said
              WHERE said.scope_id = {pattern}.scope_id AND said.pattern_id = {pattern}.id
                AND {said} = {folded("said.action")}))
    """


class PostgresWithdrawal:
    """The tables of usecases/patterns/withdraw.py; see there for what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def retire(self, pattern_id: UUID, event: AuditEvent, *, undo: bool) -> bool:
        async with self._database.transaction() as connection:
            # First, since a step may take a second, and what is locked below keeps calls waiting.
            await lock_step(connection)
            row = await connection.fetchrow(
                """
                SELECT scope_id, id, retired_time IS NOT NULL AS retired FROM network_patterns
                 WHERE id = $1 FOR NO KEY UPDATE
                """,
                pattern_id,
            )
            if row is None:
                raise PatternNotFound(for_operator=True)
            if row["retired"] is not undo:
                return False
            key = key_of(row)
            await connection.execute(
                "UPDATE network_patterns SET retired_time = $3 WHERE scope_id = $1 AND id = $2",
                *key,
                None if undo else event.created_at,
            )
            # Emerging patterns that tell of it are worded anew.
            await connection.execute(
                f"""
                UPDATE sightings s SET pending = {counts("s")} FROM network_patterns p
                 WHERE p.scope_id = $1 AND p.id = $2 AND s.emerging_pattern_id IS NOT NULL AND {says("p", "s")}
                """,  # noqa: S608 - only aliases are interpolated
                *key,
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
            row = await connection.fetchrow(
                "SELECT scope_id, id FROM network_patterns WHERE id = $1 FOR KEY SHARE", pattern_id
            )
            if row is None:
                raise PatternNotFound(for_operator=True)
            key = key_of(row)
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
                    SELECT EXISTS (SELECT FROM pattern_scripts
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
