"""The row that says which embedding model the database belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from keeper_grpc.domain.patterns.space import NamedModel, Recipe, Space
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.patterns.deletion import delete_pattern
from keeper_grpc.storage.patterns.keys import key_of
from keeper_grpc.storage.patterns.versions import reset


class PostgresSpace:
    """The table embedding_space, and the processes that follow it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Space | None:
        """The space, None before the first start."""
        async with self._database.connection() as connection:
            return await read_space(connection)

    async def claim(self, named: NamedModel) -> Space:
        """Make this the database's model unless it has one; the space as it then is."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "INSERT INTO embedding_space (model, recipe) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                named.model,
                named.recipe.to_json(),
            )
            space = await read_space(connection)
        if space is None:
            message = "the row that was just written is missing"
            raise RuntimeError(message)
        return space

    async def replace_unused(self, named: NamedModel) -> bool:
        """Make this the model of a database that has learned nothing yet; whether that is so.

        What the catalog brought for the other model goes with it: the start brings it again for this one.
        """
        async with self._database.transaction() as connection:
            await lock(connection, AdvisoryLock.MODEL)
            if await connection.fetchval(
                """
                SELECT EXISTS (SELECT 1 FROM observations) OR EXISTS (SELECT 1 FROM sightings)
                    OR EXISTS (SELECT 1 FROM archived_parts)
                    OR EXISTS (SELECT 1 FROM embedding_space WHERE next_model IS NOT NULL)
                """
            ):
                return False
            gone = [
                key_of(row)
                for row in await connection.fetch(
                    "SELECT scope_id, id FROM network_patterns WHERE embedding_model <> $1 ORDER BY id",
                    named.model,
                )
            ]
            # One by one: those of several scopes may be on several servers.
            for key in gone:
                await connection.execute(
                    "SELECT 1 FROM network_patterns WHERE scope_id = $1 AND id = $2 FOR UPDATE",
                    *key,
                )
            for key in gone:
                await delete_pattern(connection, key)
            await reset(connection)
            await connection.execute(
                "DELETE FROM seeded_catalogs WHERE embedding_model <> $1", named.model
            )
            await connection.execute(
                "UPDATE embedding_space SET model = $1, recipe = $2",
                named.model,
                named.recipe.to_json(),
            )
        return True

    async def strays(self) -> int:
        """Patterns with evidence that belong to another model: nobody finds them."""
        async with self._database.connection() as connection:
            count: int = await connection.fetchval(
                """
                SELECT count(*) FROM network_patterns p
                 WHERE embedding_model <> (SELECT model FROM embedding_space)
                   AND EXISTS (SELECT 1 FROM said_words o
                                WHERE o.scope_id = p.scope_id AND o.pattern_id = p.id)
                """
            )
        return count

    async def announce(self, process_id: UUID, prepared: str, problem: str) -> None:
        """Say that this process serves, and whether it could go on with the next model."""
        async with self._database.connection() as connection:
            await connection.execute(
                """
                INSERT INTO followers VALUES ($1, $2, $3, now())
                ON CONFLICT (process_id) DO UPDATE
                   SET prepared = excluded.prepared, problem = excluded.problem,
                       seen_time = excluded.seen_time
                """,
                process_id,
                prepared,
                problem,
            )


async def read_space(connection: Connection) -> Space | None:
    """The space, as this transaction sees it."""
    row = await connection.fetchrow("SELECT * FROM embedding_space")
    if row is None:
        return None
    return Space(
        _named(row["model"], row["recipe"]),
        None if row["next_model"] is None else _named(row["next_model"], row["next_recipe"]),
        row["unsettled"],
    )


def _named(model: str, recipe: Mapping[str, object]) -> NamedModel:
    return NamedModel(model, Recipe.from_json(recipe))
