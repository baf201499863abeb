"""Removing one account from every table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from keeper_grpc.domain.accounts.forgetting import (
    AuditEvent,
    Centre,
    Forgotten,
    Remainder,
    Tombstone,
)
from keeper_grpc.domain.errors import PatternsMoved
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import EmbeddedWords
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Scope
from keeper_grpc.storage.accounts.accounts import PostgresAccounts
from keeper_grpc.storage.accounts.audit import append_event
from keeper_grpc.storage.accounts.holding import own_account
from keeper_grpc.storage.accounts.remembered import RememberedAccounts
from keeper_grpc.storage.accounts.rewording import first_action, reword, reword_advised
from keeper_grpc.storage.accounts.standing import count_change
from keeper_grpc.storage.archives.parts import drop_parts
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.totals import Change, refresh_evidence
from keeper_grpc.storage.locks import lock_step
from keeper_grpc.storage.metrics.measuring import delete_outcomes, delete_questions
from keeper_grpc.storage.patterns.centres import put_action, put_pattern
from keeper_grpc.storage.patterns.deletion import delete_pattern
from keeper_grpc.storage.patterns.own import own_pattern
from keeper_grpc.storage.patterns.versions import reset, touch
from keeper_grpc.storage.patterns.view import see_pattern

if TYPE_CHECKING:
    from asyncpg import Record

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Outside of every window: the detector takes such sightings out of their clusters and deletes them."""


