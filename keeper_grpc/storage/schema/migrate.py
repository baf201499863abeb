"""Bring a database to this program's schema.

Migrations are numbered from 0001 without a gap, and only go forward. Each is a file `NNNN_name.sql`, or a directory
`NNNN` of files that are one migration in the order of their names: 0001 is the whole schema, by room. Each is applied
once, in order, in a transaction of its own that also records it in `schema_migrations`; an applied one is never edited.
The transaction holds an advisory lock, so that programs which start together take turns.

    MigrationError
     +- MigrationFilesInvalid   a gap, a repeated number or an invalid name among the files
     +- MigrationChanged        a file differs from what was applied under its number
     +- MigrationHistoryBroken  the database lacks one before its newest
     +- SchemaUnreleased        the database has the schema of a version before the first release
     +- DatabaseNewer           the database has migrations that this program does not know
     +- MigrationFailed         the database refused a file
     +- MigrationBlocked        a table that it changes stayed locked by other sessions
     +- MigrationBusy           another program was migrating for too long

They stop the start of the process, as does `connections.unfit.DatabaseUnfit`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

import asyncpg
import structlog

from keeper_grpc.operator_error import OperatorError
from keeper_grpc.storage.connections.refusals import for_the_operator
from keeper_grpc.storage.connections.session import settle
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.schema.distribution import distribute_rest, is_distributed
from keeper_grpc.storage.schema.preflight import (
    check_may_create,
    check_may_use,
    check_server,
    check_sessions,
    connect,
)

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_DIRECTORY_NAME = re.compile(r"(\d{4})")
_TABLE = re.compile(r"^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)

TURN_TIMEOUT = 600.0
"""Seconds to wait for another program that migrates: it may rewrite a table, and then there is nothing left to do."""

LOCK_TIMEOUT = 5.0
"""Seconds to wait for a table's lock. Every call on that table waits behind the one who waits."""

_log = structlog.get_logger(__name__)


class MigrationError(OperatorError):
    """Base of the errors of migrations."""


class MigrationFilesInvalid(MigrationError):
    """The files are not 0001, 0002, ... with one name each."""


class MigrationChanged(MigrationError):
    """The file of an applied migration was edited."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"migration {name} was changed after it was applied to this database: "
            "restore the file and put the change into a new migration"
        )


class MigrationHistoryBroken(MigrationError):
    """The database lacks a migration before its newest."""

    def __init__(self, missing: int) -> None:
        super().__init__(
            f"schema_migrations lacks migration {missing:04} but has later ones: "
            "restore the table from a backup"
        )


class SchemaUnreleased(MigrationError):
    """The database was made while the first release was developed: its migrations are another history."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"the database was made by a version from before the first release (it begins with migration {found}), "
            "whose schema cannot be brought to this one: name an empty database in KEEPER_DATABASE_URL, "
            "or another directory in KEEPER_DATA_DIR, and import the history again"
        )


class DatabaseNewer(MigrationError):
    """A newer version of the program has migrated the database."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"the database is at migration {found:04}, this program knows {known:04} only: "
            "run the newer version"
        )


class MigrationFailed(MigrationError):
    """A file's SQL failed. Its transaction is undone, earlier migrations stay."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"migration {name} failed and was undone: {reason}")


