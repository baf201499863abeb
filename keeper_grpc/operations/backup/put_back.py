"""Puts a backup back, in one transaction, and holds what is there then to the backup's manifest."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_grpc.operations.backup.contents import count_rows, has_learned, migrations_of
from keeper_grpc.operations.backup.errors import (
    BackupOfAnother,
    DatabaseInUse,
    DatabaseNotEmpty,
    DatabaseSpread,
    ProgramFailed,
    RestoreDiffers,
)
from keeper_grpc.operations.backup.manifest import DUMP, Manifest
from keeper_grpc.operations.backup.programs import Connection, find_program, run
from keeper_grpc.storage.schema.distribution import is_distributed
from keeper_grpc.storage.schema.migrate import packaged_migrations
from keeper_grpc.storage.schema.preflight import connect

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection as Session

_SERVES = "keeper"
"""The application_name of a server's connections (storage/database.py)."""


async def put_back(dsn: str, directory: Path, *, overwrite: bool) -> Manifest:
    """Restore the backup of `directory` into the database. Nothing is changed unless all of it is.

    The database is as the backup was, also in its migrations; `keeper migrate` brings it to this program's schema.
    Owners and grants are the restoring role's. Raises BackupError, DatabaseUnfit.
    """
    manifest = Manifest.read(directory)
    _require_known(manifest)
    connection = await connect(dsn)
    try:
        if await is_distributed(connection):
            raise DatabaseSpread
        await _require_free(connection, overwrite=overwrite)
        major = connection.get_server_version().major
        has_vector = await connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'vector')"
        )
        target = Connection.of(dsn)
        program = find_program("pg_restore", major)
        dump = directory / DUMP
        listed = await run(program, "--list", dump, connection=target)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".list") as contents:
            contents.write(_without_extension(listed) if has_vector else listed)
            contents.flush()
            try:
                await run(
                    program,
                    "--clean",
                    "--if-exists",
                    "--single-transaction",
                    "--no-owner",
                    "--no-privileges",
                    f"--use-list={contents.name}",
                    f"--dbname={target.dsn}",
                    dump,
                    connection=target,
                )
            except ProgramFailed as error:
                raise ProgramFailed(
                    f"{error}; nothing was changed. Where what is there cannot be replaced, restore into a "
                    "database that was just made"
                ) from error
        await _require_same(connection, manifest)
        # A dump brings no statistics, and plans without them are bad ones.
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    return manifest


def _require_known(manifest: Manifest) -> None:
    ours = [(migration.name, migration.checksum) for migration in packaged_migrations()]
    theirs = list(manifest.migrations.items())
    if len(theirs) > len(ours):
        raise BackupOfAnother(
            f"the backup is at migration {theirs[-1][0]}, this program knows {ours[-1][0]} only: "
            f"restore it with version {manifest.program} or a newer one"
        )
    if theirs != ours[: len(theirs)]:
        raise BackupOfAnother(
            f"the backup was made by version {manifest.program}, whose migrations are not this program's"
        )


async def _require_free(connection: Session, *, overwrite: bool) -> None:
    serving: int = await connection.fetchval(
        """
        SELECT count(DISTINCT coalesce(client_addr::text, '')) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()
        """,
        _SERVES,
    )
    if serving:
        raise DatabaseInUse(
            f"servers on {serving} host(s) are connected to this database: stop them, then restore"
        )
    if not overwrite and await has_learned(connection):
        raise DatabaseNotEmpty(
            "the database holds accounts and evidence, which a restore replaces: back it up, then say --overwrite"
        )


def _without_extension(listed: str) -> str:
    """A list of contents without pgvector, which is there: its owner is often a superuser."""
    return "".join(
        line
        for line in listed.splitlines(keepends=True)
        if " EXTENSION - vector" not in line and " EXTENSION vector" not in line
    )


async def _require_same(connection: Session, manifest: Manifest) -> None:
    """Raise RestoreDiffers unless each table has the rows that were counted."""
    found = await count_rows(connection)
    wrong = [
        f"{table} has {found.get(table, 0)} of {rows} rows"
        for table, rows in manifest.rows.items()
        if found.get(table, 0) != rows
    ]
    if await migrations_of(connection) != manifest.migrations:
        wrong.append("its migrations are others")
    if wrong:
        raise RestoreDiffers(f"what was restored is not what was backed up: {'; '.join(wrong)}")
