from __future__ import annotations

import json
import stat
from pathlib import Path

import asyncpg
import pytest

from keeper_grpc.operations.backup.errors import (
    BackupError,
    BackupExists,
    BackupInvalid,
    BackupOfAnother,
    DatabaseInUse,
    DatabaseNotEmpty,
    DatabaseSpread,
    RestoreDiffers,
)
from keeper_grpc.operations.backup.put_back import put_back
from keeper_grpc.operations.backup.take import take_backup
from tests.conftest import PostgresServer

ON_ONE_SERVER = pytest.mark.one_server("`keeper backup` and `keeper restore` refuse a cluster")


@pytest.fixture
async def learned(database_of_its_own: str) -> str:
    """The DSN of a database with something to lose."""
    await execute(
        database_of_its_own,
        """
        INSERT INTO accounts (account_key, business_category, joined_time)
        SELECT 'test:' || n, 'spa', now() FROM generate_series(1, 3) n
        """,
    )
    return database_of_its_own


async def execute(dsn: str, sql: str) -> int:
    """Run a statement: the number that it answers, if it answers one."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql) or 0
    finally:
        await connection.close()


@ON_ONE_SERVER
async def test_a_backup_is_its_owners_and_counts_what_it_holds(
    learned: str, tmp_path: Path
) -> None:
    """Closed to others, with the rows of one snapshot, and without anything half-written."""
    manifest = await take_backup(learned, tmp_path / "new" / "backup")
    directory = tmp_path / "new" / "backup"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {entry.name for entry in directory.iterdir()} == {"keeper.dump", "manifest.json"}
    assert stat.S_IMODE((directory / "keeper.dump").stat().st_mode) == 0o600
    assert manifest.rows["accounts"] == 3
    assert manifest.migrations


@ON_ONE_SERVER
async def test_a_restore_replaces_data_only_when_told(learned: str, tmp_path: Path) -> None:
    """It changes nothing without the word, and with it the backup is what is there."""
    await take_backup(learned, tmp_path / "backup")
    await execute(learned, "DELETE FROM accounts WHERE account_key <> 'test:1'")
    with pytest.raises(DatabaseNotEmpty, match="--overwrite"):
        await put_back(learned, tmp_path / "backup", overwrite=False)
    assert await execute(learned, "SELECT count(*) FROM accounts") == 1
    await put_back(learned, tmp_path / "backup", overwrite=True)
    assert await execute(learned, "SELECT count(*) FROM accounts") == 3


@ON_ONE_SERVER
async def test_a_restore_is_refused_beside_servers(learned: str, tmp_path: Path) -> None:
    """They would go on with what they remember of the other database."""
    await take_backup(learned, tmp_path / "backup")
    server = await asyncpg.connect(learned, server_settings={"application_name": "keeper"})
    try:
        with pytest.raises(DatabaseInUse, match="stop them"):
            await put_back(learned, tmp_path / "backup", overwrite=True)
    finally:
        await server.close()


@ON_ONE_SERVER
async def test_what_is_damaged_incomplete_or_of_a_newer_program_is_not_restored(
    learned: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A flipped bit, other migrations, a manifest that is none, none at all: the database stays empty."""
    await take_backup(learned, tmp_path)
    dump, manifest = tmp_path / "keeper.dump", tmp_path / "manifest.json"
    good, told = dump.read_bytes(), json.loads(manifest.read_text())
    async with postgres_server.database() as name:
        dsn = postgres_server.url(name)

        async def refusal(kind: type[BackupError]) -> str:
            with pytest.raises(kind) as refused:
                await put_back(dsn, tmp_path, overwrite=False)
            assert (
                await execute(dsn, "SELECT count(*) FROM pg_class WHERE relname = 'accounts'") == 0
            )
            return str(refused.value)

        dump.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert "is damaged" in await refusal(BackupInvalid)
        dump.write_bytes(good)
        newer = told | {"migrations": told["migrations"] | {"9999_later": "0"}}
        manifest.write_text(json.dumps(newer))
        assert "9999_later" in await refusal(BackupOfAnother)
        manifest.write_text(json.dumps(told | {"migrations": {"0001": "another"}}))
        await refusal(BackupOfAnother)
        manifest.write_text(json.dumps(told | {"format": 2}))
        assert "format 2" in await refusal(BackupInvalid)
        manifest.write_text("{")
        await refusal(BackupInvalid)
        manifest.unlink()
        assert "no complete backup" in await refusal(BackupInvalid)


@ON_ONE_SERVER
async def test_a_restore_that_lacks_rows_is_not_called_one(
    learned: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Each table is counted, and the one that differs is named."""
    await take_backup(learned, tmp_path)
    manifest = tmp_path / "manifest.json"
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(told | {"rows": told["rows"] | {"accounts": 4}}))
    async with postgres_server.database() as name:
        with pytest.raises(RestoreDiffers, match="accounts has 3 of 4 rows"):
            await put_back(postgres_server.url(name), tmp_path, overwrite=False)


async def test_a_backup_replaces_no_other(learned: str, tmp_path: Path) -> None:
    """The directory must be new, and what is in it stays as it was."""
    (tmp_path / "file").write_text("kept")
    with pytest.raises(BackupExists, match="is not empty"):
        await take_backup(learned, tmp_path)
    assert not (tmp_path / "keeper.dump").exists()


async def test_a_database_without_our_schema_is_no_backup(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A wrong KEEPER_DATABASE_URL must not look like success."""
    async with postgres_server.database() as name:
        with pytest.raises(BackupError, match="nothing to back up"):
            await take_backup(postgres_server.url(name), tmp_path)


@pytest.mark.cluster
async def test_a_cluster_is_neither_backed_up_nor_replaced(learned: str, tmp_path: Path) -> None:
    """No snapshot is of all its nodes, and the error says what to do instead."""
    with pytest.raises(DatabaseSpread, match="citus_create_restore_point"):
        await take_backup(learned, tmp_path)
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240 - an empty directory
