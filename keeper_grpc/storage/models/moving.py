"""The tables of a move to another embedding model; see usecases/models/move.py for what each method promises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from keeper_grpc.domain.accounts.forgetting import Centre
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.insight import EmbeddedWords
from keeper_grpc.domain.patterns.duplicates import Placed
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.domain.patterns.space import Follower, NamedModel, PatternWords, Space
from keeper_grpc.storage.database import Connection, Database, to_array
from keeper_grpc.storage.locks import AdvisoryLock, lock_step
from keeper_grpc.storage.models.merging import merge_pattern
from keeper_grpc.storage.models.space import read_space
from keeper_grpc.storage.patterns.keys import key_of
from keeper_grpc.storage.patterns.own import own_pattern
from keeper_grpc.storage.patterns.versions import reset

if TYPE_CHECKING:
    from asyncpg import Record

SWITCH_TIMEOUT = 3600.0
"""Seconds: a bound for the statements that change every row, where the pool's own is for single rows."""

FRESH = 5.0
"""Seconds after which a process that has not announced itself serves no more."""

CACHE_ROWS = 5_000
"""Old vectors that one statement drops."""

# A pattern's vectors follow from these. Its weights grow with every observation that turns them.
_MADE_OF = """
    md5(concat_ws(chr(31), p.embedding_weight, a.action_weight, p.catalog_version, p.action_template,
                  p.context::text))
"""

_TO_MOVE = f"""
    FROM network_patterns p JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
    LEFT JOIN next_patterns n ON n.scope_id = p.scope_id AND n.pattern_id = p.id
   WHERE p.embedding_model <> $1 AND n.made_of IS DISTINCT FROM {_MADE_OF}
"""

_SIGHTINGS_TO_MOVE = """
    FROM sightings s LEFT JOIN next_sightings n ON n.scope_id = s.scope_id AND n.sighting_id = s.id
   WHERE s.embedding_model <> $1 AND s.rendered <> '' AND n.sighting_id IS NULL
"""


