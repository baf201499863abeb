"""Which scopes there are, what changed in them, and the rows of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from keeper_grpc.domain.advice.published import Published
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.storage.advice.published.rows import COLUMNS, JOINS, to_published
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.publication import published
from keeper_grpc.storage.patterns.versions import settled_version, until_raised_everywhere

AT_ONCE = 100
"""Patterns that one statement reads: some tens of milliseconds of the database's time."""


FEW = 10
"""Patterns that are made of their rows at once, in a millisecond; more are in a thread, so that calls go on."""


@dataclass(frozen=True, slots=True)
class ScopeVersion:
    """A scope, the version of its last change, and that of the last after which all of it must be read again."""

    scope_id: int
    pattern_type: str
    business_category: str
    version: int
    reset_version: int


async def scope_versions(connection: Connection) -> Sequence[ScopeVersion]:
    """All scopes."""
    rows = await connection.fetch(
        "SELECT scope_id, pattern_type, business_category, version, reset_version FROM scopes"
    )
    return [ScopeVersion(*row) for row in rows]


@asynccontextmanager
async def reading_changes(
    connection: Connection, scope_ids: Collection[int]
) -> AsyncIterator[None]:
    """A transaction that reads what changed in scopes up to versions that were seen of them.

    Statements that read by keys are planned once for the connection: for `read_patterns`, planning takes half as long as
    reading. Where tables are spread, which worker is asked depends on the parameters.
    """
    async with connection.transaction():
        # Of a table that was empty, a kept plan would read every row from then on.
        kept = await connection.fetchval(
            """
            SELECT set_config('plan_cache_mode', 'force_generic_plan', true) || set_config('enable_seqscan', 'off', true)
             WHERE NOT is_spread()
            """
        )
        if kept is None:
            await until_raised_everywhere(connection, scope_ids)
        yield


async def changed_patterns(connection: Connection, scope_id: int, after: int) -> Sequence[UUID]:
    """The patterns that changed in a scope after a version.

    Where that of the scope was read before, a pattern that changes in between is named twice, and none is missed.
    """
    changed = await connection.fetch(
        "SELECT pattern_id FROM pattern_versions WHERE scope_id = $1 AND version > $2",
        scope_id,
        after,
    )
    return [pattern_id for (pattern_id,) in changed]


async def held_ids(connection: Connection, scope: Scope, k: int) -> tuple[int, Sequence[UUID]]:
    """The scope's version, and the patterns that questions to it are answered from."""
    version = await settled_version(connection, scope.scope_id)
    rows = await connection.fetch(
        f"""
        SELECT p.id FROM network_patterns p
         WHERE p.scope_id = $2 AND p.embedding_model = $3
           AND ({published("p", "$1")} OR p.catalog_key IS NOT NULL)
        """,  # noqa: S608 - only constants are interpolated
        k,
        scope.scope_id,
        scope.embedding_model,
    )
    return version, [pattern_id for (pattern_id,) in rows]


async def read_patterns(
    connection: Connection, scope: Scope, pattern_ids: Collection[UUID], k: int
) -> Sequence[Published]:
    """These patterns, as far as questions are answered from them."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM network_patterns p {JOINS}
         WHERE p.scope_id = $2 AND p.embedding_model = $3 AND p.id = ANY($4::uuid[])
        """,  # noqa: S608 - only constants are interpolated
        k,
        scope.scope_id,
        scope.embedding_model,
        list(pattern_ids),
    )
    if len(rows) > FEW:
        made = await asyncio.to_thread(lambda: [to_published(row) for row in rows])
    else:
        made = [to_published(row) for row in rows]
    return [one for one in made if one.published or one.authored]


def parts(pattern_ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    """As many as one statement reads."""
    for start in range(0, len(pattern_ids), AT_ONCE):
        yield pattern_ids[start : start + AT_ONCE]
