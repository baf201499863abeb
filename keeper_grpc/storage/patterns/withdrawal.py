"""Patterns and scripts that an operator took back."""

from __future__ import annotations

import hashlib
from uuid import UUID

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.errors import PatternNotFound, ScriptNotFound
from keeper_grpc.domain.patterns.withdrawal import wording_hash
from keeper_grpc.storage.accounts.audit import append_event
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.locks import lock_step


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
              WHERE said.pattern_id = {pattern}.id AND {said} = {folded("said.action")}))
    """


class PostgresWithdrawal:
    """The tables of usecases/patterns/withdraw.py; see there for what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def retire(self, pattern_id: UUID, event: AuditEvent, *, undo: bool) -> bool:
        async with self._database.transaction() as connection:
            # First, since a step may take a second, and what is locked below keeps calls waiting.
            await lock_step(connection)
            retired = await connection.fetchval(
                """
                SELECT retired_time IS NOT NULL FROM network_patterns WHERE id = $1
                   FOR NO KEY UPDATE
                """,
                pattern_id,
            )
            if retired is None:
                raise PatternNotFound(for_operator=True)
            if retired is not undo:
                return False
            await connection.execute(
                "UPDATE network_patterns SET retired_time = $2 WHERE id = $1",
                pattern_id,
                None if undo else event.created_at,
            )
            # Emerging patterns that tell of it are worded anew.
            await connection.execute(
                f"""
                UPDATE sightings s SET pending = true FROM network_patterns p
                 WHERE p.id = $1 AND s.emerging_pattern_id IS NOT NULL AND {says("p", "s")}
                """,  # noqa: S608 - only aliases are interpolated
                pattern_id,
            )
            await append_event(connection, event)
        return True

    async def withdraw_script(
        self, pattern_id: UUID, script: str, event: AuditEvent, *, undo: bool
    ) -> bool:
        digest = wording_hash(script)
        async with self._database.transaction() as connection:
            # Keeps the pattern until the end.
            if not await connection.fetchval(
                "SELECT true FROM network_patterns WHERE id = $1 FOR KEY SHARE", pattern_id
            ):
                raise PatternNotFound(for_operator=True)
            if undo:
                changed = await connection.fetchval(
                    """
                    DELETE FROM withdrawn_scripts WHERE pattern_id = $1 AND template_hash = $2
                    RETURNING true
                    """,
                    pattern_id,
                    digest,
                )
            else:
                if not await connection.fetchval(
                    """
                    SELECT EXISTS (SELECT FROM pattern_scripts
                                    WHERE pattern_id = $1 AND template_hash = $2)
                    """,
                    pattern_id,
                    hashlib.sha256(script.encode()).digest(),
                ):
                    raise ScriptNotFound
                changed = await connection.fetchval(
                    """
                    INSERT INTO withdrawn_scripts VALUES ($1, $2, $3)
                    ON CONFLICT DO NOTHING RETURNING true
                    """,
                    pattern_id,
                    digest,
                    event.created_at,
                )
            if changed:
                await append_event(connection, event)
        return bool(changed)
