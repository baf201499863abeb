"""How large the tables are on the server's disk."""

from __future__ import annotations

from collections.abc import Mapping

from keeper_grpc.storage.database import Database


class PostgresSizes:
    """The SizeStore of usecases/retention/measure_sizes.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sizes(self) -> Mapping[str, int]:
        """Partitions count as the table that they are of."""
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
        return {row["name"]: row["bytes"] for row in rows}
