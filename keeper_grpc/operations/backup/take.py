"""Makes a backup beside the servers of the database, which go on."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from keeper_grpc.operations.backup.contents import count_rows, migrations_of
from keeper_grpc.operations.backup.errors import BackupError, BackupExists, DatabaseSpread
from keeper_grpc.operations.backup.manifest import DUMP, Manifest, sha256
from keeper_grpc.operations.backup.programs import Connection, find_program, run
from keeper_grpc.storage.schema.distribution import is_distributed
from keeper_grpc.storage.schema.preflight import connect
from keeper_grpc.version import version

_FROM_MAJOR = 10_000
"""server_version_num is the major version times this, and the minor one."""


async def take_backup(dsn: str, directory: Path) -> Manifest:
    """Dump the database into a new or empty `directory`, count what is in the dump, and see that it can be read.

    Rows are counted in the snapshot that is dumped, so a restore can be held to them. Raises BackupError,
    DatabaseUnfit.
    """
    _prepare(directory)
    connection = await connect(dsn)
    try:
        if await is_distributed(connection):
            raise DatabaseSpread
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # However long the dump takes, and whatever the role's own limits are.
            await connection.execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
            )
            migrations = await migrations_of(connection)
            if not migrations:
                raise BackupError(
                    "the database has no schema of ours yet: there is nothing to back up"
                )
            facts = await connection.fetchrow(
                """
                SELECT current_setting('server_version') AS postgresql,
                       current_setting('server_version_num')::int AS number,
                       (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector,
                       coalesce((SELECT model FROM embedding_space), '') AS model,
                       (SELECT coalesce(array_agg(key_id ORDER BY key_id), '{}') FROM pseudonym_keys) AS keys,
                       pg_export_snapshot() AS snapshot
                """
            )
            assert facts is not None  # noqa: S101 - a SELECT without FROM has one row
            major = facts["number"] // _FROM_MAJOR
            target = Connection.of(dsn)
            partial = directory / f"{DUMP}.partial"
            # Its owner's alone from the first byte: the directory may be one that was there, and open to others.
            partial.touch(mode=0o600, exist_ok=False)
            await run(
                find_program("pg_dump", major),
                "--format=custom",
                f"--snapshot={facts['snapshot']}",
                f"--file={partial}",
                f"--dbname={target.dsn}",
                connection=target,
            )
            rows = await count_rows(connection)
    finally:
        await connection.close()
    await run(find_program("pg_restore", major), "--list", partial, connection=target)
    _settle(partial, directory / DUMP)
    manifest = Manifest(
        made_time=datetime.now(UTC).isoformat(timespec="seconds"),
        program=version(),
        postgresql=facts["postgresql"],
        pgvector=facts["pgvector"],
        embedding_model=facts["model"],
        migrations=migrations,
        pseudonym_key_ids=tuple(facts["keys"]),
        rows=rows,
        dump_bytes=(directory / DUMP).stat().st_size,
        dump_sha256=sha256(directory / DUMP),
    )
    manifest.write(directory)
    return manifest


def _prepare(directory: Path) -> None:
    """For its owner alone: what is in it is anonymized, and still nobody else's."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise BackupExists(f"{directory} is not empty: name a new directory for each backup")
    except OSError as error:
        raise BackupError(f"{directory} cannot be used: {error.strerror}") from error


def _settle(partial: Path, whole: Path) -> None:
    """Have the file on disk before the manifest says that it is there."""
    partial.chmod(0o600)
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.rename(whole)