class PostgresForgetting(PostgresAccounts):
    """The tables of usecases/accounts/forget.py; see there for what each method promises."""

    def __init__(self, database: Database, remembered: RememberedAccounts | None = None) -> None:
        """`remembered`: this process's memory of accounts, which shall see the beginning at once."""
        super().__init__(database)
        self._database = database
        self._remembered = remembered

    async def bury(self, tombstone: Tombstone) -> None:
        async with self._database.connection() as connection:
            await _bury(connection, tombstone)

    async def begin_forgetting(self, account_key: str, begun: AuditEvent) -> None:
        async with self._database.transaction() as connection:
            news = await connection.fetchval(
                """
                UPDATE accounts SET forgetting = true
                 WHERE account_key = $1 AND NOT forgetting RETURNING true
                """,
                account_key,
            )
            if news:
                await append_event(connection, begun)
                await count_change(connection)
        if self._remembered is not None:
            await self._remembered.look()

    async def patterns_of(self, account_key: str) -> Sequence[PatternKey]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT scope_id, pattern_id FROM observations
                 WHERE account_key = $1 AND pattern_id IS NOT NULL
                 UNION
                SELECT scope_id, pattern_id FROM archived_parts WHERE account_key = $1
                 ORDER BY pattern_id
                """,
                account_key,
            )
        return [PatternKey(*row) for row in rows]

    async def remainder(
        self, key: PatternKey, account_key: str, rule: PublicationRule
    ) -> Remainder | None:
        async with self._database.transaction(read_only=True) as connection:
            pattern = await see_pattern(connection, key, rule)
            if pattern is None:
                return None
            return await _remainder(connection, pattern, account_key)

    async def forget_in_pattern(
        self,
        key: PatternKey,
        account_key: str,
        vectors: Mapping[EmbeddedWords, Vectors] | None,
        rule: PublicationRule,
        *,
        model: str,
        settle: bool,
    ) -> Forgotten | None:
        async with self._database.transaction() as connection:
            before = await _own(connection, key, rule)
            if before is None:
                return Forgotten()
            if vectors is not None and before.scope.embedding_model != model:
                raise PatternsMoved
            first_said = await first_action(connection, key)
            wordings = (await _remainder(connection, before, account_key)).wordings
            if vectors is not None and wordings:
                known = [(vectors[words], count) for words, count in wordings if words in vectors]
                if not known or (len(known) < len(wordings) and not settle):
                    return None
                await _place(connection, key, Centre.of(known))
            removed = await _remove_from_pattern(connection, key, account_key)
            if not wordings:
                await reword_advised(connection, key, first_said, None)
                worded = await delete_pattern(connection, key)
                await reset(connection, {key.scope_id, *worded})
                return removed.plus(Forgotten(patterns_deleted=1))
            await reword(connection, key)
            await _reset_span(connection, key)
            await refresh_evidence(connection, {key: Change()}, rule)
            after = await see_pattern(connection, key, rule)
            await reword_advised(connection, key, first_said, await first_action(connection, key))
            await touch(connection, [key])
        unpublished = bool(after and not before.withheld(rule) and after.withheld(rule))
        return removed.plus(Forgotten(patterns_recomputed=1, patterns_unpublished=int(unpublished)))

    async def end_forgetting(
        self,
        account_key: str,
        done_so_far: Forgotten,
        event: AuditEvent,
        tombstone: Tombstone,
    ) -> Forgotten | None:
        async with self._database.transaction() as connection:
            # First, since a step may take a second, and what is locked below keeps calls waiting.
            await lock_step(connection)
            # Excludes every insert that refers to the account, until the account is gone.
            await own_account(connection, account_key)
            if await connection.fetchval(
                """
                SELECT EXISTS (SELECT 1 FROM observations
                                WHERE account_key = $1 AND pattern_id IS NOT NULL)
                    OR EXISTS (SELECT 1 FROM archived_parts WHERE account_key = $1)
                """,
                account_key,
            ):
                return None
            # Deleting its questions counts this advice anew, and another ForgetAccount that deletes a
            # pattern holds its advice before it comes to these questions: first things first.
            advised = await connection.fetch(
                "SELECT scope_id, pattern_id, business_category FROM advised_patterns($1)",
                account_key,
            )
            await connection.execute(
                "SELECT hold_advice($1::bigint[], $2::uuid[], $3::text[])",
                *([row[column] for row in advised] for column in range(3)),
            )
            rest = Forgotten(
                observations_removed=await _delete_observations(
                    connection, "pattern_id IS NULL AND account_key = $1", account_key
                ),
                enhancements_removed=await delete_questions(connection, account_key),
                sightings_removed=await _disown_sightings(connection, account_key),
            )
            for table in (
                "outcome_revisions",
                "outcome_requests",
                "reaction_requests",
                "word_accounts",
                # No foreign key reaches these where tables are spread.
                "account_milestones",
                "waiting_outcomes",
                "archived_days",
                "archived_experiment",
                "archived_transfers",
                "archived_choices",
                "archived_reactions",
                "archived_steps",
                "archive_subjects",
            ):
                await connection.execute(
                    f"DELETE FROM {table} WHERE account_key = $1",  # noqa: S608 - names of this function
                    account_key,
                )
            done = done_so_far.plus(rest)
            await connection.execute("DELETE FROM accounts WHERE account_key = $1", account_key)
            await _bury(connection, tombstone)
            await append_event(connection, replace(event, details=done.counts()))
            await count_change(connection)
        if self._remembered is not None:
            await self._remembered.look()
        return done


async def _bury(connection: Connection, tombstone: Tombstone) -> None:
    await connection.execute(
        """
        INSERT INTO account_tombstones (tombstone_key, expire_time) VALUES ($1, $2)
        ON CONFLICT (tombstone_key) DO UPDATE SET expire_time = excluded.expire_time
        """,
        tombstone.key,
        tombstone.expire_time,
    )


async def _own(connection: Connection, key: PatternKey, rule: PublicationRule) -> Pattern | None:
    """The pattern, when nobody else changes it or repeats its words until the end; None if gone."""
    if await own_pattern(connection, key, rule) is None:
        return None
    # Reports of its advice in other scopes keep this row while they repeat its words.
    await connection.execute(
        "SELECT 1 FROM network_patterns WHERE scope_id = $1 AND id = $2 FOR UPDATE", *key
    )
    return await see_pattern(connection, key, rule)


async def _remainder(connection: Connection, pattern: Pattern, account_key: str) -> Remainder:
    rows = await connection.fetch(
        """
        SELECT context, action, sum(observations)::integer AS count FROM said_words
         WHERE scope_id = $1 AND pattern_id = $2 AND account_key <> $3 AND NOT reported
         GROUP BY 1, 2
        """,
        *pattern.key,
        account_key,
    )
    wordings = [(_words(pattern.scope, row), row["count"]) for row in rows]
    if not wordings and pattern.authored:
        wordings = [(pattern.words, 1)]
    elif not wordings:
        first_report = await connection.fetchrow(
            """
            SELECT o.context, p.action_template AS action
              FROM said_words o
              JOIN network_patterns p ON p.scope_id = o.scope_id AND p.id = o.pattern_id
             WHERE o.scope_id = $1 AND o.pattern_id = $2 AND o.account_key <> $3
             ORDER BY o.recorded_time, o.id LIMIT 1
            """,
            *pattern.key,
            account_key,
        )
        wordings = [(_words(pattern.scope, first_report), 1)] if first_report else []
    return Remainder(pattern.scope.embedding_model, tuple(wordings))


async def _remove_from_pattern(
    connection: Connection, key: PatternKey, account_key: str
) -> Forgotten:
    observations = await _delete_observations(
        connection,
        "scope_id = $1 AND pattern_id = $2 AND account_key = $3",
        *key,
        account_key,
    )
    for table in ("pattern_accounts", "pattern_harms", "pattern_facets", "pattern_wordings"):
        await connection.execute(
            f"""
            DELETE FROM {table} WHERE scope_id = $1 AND pattern_id = $2 AND account_key = $3
            """,  # noqa: S608 - one of four names
            *key,
            account_key,
        )
    await connection.execute(
        """
        DELETE FROM script_accounts a USING pattern_scripts s
         WHERE s.scope_id = a.scope_id AND s.id = a.script_id
           AND s.scope_id = $1 AND s.pattern_id = $2 AND a.account_key = $3
        """,
        *key,
        account_key,
    )
    scripts = await _count(
        connection,
        """
        DELETE FROM pattern_scripts s
         WHERE s.scope_id = $1 AND s.pattern_id = $2 AND NOT s.authored
           AND NOT EXISTS (SELECT 1 FROM script_accounts a
                            WHERE a.scope_id = s.scope_id AND a.script_id = s.id)
        """,
        *key,
    )
    archived = await drop_parts(connection, [key], account_key)
    return Forgotten(observations_removed=observations + archived, scripts_removed=scripts)


async def _place(connection: Connection, key: PatternKey, centre: Centre) -> None:
    await put_pattern(connection, key, centre.sentence, centre.sentence_weight)
    await put_action(connection, key, centre.action, centre.action_weight)


async def _reset_span(connection: Connection, key: PatternKey) -> None:
    """From the observations that are left; an authored pattern is known since it was seeded."""
    await connection.execute(
        """
        UPDATE network_patterns p
           SET first_discovered = CASE WHEN p.catalog_key IS NULL
                   THEN coalesce(span.first, p.first_discovered)
                   ELSE least(p.created_at, span.first) END,
               last_validated = span.last
          FROM (SELECT min(first) AS first, max(last) AS last
                  FROM (SELECT min(occurred_time) AS first, max(occurred_time) AS last
                          FROM observations WHERE scope_id = $1 AND pattern_id = $2 AND counted
                        UNION ALL
                        SELECT min(first_time), max(last_time)
                          FROM archived_parts WHERE scope_id = $1 AND pattern_id = $2) spans) span
         WHERE p.scope_id = $1 AND p.id = $2
        """,
        *key,
    )


async def _disown_sightings(connection: Connection, account_key: str) -> int:
    """Strip sightings of account and words, and leave them to the detector.

    Their clusters are sums that its leader holds: it must be the one to take them out. The sums that
    are kept for the next leader are dropped at once. The caller holds the step lock.
    """
    rows = await connection.fetch(
        """
        UPDATE sightings SET account_key = '', rendered = '', action = '', seen_time = $2,
               rendered_hash = sha256(int8send(id)), confidence = 0, potential_value = 0
         WHERE account_key = $1
        RETURNING emerging_pattern_id
        """,
        account_key,
        LONG_AGO,
    )
    await connection.execute(
        "UPDATE emerging_patterns SET vector_sum = NULL, vector_count = 0 WHERE id = ANY($1::uuid[])",
        [row["emerging_pattern_id"] for row in rows],
    )
    return len(rows)


async def _delete_observations(connection: Connection, where: str, *arguments: object) -> int:
    """Delete those that meet the condition, also as outcomes of advice: how many."""
    rows = await connection.fetch(f"SELECT id FROM observations WHERE {where}", *arguments)  # noqa: S608 - a condition of this module
    ids = [row["id"] for row in rows]
    await connection.execute(
        "DELETE FROM enhancement_outcomes WHERE observation_id = ANY($1::uuid[])", ids
    )
    return await delete_outcomes(connection, ids)


async def _count(connection: Connection, statement: str, *arguments: object) -> int:
    """Execute, and return how many rows that touched."""
    return int((await connection.execute(statement, *arguments)).rpartition(" ")[2])


def _words(scope: Scope, row: Record) -> EmbeddedWords:
    return EmbeddedWords.of(
        scope.pattern_type, scope.business_category, row["context"], row["action"]
    )
