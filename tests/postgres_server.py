"""A PostgreSQL server that tests make databases on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg

from keeper_grpc.storage.schema.migrate import migrate


@dataclass(frozen=True)
class PostgresServer:
    """A server to make databases on. `dsn` names an existing one and a role with CREATEDB."""

    dsn: str

    def url(self, database: str) -> str:
        """The DSN of another database on the same server."""
        parts = urlsplit(self.dsn)
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}/{database}{query}"

    async def execute(self, sql: str) -> None:
        """Run one statement outside of the databases under test."""
        conn = await asyncpg.connect(self.dsn)
        try:
            await conn.execute(sql)
        finally:
            await conn.close()

    @asynccontextmanager
    async def database(self, options: str = "") -> AsyncIterator[str]:
        """A database of its own for the block: its name. `options` end CREATE DATABASE."""
        name = f"keeper_test_{uuid.uuid4().hex[:12]}"
        await self.execute(f"CREATE DATABASE {name} {options}")
        try:
            yield name
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def migrate(self, database: str) -> None:
        """Bring a database to the schema that tests of this server run on."""
        await migrate(self.url(database))
