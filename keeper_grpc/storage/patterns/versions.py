"""Versions of scopes, by which whoever holds patterns in memory finds out what has changed.

Each change of what may be shown of patterns raises their scope's version in its own transaction, and notes the new
one with each of them. The row of the scope is locked until the transaction ends, so versions become visible in their
order: who has seen one has missed none before it.

That lock is the last that a transaction takes: whoever holds it waits for nobody.

Where tables are spread, a version may be seen before what raised it is there on every worker: see `until_raised_everywhere`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.storage.database import Change, Connection, note_change
from keeper_grpc.storage.patterns.keys import in_pairs

PATTERNS_CHANNEL = "keeper_patterns"
"""Notified with the scope_id when patterns of a scope changed. It only wakes: the tables are the truth."""


async def open_scope(connection: Connection, scope: Scope) -> None:
    """Let there be a row of the scope, which its first pattern refers to."""
    await connection.execute(
        """
        INSERT INTO scopes (scope_id, pattern_type, business_category) VALUES ($1, $2, $3)
        ON CONFLICT (scope_id) DO NOTHING
        """,
        scope.scope_id,
        scope.pattern_type,
        scope.business_category,
    )


async def touch(
    connection: Connection,
    changed: Collection[PatternKey],
    reworded: Collection[PatternKey] | None = None,
) -> Mapping[int, int]:
    """Note that what may be shown of these patterns changed, or of those that speak in their words.

    `reworded` are those whose words may have changed, None is all: without it nobody who speaks in them is looked for.
    Within the caller's transaction, as its last statement. This process knows of it as soon as that has committed.
    Patterns that are gone are passed over: see `reset`. Returns the new version of each scope that changed.
    """
    if not changed:
        return {}
    rows = await connection.fetch(
        """
        SELECT touched, raised, pattern_ids, raise_everywhere(touched)
          FROM touch_patterns($1::bigint[], $2::uuid[], $3::uuid[], $4)
        """,
        *in_pairs(changed),
        [key.pattern_id for key in (changed if reworded is None else reworded)],
        PATTERNS_CHANNEL,
    )
    for touched, raised, pattern_ids, _ in rows:
        note_change(Change(touched, raised, frozenset(pattern_ids)))
    return {row["touched"]: row["raised"] for row in rows}


async def reset(
    connection: Connection, scope_ids: Collection[int] | None = None
) -> Mapping[int, int]:
    """Note that patterns of these scopes are gone, or that all of them changed; None is every scope.

    Within the caller's transaction, and with the versions, as `touch`.
    """
    rows = await connection.fetch(
        f"""
        WITH owned AS MATERIALIZED (
            SELECT scope_id FROM scopes WHERE $1::bigint[] IS NULL OR scope_id = ANY($1)
             ORDER BY scope_id FOR NO KEY UPDATE
        ), raised AS (
            UPDATE scopes s SET version = s.version + 1, reset_version = s.version + 1 FROM owned
             WHERE s.scope_id = owned.scope_id RETURNING s.scope_id, s.version
        )
        SELECT scope_id, version, pg_notify('{PATTERNS_CHANNEL}', scope_id::text), raise_everywhere(scope_id) FROM raised
        """,  # noqa: S608 - a constant
        None if scope_ids is None else list(scope_ids),
    )
    for row in rows:
        note_change(Change(row["scope_id"], row["version"], None))
    return {row["scope_id"]: row["version"] for row in rows}


async def settled_version(connection: Connection, scope_id: int) -> int:
    """The scope's version, 0 before its first, once all that raised it can be read wherever it was written."""
    version: int | None = await connection.fetchval(
        "SELECT version FROM scopes WHERE scope_id = $1", scope_id
    )
    await until_raised_everywhere(connection, [scope_id])
    return version or 0


async def until_raised_everywhere(connection: Connection, scope_ids: Collection[int]) -> None:
    """Wait until all that raised the versions of these scopes that were seen by now can be read wherever it was written.

    Between seeing a version and reading what has changed up to it, by whoever then takes the version as read. Nothing to wait for
    on one server.
    """
    await connection.execute("SELECT until_raised_everywhere($1::bigint[])", list(scope_ids))
