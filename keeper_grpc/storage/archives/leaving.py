"""How observations leave the ledger: those that may, by month and scope, and the transaction that takes a group of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.storage.accounts.holding import settle_accounts
from keeper_grpc.storage.archives.files import add_group
from keeper_grpc.storage.archives.parts import Parts, add_parts, add_row
from keeper_grpc.storage.archives.questions import (
    ANSWERED,
    KNOWN,
    LOOK_TIMEOUT,
    advised_by,
    question_of,
    read_questions,
)
from keeper_grpc.storage.archives.rows import (
    ASKED_FOR,
    NOT_ASKED_FOR,
    QUESTION,
    SETTLED,
    STORED,
    Row,
)
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.locks import AdvisoryLock, lock, lock_scope
from keeper_grpc.storage.patterns.holding import keep_patterns

GROUP = 1_000
"""Observations of one scope that a transaction takes at most. Captures of the scope wait for it: some tenths of a second."""

_STORED = ", ".join(f"o.{column}" for column in STORED)


@dataclass(frozen=True, slots=True)
class Due:
    """How many observations of one month and scope may leave."""

    month: date
    scope_id: int
    observations: int


class Leaving:
    """The observations that could be archived when this began, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def due(self) -> Sequence[Due]:
        """By month and scope."""
        rows = await self._connection.fetch(
            "SELECT month, scope_id, count(*) AS observations FROM leaving GROUP BY 1, 2 ORDER BY 1, 2",
            timeout=LOOK_TIMEOUT,
        )
        return [Due(*row) for row in rows]

    async def stay(self, before: datetime) -> int:
        """How many observations from before that time may not."""
        count: int = await self._connection.fetchval(
            "SELECT (SELECT count(*) FROM observations WHERE occurred_time < $1) - (SELECT count(*) FROM leaving)",
            before,
            timeout=LOOK_TIMEOUT,
        )
        return count

    async def groups(self, due: Due) -> AsyncIterator[Sequence[Row]]:
        """Their rows as they are now, a group at a time."""
        for start in range(0, due.observations, GROUP):
            # Not in one statement: the observations may be on another server than the look.
            found = await self._connection.fetch(
                """
                SELECT l.id, s.subject FROM leaving l JOIN archive_subjects s USING (account_key)
                 WHERE l.month = $1 AND l.scope_id = $2 AND l.place > $3 AND l.place <= $4
                 ORDER BY l.place
                """,
                due.month,
                due.scope_id,
                start,
                start + GROUP,
                timeout=LOOK_TIMEOUT,
            )
            rows = await self._connection.fetch(
                f"SELECT {_STORED} FROM observations o WHERE o.scope_id = $1 AND o.id = ANY($2::uuid[])",  # noqa: S608 - constants
                due.scope_id,
                [row["id"] for row in found],
                timeout=LOOK_TIMEOUT,
            )
            there = {row["id"]: row for row in rows}
            asked = {row["id"]: question for row in rows if (question := question_of(row))}
            questions = await read_questions(self._connection, asked.values())
            group = [
                {
                    **there[row["id"]],
                    "subject": row["subject"],
                    QUESTION: questions.get(asked[row["id"]]) if row["id"] in asked else None,
                }
                for row in found
                if row["id"] in there
            ]
            if group:
                yield group


@asynccontextmanager
async def look(
    database: Database, before: datetime, *, name: bool, asked_before: datetime | None = None
) -> AsyncIterator[Leaving]:
    """Look for what may be archived of before that time; `name` the accounts that have no name in the files yet.

    Outcomes of questions leave where those were asked before `asked_before`; None is the same time.
    """
    answered = ANSWERED.format(asked_before=min(asked_before or before, before).isoformat())
    async with database.connection() as connection:
        try:
            async with connection.transaction():
                # A look at the whole ledger, once a run.
                await connection.execute("SET LOCAL statement_timeout = 0")
                await connection.execute(
                    f"""
                    CREATE TEMPORARY TABLE leaving AS
                    WITH asked_for AS MATERIALIZED ({ASKED_FOR}), known AS MATERIALIZED ({KNOWN}),
                         answered AS MATERIALIZED ({answered})
                    SELECT date_trunc('month', o.occurred_time, 'UTC')::date AS month, o.scope_id, o.id, o.account_key,
                           row_number() OVER (PARTITION BY date_trunc('month', o.occurred_time, 'UTC'), o.scope_id
                                              ORDER BY o.pattern_id, o.recorded_time, o.id) AS place
                      FROM observations o JOIN accounts a USING (account_key)
                      LEFT JOIN answered w ON w.observation_id = o.id
                     WHERE o.occurred_time < '{before.isoformat()}' AND {SETTLED} AND {NOT_ASKED_FOR}
                       AND (coalesce(o.enhancement_id, o.instead_of) IS NULL OR w.observation_id IS NOT NULL)
                    """,  # noqa: S608 - constants, and a time
                    timeout=LOOK_TIMEOUT,
                )
                await connection.execute("CREATE INDEX ON leaving (month, scope_id, place)")
                if name:
                    await connection.execute(
                        """
                        INSERT INTO archive_subjects (account_key)
                        SELECT DISTINCT account_key FROM leaving JOIN accounts USING (account_key)
                        ON CONFLICT DO NOTHING
                        """
                    )
            yield Leaving(connection)
        finally:
            if not connection.is_closed():
                await connection.execute("DROP TABLE IF EXISTS leaving")


