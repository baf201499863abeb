"""A temporary database for the demo."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

from keeper_grpc.demo.failure import DemoFailed
from keeper_grpc.privacy.keys.pseudonyms import MINIMUM_KEY_BYTES
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.schema.preflight import connect

_URL = "KEEPER_DATABASE_URL"


class DemoDatabase(Protocol):
    """Where the demo's server keeps its data."""

    @property
    def description(self) -> str:
        """A description for people."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings that point a keeper process at it."""

    @property
    def log_files(self) -> list[Path]:
        """The database's own log files that we can read."""

    def reader(self) -> AbstractAsyncContextManager[Connection]:
        """A connection that bypasses the service, for use while no keeper process runs."""


class BundledDatabase:
    """The bundled PostgreSQL, in a temporary directory."""

    description = "bundled PostgreSQL in a temporary directory"

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    @property
    def environment(self) -> Mapping[str, str]:
        return {"KEEPER_DATA_DIR": str(self._data_dir)}

    @property
    def log_files(self) -> list[Path]:
        return sorted(self._data_dir.glob("*.log*"))

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Connection]:
        async with EmbeddedPostgres(self._data_dir) as server:
            connection = await connect(server.dsn)
            try:
                yield connection
            finally:
                await connection.close()


class ExternalDatabase:
    """A database made for the demo on the server that KEEPER_DATABASE_URL names."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self.description = f"database {name} on the server of {_URL}"
        key = base64.b64encode(secrets.token_bytes(MINIMUM_KEY_BYTES)).decode()
        self.environment: Mapping[str, str] = {_URL: dsn, "KEEPER_PSEUDONYM_KEYS": f"demo:{key}"}
        self.log_files: list[Path] = []

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Connection]:
        connection = await connect(self._dsn)
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def demo_database() -> AsyncIterator[DemoDatabase]:
    """A fresh database: on the server of KEEPER_DATABASE_URL if that is set, else a bundled one.

    Raises DemoFailed, DatabaseUnreachable.
    """
    dsn = os.environ.get(_URL, "").strip()
    if dsn:
        async with _created(dsn) as database:
            yield database
        return
    directory = Path(tempfile.mkdtemp(prefix="keeper-demo-"))
    try:
        yield BundledDatabase(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def _created(dsn: str) -> AsyncIterator[ExternalDatabase]:
    name = f"keeper_demo_{secrets.token_hex(6)}"
    connection = await connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    except asyncpg.InsufficientPrivilegeError:
        role = await connection.fetchval("SELECT quote_ident(current_user)")
        raise DemoFailed(
            f"the demo makes a database of its own, and role {role} of {_URL} may not: "
            f"run ALTER ROLE {role} CREATEDB, or unset {_URL} to use the bundled PostgreSQL"
        ) from None
    finally:
        await connection.close()
    try:
        yield ExternalDatabase(_with_database(dsn, name), name)
    finally:
        # A new connection: the demo may have outlived the server's idle timeout.
        connection = await connect(dsn)
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        finally:
            await connection.close()


def _with_database(dsn: str, name: str) -> str:
    """The DSN of another database on the same server."""
    if "://" not in dsn:
        return f"{dsn} dbname={name}"  # of a keyword that occurs twice the last value counts
    parts = urlsplit(dsn)
    # A `dbname` parameter would override the path.
    kept = [pair for pair in parse_qsl(parts.query) if pair[0] not in ("dbname", "database")]
    query = f"?{urlencode(kept)}" if kept else ""
    return f"{parts.scheme}://{parts.netloc}/{name}{query}"