class PostgresCopying:
    """What is copied before the switch, and within it: on a connection that the caller holds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def remaining(self, target: str) -> tuple[int, int]:
        row = await self._connection.fetchrow(
            f"""
            SELECT (SELECT count(*) {_TO_MOVE}) AS patterns,
                   (SELECT count(*) {_SIGHTINGS_TO_MOVE}) AS sightings
            """,
            target,
            timeout=SWITCH_TIMEOUT,
        )
        return (0, 0) if row is None else (row["patterns"], row["sightings"])

    async def patterns(self, target: str, limit: int) -> Sequence[PatternWords]:
        # One statement, because `made_of` and the ledger must be of one snapshot.
        rows = await self._connection.fetch(
            f"""
            SELECT p.id, p.pattern_type, p.business_category, p.context, p.action_template AS action,
                   {_MADE_OF} AS made_of,
                   p.catalog_key IS NOT NULL OR p.worded_from IS NOT NULL AS worded,
                   (SELECT jsonb_agg(jsonb_build_array(w.context, w.action, w.count))
                      FROM (SELECT o.context, o.action, sum(o.observations) AS count FROM said_words o
                             WHERE o.scope_id = p.scope_id AND o.pattern_id = p.id AND NOT o.reported
                             GROUP BY 1, 2) w) AS said
              {_TO_MOVE} LIMIT $2
            """,  # noqa: S608 - constants
            target,
            limit,
            timeout=SWITCH_TIMEOUT,
        )
        return [_pattern_words(row) for row in rows]

    async def put_patterns(self, made: Sequence[tuple[PatternWords, Centre]]) -> None:
        await self._connection.executemany(
            """
            INSERT INTO next_patterns (scope_id, pattern_id, made_of, pattern_embedding,
                                       embedding_weight, action_embedding, action_weight)
            SELECT scope_id, id, $2, $3, $4, $5, $6 FROM network_patterns WHERE id = $1
            ON CONFLICT (scope_id, pattern_id) DO UPDATE
               SET made_of = excluded.made_of, pattern_embedding = excluded.pattern_embedding,
                   embedding_weight = excluded.embedding_weight,
                   action_embedding = excluded.action_embedding, action_weight = excluded.action_weight
            """,
            [
                (
                    words.pattern_id,
                    words.made_of,
                    centre.sentence,
                    centre.sentence_weight,
                    centre.action,
                    centre.action_weight,
                )
                for words, centre in made
            ],
        )

    async def sightings(self, target: str, limit: int) -> Sequence[tuple[int, str]]:
        rows = await self._connection.fetch(
            f"SELECT s.id, s.rendered {_SIGHTINGS_TO_MOVE} LIMIT $2",
            target,
            limit,
            timeout=SWITCH_TIMEOUT,
        )
        return [(row["id"], row["rendered"]) for row in rows]

    async def put_sightings(self, made: Sequence[tuple[int, NDArray[np.float32]]]) -> None:
        await self._connection.execute(
            """
            INSERT INTO next_sightings (scope_id, sighting_id, embedding)
            SELECT s.scope_id, m.id, m.embedding FROM unnest($1::bigint[], $2::vector[]) AS m (id, embedding)
              JOIN sightings s USING (id)
            ON CONFLICT DO NOTHING
            """,
            [each for each, _ in made],
            [Vector(vector) for _, vector in made],
        )


class PostgresSwitch(PostgresCopying):
    """The transaction of the switch: whoever adds vectors waits until it ends."""

    def __init__(self, connection: Connection, counting: Counting) -> None:
        super().__init__(connection)
        self._counting = counting

    async def apply(self, target: str) -> None:
        twins = await self._twins(target)
        await self._run(
            """
            UPDATE network_patterns p
               SET embedding_model = $1, pattern_embedding = n.pattern_embedding,
                   embedding_weight = n.embedding_weight, changed_in = pg_current_xact_id()
              FROM next_patterns n
             WHERE n.scope_id = p.scope_id AND n.pattern_id = p.id AND p.embedding_model <> $1
            """,
            target,
        )
        await self._run(
            """
            UPDATE pattern_actions a
               SET action_embedding = n.action_embedding, action_weight = n.action_weight
              FROM next_patterns n
             WHERE n.scope_id = a.scope_id AND n.pattern_id = a.pattern_id
            """
        )
        for twin, into in twins:
            await merge_pattern(self._connection, twin, into, self._counting)
        await self._move_sightings(target)
        await self._run(
            """
            INSERT INTO seeded_catalogs (embedding_model, catalog_version, seeded_time)
            SELECT $1, max(catalog_version), max(seeded_time) FROM seeded_catalogs
            HAVING count(*) > 0 ON CONFLICT DO NOTHING
            """,
            target,
        )
        await self._run("DELETE FROM seeded_catalogs WHERE embedding_model <> $1", target)
        await reset(self._connection)
        await self._run(
            """
            UPDATE embedding_space
               SET model = next_model, recipe = next_recipe, next_model = NULL, next_recipe = NULL,
                   unsettled = true
            """
        )

    async def _twins(self, target: str) -> Sequence[tuple[PatternKey, UUID]]:
        """Patterns that the catalog brought for several models, and the one of each key that stays.

        Only one may have the key in a space; the others lose it here, and are to be merged.
        """
        rows = await self._connection.fetch(
            """
            WITH ranked AS (
                SELECT id, first_value(id) OVER same AS stays
                  FROM network_patterns WHERE catalog_key IS NOT NULL
                WINDOW same AS (PARTITION BY scope_id, catalog_key
                                ORDER BY embedding_model <> $1,
                                         embedding_model <> (SELECT model FROM embedding_space), id)
            )
            UPDATE network_patterns p SET catalog_key = NULL, catalog_version = NULL, trigger = NULL
              FROM ranked r WHERE r.id = p.id AND r.stays <> r.id
            RETURNING p.scope_id, p.id, r.stays
            """,
            target,
        )
        return [(key_of(row), row["stays"]) for row in rows]

    async def _move_sightings(self, target: str) -> None:
        # An account may have shown the same under both models.
        await self._run(
            """
            DELETE FROM sightings WHERE id IN (
                SELECT id FROM (
                    SELECT id, row_number() OVER (PARTITION BY account_key, rendered_hash
                                                  ORDER BY seen_time DESC, id DESC) AS nth
                      FROM sightings) each
                 WHERE nth > 1)
            """
        )
        await self._run(
            """
            UPDATE sightings s SET embedding_model = $1, embedding = n.embedding
              FROM next_sightings n
             WHERE n.scope_id = s.scope_id AND n.sighting_id = s.id AND s.embedding_model <> $1
            """,
            target,
        )
        # Of forgotten accounts: without words, and about to be deleted.
        await self._run("DELETE FROM sightings WHERE embedding_model <> $1", target)
        # A sum without vectors is computed from the sightings by the next leader.
        await self._run(
            """
            UPDATE emerging_patterns SET embedding_model = $1, vector_sum = NULL, vector_count = 0
             WHERE embedding_model <> $1
            """,
            target,
        )

    async def _run(self, statement: str, *arguments: object) -> None:
        await self._connection.execute(statement, *arguments, timeout=SWITCH_TIMEOUT)


class PostgresMove:
    """A move as a whole."""

    def __init__(self, database: Database, counting: Counting) -> None:
        self._database = database
        self._counting = counting

    async def space(self) -> Space | None:
        async with self._database.connection() as connection:
            return await read_space(connection)

    async def begin(self, target: NamedModel) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE embedding_space SET next_model = $1, next_recipe = $2",
                target.model,
                target.recipe.to_json(),
            )

    async def cancel(self) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                "UPDATE embedding_space SET next_model = NULL, next_recipe = NULL"
            )
            await _drop_copies(connection)

    @asynccontextmanager
    async def copying(self) -> AsyncIterator[PostgresCopying]:
        async with self._database.connection() as connection:
            yield PostgresCopying(connection)

    @asynccontextmanager
    async def switch(self) -> AsyncIterator[PostgresSwitch]:
        async with self._database.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.execute(
                "SELECT pg_advisory_xact_lock($1)", int(AdvisoryLock.MODEL), timeout=SWITCH_TIMEOUT
            )
            await lock_step(connection)
            # Whoever else changes many patterns at once.
            await connection.execute(
                "SELECT pg_advisory_xact_lock($1)", int(AdvisoryLock.PRIORS), timeout=SWITCH_TIMEOUT
            )
            yield PostgresSwitch(connection, self._counting)

    async def followers(self) -> Sequence[Follower]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT prepared, problem FROM followers
                 WHERE seen_time > now() - make_interval(secs => $1)
                """,
                FRESH,
            )
        return [Follower(row["prepared"], row["problem"]) for row in rows]

    async def scopes(self) -> Sequence[Scope]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT pattern_type, business_category, embedding_model
                  FROM network_patterns JOIN embedding_space ON model = embedding_model
                 GROUP BY 1, 2, 3 HAVING count(*) > 1 ORDER BY 1, 2
                """
            )
        return [Scope(*row) for row in rows]

    async def placed(self, scope: Scope) -> Sequence[Placed]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT p.id, p.action_template, p.pattern_embedding, p.embedding_weight,
                       a.action_embedding, a.action_weight, p.catalog_key IS NOT NULL AS authored,
                       p.retired_time IS NOT NULL AS retired
                  FROM network_patterns p
                  JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
                 WHERE p.scope_id = $1 AND p.embedding_model = $2
                 ORDER BY p.catalog_key IS NULL, p.first_discovered, p.id
                """,
                scope.scope_id,
                scope.embedding_model,
                timeout=SWITCH_TIMEOUT,
            )
        return [
            Placed(
                row["id"],
                row["action_template"],
                Centre(
                    to_array(row["pattern_embedding"]),
                    row["embedding_weight"],
                    to_array(row["action_embedding"]),
                    row["action_weight"],
                ),
                authored=row["authored"],
                retired=row["retired"],
            )
            for row in rows
        ]

    async def merge(self, scope: Scope, gone: UUID, into: UUID) -> bool:
        async with self._database.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = 0")
            rule = self._counting.rule
            merged = PatternKey(scope.scope_id, gone)
            here = await own_pattern(connection, PatternKey(scope.scope_id, into), rule)
            there = await own_pattern(connection, merged, rule)
            # They may have been forgotten or withdrawn since they were compared.
            if not here or not there or here.retired != there.retired or there.authored:
                return False
            await merge_pattern(connection, merged, into, self._counting)
        return True

    async def adopt_sightings(self) -> None:
        async with self._database.transaction() as connection:
            # An account may have shown the same again since.
            await connection.execute(
                """
                DELETE FROM sightings s USING next_sightings n, sightings again
                 WHERE n.scope_id = s.scope_id AND n.sighting_id = s.id
                   AND again.scope_id = s.scope_id AND again.account_key = s.account_key
                   AND again.rendered_hash = s.rendered_hash AND again.id <> s.id
                   AND again.embedding_model = (SELECT model FROM embedding_space)
                   AND s.embedding_model <> again.embedding_model
                """
            )
            await connection.execute(
                """
                UPDATE sightings s SET embedding_model = e.model, embedding = n.embedding
                  FROM next_sightings n, embedding_space e
                 WHERE n.scope_id = s.scope_id AND n.sighting_id = s.id
                   AND s.embedding_model <> e.model
                """
            )

    async def drop_old(self) -> int:
        async with self._database.connection() as connection:
            dropped = await connection.execute(
                """
                DELETE FROM embedding_cache WHERE (embedding_model, content_hash) IN (
                    SELECT embedding_model, content_hash FROM embedding_cache
                     WHERE embedding_model <> (SELECT model FROM embedding_space) LIMIT $1)
                """,
                CACHE_ROWS,
            )
        return int(dropped.rpartition(" ")[2])

    async def settle(self) -> None:
        async with self._database.connection() as connection:
            indexes = await connection.fetch(
                """
                SELECT i.indexname FROM pg_indexes i, embedding_space e
                 WHERE i.tablename = 'network_patterns' AND i.indexname LIKE 'network_patterns_ann_%'
                   AND position(quote_literal(e.model) IN i.indexdef) = 0
                """
            )
            for row in indexes:
                await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {row['indexname']}")
        async with self._database.transaction() as connection:
            await _drop_copies(connection)
            await connection.execute("DELETE FROM followers")
            await connection.execute("UPDATE embedding_space SET unsettled = false")


async def _drop_copies(connection: Connection) -> None:
    await connection.execute("DELETE FROM next_patterns", timeout=SWITCH_TIMEOUT)
    await connection.execute("DELETE FROM next_sightings", timeout=SWITCH_TIMEOUT)


def _pattern_words(row: Record) -> PatternWords:
    said = [tuple(each) for each in row["said"] or ()]
    if row["worded"] or not said:
        # The words that it began with are its author's, or came with advice.
        said.append((row["context"], row["action"], 1))
    return PatternWords(
        row["id"],
        row["made_of"],
        tuple(
            (
                EmbeddedWords.of(row["pattern_type"], row["business_category"], context, action),
                count,
            )
            for context, action, count in said
        ),
    )
