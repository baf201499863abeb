"""How large the tables are on the server's disk."""

from __future__ import annotations

from collections.abc import Mapping

from keeper_grpc.storage.database import Database
from keeper_grpc.storage.schema.distribution import parts_of, sizes_on_all_nodes


class PostgresSizes:
    """The SizeStore of usecases/retention/measure_sizes.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sizes(self) -> Mapping[str, int]:
        """Partitions count as the table that they are of, and so do parts on the workers of a cluster."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT coalesce(whole.relname, c.relname) AS name,
                       sum(pg_total_relation_size(c.oid))::bigint AS bytes
                  FROM pg_class c
                  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
                  LEFT JOIN pg_class whole ON whole.oid = i.inhparent
                 WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
                 GROUP BY 1
                """
            )
            spread = await sizes_on_all_nodes(connection)
            parts = await parts_of(connection) if spread else ()
        here = {row["name"]: row["bytes"] for row in rows if row["name"] not in parts}
        return {**here, **spread}

    async def archives(self) -> tuple[int, int]:
        """Files that nothing is read from are not counted: they are about to be removed."""
        async with self._database.connection() as connection:
            (row,) = await connection.fetch(
                """
                SELECT coalesce(sum(g.observations), 0)::bigint AS observations,
                       coalesce(sum(f.bytes), 0)::bigint AS bytes
                  FROM archive_files f
                  JOIN (SELECT file_id, sum(observations) AS observations
                          FROM archive_groups GROUP BY 1) g ON g.file_id = f.id
                """
            )
        return row["observations"], row["bytes"]