class _Changed(Exception):
    """The ledger no longer has what the file has."""


async def take(
    database: Database, file_id: UUID, number: int, rows: Sequence[Row], half_life: timedelta
) -> bool:
    """Take a group of one scope, which is on the disk, out of the ledger, in one transaction.

    False, having done nothing, where any of it is no longer what the file says: it stays.
    """
    first = rows[0]
    scope = Scope(first["pattern_type"], first["business_category"], first["embedding_model"])
    holdings = Counter(row["subject"] for row in rows)
    try:
        async with database.transaction() as connection:
            asked = [question for row in rows if (question := question_of(row))]
            if asked:
                # First: whoever rolls questions up adds to the same sums, and waits for nobody.
                await lock(connection, AdvisoryLock.RETENTION)
            await lock_scope(connection, scope)
            accounts = await _hold_accounts(connection, list(holdings))
            if asked:
                await _hold_advice(connection, rows)
            await _compare(connection, scope.scope_id, rows, accounts)
            named = [(accounts[row["subject"]], row) for row in rows]
            parts: Parts = {}
            for account, row in named:
                if row["pattern_id"] is not None:
                    key = PatternKey(row["scope_id"], row["pattern_id"])
                    add_row(parts, account, key, row, half_life)
            await add_parts(connection, parts)
            await _take_out(connection, scope.scope_id, rows)
            await add_group(connection, file_id, number, len(rows), holdings)
    except _Changed:
        return False
    return True


async def _hold_accounts(connection: Connection, subjects: Sequence[UUID]) -> Mapping[UUID, str]:
    """The accounts, whose standing cannot change until the transaction ends."""
    rows = await connection.fetch(
        "SELECT subject, account_key FROM archive_subjects WHERE subject = ANY($1::uuid[])",
        subjects,
    )
    held = await settle_accounts(connection, {row["account_key"] for row in rows})
    return {row["subject"]: row["account_key"] for row in rows if row["account_key"] in held}


async def _hold_advice(connection: Connection, rows: Sequence[Row]) -> None:
    """Let nobody delete or merge the patterns that were advised, or count their advice, until the transaction ends."""
    # Before any of its rows, as a rebuild does; and patterns before what was advised of them, as those do who delete them.
    await connection.execute("LOCK TABLE observations, enhancements IN ROW EXCLUSIVE MODE")
    advised = advised_by(rows)
    await keep_patterns(connection, {PatternKey(*each[:2]) for each in advised})
    await connection.execute(
        "SELECT hold_advice($1::bigint[], $2::uuid[], $3::text[])",
        *([each[column] for each in advised] for column in range(3)),
    )


async def _compare(
    connection: Connection, scope_id: int, rows: Sequence[Row], accounts: Mapping[UUID, str]
) -> None:
    """Raise _Changed unless the ledger has these observations and their questions as the rows say.

    Nobody changes them until the transaction ends: the scope, the accounts and the advised patterns are held.
    """
    there = await connection.fetch(
        f"""
        SELECT o.account_key, {_STORED} FROM observations o JOIN accounts a USING (account_key)
         WHERE o.scope_id = $1 AND o.id = ANY($2::uuid[]) AND {SETTLED}
        """,  # noqa: S608 - constants
        scope_id,
        [row["id"] for row in rows],
    )
    ledger: Mapping[UUID, Any] = {row["id"]: dict(row) for row in there}
    for row in rows:
        expected = {column: row[column] for column in STORED}
        if ledger.get(row["id"]) != expected | {"account_key": accounts.get(row["subject"])}:
            raise _Changed
    await _compare_questions(connection, rows)


async def _take_out(connection: Connection, scope_id: int, rows: Sequence[Row]) -> None:
    """Take the rows and their questions out of the ledger into the sums that stay."""
    taken = await connection.fetchval(
        "SELECT archive_outcomes($1, $2::uuid[])",
        scope_id,
        [row["id"] for row in rows],
        timeout=LOOK_TIMEOUT,
    )
    if taken != len(rows):
        raise _Changed


async def _compare_questions(connection: Connection, rows: Collection[Row]) -> None:
    asked = {question: row[QUESTION] for row in rows if (question := question_of(row))}
    if None in asked.values() or await read_questions(connection, asked) != asked:
        raise _Changed
