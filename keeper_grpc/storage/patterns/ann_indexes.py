"""Approximate indexes for the scopes that have outgrown exact search. docs/adr/0001 says why and when.

Each covers one scope (a partial HNSW index over cosine distance) and serves `EnhanceInsight` only:
captures search exactly, whatever the size, or near-duplicates would slip through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import asyncpg
import structlog

from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.locks import AdvisoryLock, try_session_lock

log = structlog.get_logger()

_PREFIX = "network_patterns_ann_"


class PostgresAnnIndexes:
    """Builds the indexes, and knows which scopes have one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._indexed: frozenset[str] = frozenset()

    def covers(self, scope: Scope) -> bool:
        """Whether the scope has a usable index, as of the last maintenance in this process."""
        return _name(scope) in self._indexed

    async def maintain(self, scope_size: int) -> int:
        """Index every scope of at least `scope_size` patterns; how many were built.

        Builds do not block writers (CREATE INDEX CONCURRENTLY). Does nothing while another process
        maintains.
        """
        built = 0
        async with self._database.connection() as connection:
            async with try_session_lock(connection, AdvisoryLock.MAINTENANCE) as maintains:
                if maintains:
                    for scope in await _outgrown(connection, scope_size):
                        built += await _build(connection, scope)
            self._indexed = frozenset(await _valid(connection))
        return built


async def _outgrown(connection: Connection, scope_size: int) -> Collection[Scope]:
    rows = await connection.fetch(
        """
        SELECT pattern_type, business_category, embedding_model FROM network_patterns
         GROUP BY 1, 2, 3 HAVING count(*) >= $1
        """,
        scope_size,
    )
    return [Scope(*row) for row in rows]


async def _valid(connection: Connection) -> Collection[str]:
    rows = await connection.fetch(
        """
        SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE i.indrelid = 'network_patterns'::regclass AND i.indisvalid
           AND c.relname LIKE $1 || '%'
        """,
        _PREFIX,
    )
    return [row["relname"] for row in rows]


async def _build(connection: Connection, scope: Scope) -> int:
    """Build the scope's index unless it is there; 1 if it was built."""
    name = _name(scope)
    if name in await _valid(connection):
        return 0
    # A build that was interrupted leaves an invalid index behind, which writers pay for.
    await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    predicate = await connection.fetchval(
        """
        SELECT format('scope_id = %s AND embedding_model = %L', $1::bigint, $2::text)
        """,
        scope.scope_id,
        scope.embedding_model,
    )
    try:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(
            f"CREATE INDEX CONCURRENTLY {name} ON network_patterns "
            f"USING hnsw (pattern_embedding vector_cosine_ops) WHERE {predicate}",
            timeout=BUILD_TIMEOUT,
        )
    except (asyncpg.PostgresError, TimeoutError) as error:
        log.warning("ann_index_failed", index=name, error=type(error).__name__)
        return 0
    finally:
        await connection.execute("RESET statement_timeout")
    log.info("ann_index_built", index=name)
    return 1


BUILD_TIMEOUT = 3600.0
"""Seconds for one build. 100,000 rows take minutes (4 to 5 ms of CPU an insert, measured)."""


def _name(scope: Scope) -> str:
    """Within PostgreSQL's 63 bytes, whatever the scope is called."""
    parts = f"{scope.pattern_type}\0{scope.business_category}\0{scope.embedding_model}"
    return _PREFIX + hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()
