"""A Citus cluster that tests make distributed databases on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from keeper_grpc.storage.schema.distribution import SESSIONS, distribute
from tests.postgres_server import PostgresServer

_NODES = """
    SELECT nodename, nodeport, shouldhaveshards FROM pg_dist_node
     WHERE isactive AND noderole = 'primary' ORDER BY groupid
"""


class CitusCluster(PostgresServer):
    """`dsn` names a database of the coordinator that knows its nodes, and a role that may do all on each of them.

    A database of the cluster is one on each node, under the same name. One that is a copy of another is made by
    copying it on each node: so its metadata and its shards fit together.
    """

    @asynccontextmanager
    async def database(self, options: str = "") -> AsyncIterator[str]:
        """A database of its own for the block, on each node: its name. `options` end CREATE DATABASE."""
        name = f"keeper_test_{uuid.uuid4().hex[:12]}"
        nodes = await self._nodes()
        template = options.removeprefix("TEMPLATE ") if options.startswith("TEMPLATE ") else None
        try:
            for node in nodes:
                await self._create(node, name, options, template)
            if template is None:
                await self._join(nodes, name)
            yield name
        finally:
            for node in nodes:
                await _run(
                    node, [*_left_alone(name), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"]
                )

    async def migrate(self, database: str) -> None:
        """Bring a database to the schema, and distribute it."""
        await super().migrate(database)
        await distribute(self.url(database))

    async def _nodes(self) -> Sequence[str]:
        """The DSN of each node, the coordinator's first."""
        conn = await asyncpg.connect(self.dsn)
        try:
            rows = await conn.fetch(_NODES)
        finally:
            await conn.close()
        parts = urlsplit(self.dsn)
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return [
            parts._replace(netloc=f"{login}{row['nodename']}:{row['nodeport']}").geturl()
            for row in rows
        ]

    async def _create(self, node: str, name: str, options: str, template: str | None) -> None:
        if template is None:
            await _run(node, [f"CREATE DATABASE {name} {options}"])
            for extension in ("citus", "vector"):
                await _run(_of(node, name), [f"CREATE EXTENSION {extension}"])
            return
        statements = [
            *_left_alone(template),
            f"CREATE DATABASE {name} {options}",
            f"ALTER DATABASE {template} ALLOW_CONNECTIONS true",
            *(
                f"ALTER DATABASE {name} SET {setting} = '{value}'"
                for setting, value in SESSIONS.items()
            ),
        ]
        await _run(node, statements)

    async def _join(self, nodes: Sequence[str], name: str) -> None:
        coordinator, *workers = (urlsplit(node) for node in nodes)
        await _run(
            _of(nodes[0], name),
            [
                # A few shards are enough to be on several workers, and as many as that are soon made.
                f"ALTER DATABASE {name} SET citus.shard_count = 4",
                f"ALTER DATABASE {name} SET citus.override_table_visibility = off",
                f"SELECT citus_set_coordinator_host('{coordinator.hostname}', {coordinator.port})",
                *(
                    f"SELECT citus_add_node('{worker.hostname}', {worker.port})"
                    for worker in workers
                ),
            ],
        )


def _left_alone(database: str) -> Sequence[str]:
    """Let nothing be connected to it: the cluster's own worker comes back whenever somebody else is."""
    return [
        f"UPDATE pg_database SET datallowconn = false WHERE datname = '{database}'",  # noqa: S608 - a name of ours
        f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '{database}'",  # noqa: S608 - likewise
    ]


def _of(node: str, database: str) -> str:
    return urlsplit(node)._replace(path=f"/{database}").geturl()


async def _run(dsn: str, statements: Sequence[str]) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await conn.execute(statement)
    finally:
        await conn.close()