class MigrationBlocked(MigrationError):
    """A lock on a table did not come in time. The migration's transaction is undone; another attempt may do."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(
            f"migration {name} waited {seconds:g} seconds for a table that other sessions hold, and was undone: "
            "try again, or end the oldest transactions in pg_stat_activity; "
            "KEEPER_MIGRATION_LOCK_TIMEOUT lets it wait longer, and calls wait behind it"
        )


class MigrationBusy(MigrationError):
    """The lock that lets one program migrate at a time did not come."""

    def __init__(self) -> None:
        super().__init__(
            f"another program has been migrating this database for {TURN_TIMEOUT / 60:g} minutes: wait for it, "
            "or end its session, which holds an advisory lock in pg_locks"
        )


@dataclass(frozen=True, slots=True)
class Migration:
    """One file, or one directory of them.

    `files` are name and text of each, in order; `checksum` is the SHA-256, in hex, of their texts with LF line ends.
    """

    version: int
    name: str
    files: tuple[tuple[str, str], ...]
    checksum: str


@functools.cache
def packaged_migrations() -> tuple[Migration, ...]:
    """The migrations that this program is written for."""
    return read_migrations(importlib.resources.files("keeper_grpc.storage.schema") / "migrations")


def read_migrations(directory: Traversable) -> tuple[Migration, ...]:
    """The migrations in `directory`, in order. A `pathlib.Path` is a `Traversable`.

    Raises:
        MigrationFilesInvalid: a gap, a repeated number or a .sql file with an invalid name.
    """
    migrations = []
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".sql") and not _DIRECTORY_NAME.fullmatch(entry.name):
            continue
        match = _FILE_NAME.fullmatch(entry.name) or _DIRECTORY_NAME.fullmatch(entry.name)
        if match is None:
            raise MigrationFilesInvalid(f"{entry.name} is not named NNNN_lower_snake_case.sql")
        files = tuple(_read(entry)) if entry.is_dir() else ((entry.name, _text(entry)),)
        checksum = hashlib.sha256("".join(sql for _, sql in files).encode()).hexdigest()
        migrations.append(
            Migration(int(match[1]), entry.name.removesuffix(".sql"), files, checksum)
        )
        if migrations[-1].version != len(migrations):
            raise MigrationFilesInvalid(
                f"{entry.name} should have the number {len(migrations):04}: "
                "migrations are numbered from 0001, each number once"
            )
    return tuple(migrations)


def _read(directory: Traversable) -> Iterator[tuple[str, str]]:
    """Name and text of a migration's files, in order."""
    for file in sorted(directory.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            yield f"{directory.name}/{file.name}", _text(file)


def _text(file: Traversable) -> str:
    """In text mode: a checkout that converts line ends is no change."""
    return file.read_text(encoding="utf-8")


async def migrate(
    dsn: str, directory: Traversable | None = None, *, lock_timeout: float = LOCK_TIMEOUT
) -> list[str]:
    """Apply the missing migrations of `directory` (the packaged one by default); return their names.

    Runs the preflight first and creates the extension `vector` and the table `schema_migrations`.
    On a database without missing migrations, the role needs no right to create anything, but those to read and write
    every table. A migration waits `lock_timeout` seconds at most for each table that it changes.

    Raises:
        MigrationError: names a migration; those before it were applied.
        DatabaseUnfit: from the preflight.
    """
    migrations = packaged_migrations() if directory is None else read_migrations(directory)
    applied: list[str] = []
    async with _connected(dsn) as conn:
        await check_sessions(conn, dsn)
        await settle(conn)
        while True:
            async with conn.transaction():
                await _take_turn(conn)
                await _limit_waits(conn, lock_timeout)
                done = await _applied(conn)
                _require_prefix(done, migrations)
                if not applied:
                    await check_server(conn)
                if len(done) == len(migrations):
                    await check_may_use(conn, tables_of(migrations))
                    return applied
                if not done:
                    await _prepare(conn)
                await check_may_create(conn)
                try:
                    await _apply(conn, migrations[len(done)])
                    if await is_distributed(conn):
                        await distribute_rest(conn)
                except asyncpg.LockNotAvailableError as error:
                    raise MigrationBlocked(migrations[len(done)].name, lock_timeout) from error
                applied.append(migrations[len(done)].name)
            _log.info("migration_applied", migration=applied[-1])


async def pending(dsn: str, directory: Traversable | None = None) -> tuple[Migration, ...]:
    """The migrations that `migrate` would apply, in order. Changes nothing and waits for no lock.

    Raises:
        MigrationError: none can be applied, as the database's history is not this program's.
        DatabaseUnfit: it cannot be reached, or lacks what the service needs.
    """
    migrations = packaged_migrations() if directory is None else read_migrations(directory)
    async with _connected(dsn) as conn, conn.transaction(readonly=True):
        done = await _applied(conn)
    _require_prefix(done, migrations)
    return migrations[len(done) :]


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    conn = await connect(dsn)
    try:
        with for_the_operator():
            yield conn
    finally:
        await conn.close()


def tables_of(migrations: Sequence[Migration]) -> Sequence[str]:
    """The tables that the migrations create. Later ones may have dropped some."""
    return [
        name
        for migration in migrations
        for _, sql in migration.files
        for name in _TABLE.findall(sql)
    ]


async def is_current(conn: Connection) -> bool:
    """Whether every packaged migration is applied: one small query, for a readiness check.

    A newer database counts as current, so that the old processes of a rolling upgrade stay in
    service until they are replaced.
    """
    migrations = packaged_migrations()
    try:
        found = await conn.fetchval(
            "SELECT count(*) FROM schema_migrations WHERE version <= $1", len(migrations)
        )
    except asyncpg.UndefinedTableError:
        return False
    return bool(found == len(migrations))


async def _take_turn(conn: Connection) -> None:
    await _limit_waits(conn, TURN_TIMEOUT)
    try:
        await lock(conn, AdvisoryLock.MIGRATION)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationBusy from error


async def _limit_waits(conn: Connection, seconds: float) -> None:
    """End a statement of this transaction that waits longer for a lock."""
    # 0 would be none.
    await conn.execute(
        "SELECT set_config('lock_timeout', $1, true)", str(max(1, int(seconds * 1000)))
    )


async def _prepare(conn: Connection) -> None:
    """Create the extension and the table of migrations, before the first one."""
    await check_may_create(conn)
    await conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    await conn.execute(
        """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            version      integer PRIMARY KEY,
            name         text NOT NULL,
            checksum     text NOT NULL,
            applied_time timestamptz NOT NULL DEFAULT now()
        )
        """
    )


async def _applied(conn: Connection) -> Mapping[int, tuple[str, str]]:
    """Name and checksum of the applied migrations by version, in order."""
    if await conn.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return {}
    await check_may_use(conn, ["schema_migrations"], rights=["SELECT"])
    rows = await conn.fetch(
        "SELECT version, name, checksum FROM schema_migrations ORDER BY version"
    )
    return {row["version"]: (row["name"], row["checksum"]) for row in rows}


def _require_prefix(done: Mapping[int, tuple[str, str]], migrations: Sequence[Migration]) -> None:
    """Raise unless `done` is a prefix of `migrations`."""
    for expected, version in enumerate(done, start=1):
        if version != expected:
            raise MigrationHistoryBroken(expected)
    if done and migrations and done[1][0] != migrations[0].name:
        raise SchemaUnreleased(done[1][0])
    if len(done) > len(migrations):
        raise DatabaseNewer(len(done), len(migrations))
    for migration, (_, checksum) in zip(migrations, done.values(), strict=False):
        if migration.checksum != checksum:
            raise MigrationChanged(migration.name)


async def _apply(conn: Connection, migration: Migration) -> None:
    async with conn.transaction():
        for name, sql in migration.files:
            try:
                await conn.execute(sql)
            except asyncpg.LockNotAvailableError:
                raise
            except asyncpg.PostgresError as error:
                raise MigrationFailed(name.removesuffix(".sql"), _reason(error, sql)) from error
    await conn.execute(
        "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
        migration.version,
        migration.name,
        migration.checksum,
    )


def _reason(error: asyncpg.PostgresError, sql: str) -> str:
    """The server's message and, where it says so, the line of the file."""
    position = getattr(error, "position", None)
    if position is None:
        return str(error)
    line = sql.count("\n", 0, int(position) - 1) + 1
    return f"line {line}: {error}"
