"""What becomes of observations that are archived, whatever happens in the middle."""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.one_shot.commands import rebuild
from keeper_grpc.operations.archive.check import look_over
from keeper_grpc.operations.archive.errors import ArchiveBusy, ArchiveDamaged, ArchiveError
from keeper_grpc.operations.archive.exclusion import alone
from keeper_grpc.operations.archive.parquet import Reader
from keeper_grpc.operations.archive.reading import archived
from keeper_grpc.operations.archive.run import Archived, Archiving
from keeper_grpc.operations.archive.shelf import Shelf
from keeper_grpc.storage.archives.files import PostgresArchiveFiles
from keeper_grpc.storage.archives.leaving import look, take
from keeper_grpc.storage.archives.rebuild import ArchivesNeeded
from keeper_grpc.storage.archives.rows import COLUMNS, IMPLIED, QUESTION
from keeper_grpc.storage.database import Database
from tests.e2e.waiting import POLL, SOON
from tests.integration.archives.history import (
    HALF_LIFE,
    Calendar,
    age,
    counted,
    differences,
    execute,
    live,
)
from tests.integration.evidence.test_rebuild import settings
from tests.integration.observations import opened
from tests.rpc.service import PSEUDONYM_KEYS, running

NOW = datetime.now(UTC)
LATER = NOW - timedelta(days=30)
"""Nearly all of a history occurred before."""


@pytest.fixture
async def accounts(database_of_its_own: str) -> Sequence[str]:
    """Those of a history that may be archived."""
    calendar = Calendar()
    async with running(
        database_of_its_own, clock=calendar, evidence_half_life=HALF_LIFE, holdout_share=0.2
    ) as service:
        names = list(await live(service, random.Random(7), 100, calendar))  # noqa: S311 - a history, not a secret
    await age(database_of_its_own)
    return names


@pytest.fixture
async def lived(database_of_its_own: str, accounts: Sequence[str]) -> str:
    """The DSN of the database of that history."""
    return database_of_its_own


@pytest.fixture
async def database(lived: str) -> AsyncIterator[Database]:
    """A pool on it."""
    async with opened(lived) as pool:
        yield pool


async def archive(database: Database, directory: Path, before: datetime = LATER) -> Archived:
    """A run of the command, without its line of output."""
    return await Archiving(database, Shelf(directory), HALF_LIFE)(before)


async def ids(dsn: str) -> Sequence[UUID]:
    """Of the observations that are in the ledger."""
    connection = await asyncpg.connect(dsn)
    try:
        return [row["id"] for row in await connection.fetch("SELECT id FROM observations")]
    finally:
        await connection.close()


async def ids_in_files(database: Database, directory: Path) -> Sequence[UUID]:
    """Of the observations that would be read from the files."""
    files = await PostgresArchiveFiles(database).files()
    return [row["id"] for group in archived(Shelf(directory), files) for row in group]


async def test_what_a_file_has_is_what_the_ledger_has(lived: str) -> None:
    """A column that is added to the ledger has to be archived, or to be implied."""
    connection = await asyncpg.connect(lived)
    try:
        rows = await connection.fetch(
            """
            SELECT a.attname, format_type(a.atttypid, NULL) AS type FROM pg_attribute a
             WHERE a.attrelid = 'observations'::regclass AND a.attnum > 0 AND NOT a.attisdropped
            """
        )
    finally:
        await connection.close()
    named = {"double precision": "float8", "timestamp with time zone": "timestamptz"}
    found = {row["attname"]: named.get(row["type"], row["type"]) for row in rows}
    stored = {
        column: kind for column, kind in COLUMNS.items() if column not in ("subject", QUESTION)
    }
    assert {column: found.pop(column) for column in stored} == stored
    assert set(found) == {*IMPLIED, "account_key", "net_revenue"}


async def test_every_observation_is_in_the_ledger_or_in_a_file(
    lived: str, database: Database, tmp_path: Path
) -> None:
    """A second run finds nothing; what is not settled stays, and what a retry may ask for."""
    before = await ids(lived)
    done = await archive(database, tmp_path)
    assert done.observations > 20
    assert done.left == 0
    there, archived_ids = await ids(lived), await ids_in_files(database, tmp_path)
    assert sorted([*there, *archived_ids]) == sorted(before)
    assert (
        await execute(
            lived,
            """
        SELECT count(*) FROM outcome_requests r
         WHERE r.observation_id NOT IN (SELECT o.id FROM observations o)
        """,
        )
        == 0
    )
    assert (await archive(database, tmp_path)).observations == 0
    found = await look_over(database, Shelf(tmp_path), LATER)
    assert (found.problems, found.observations) == ([], done.observations)
    assert all(path.stat().st_mode & 0o077 == 0 for path in paths(tmp_path))


async def test_late_observations_of_a_month_go_into_another_file(
    lived: str, database: Database, tmp_path: Path
) -> None:
    """A file is never written to again."""
    connection = await asyncpg.connect(lived)
    try:
        late = await connection.fetch(
            "UPDATE observations SET final = false WHERE id IN (SELECT id FROM observations "
            "WHERE measured_day IS NOT NULL AND enhancement_id IS NULL AND instead_of IS NULL LIMIT 20) RETURNING id"
        )
        await archive(database, tmp_path)
        files = {path.name: path.read_bytes() for path in paths(tmp_path)}
        await connection.execute("UPDATE observations SET final = true WHERE NOT final")
    finally:
        await connection.close()
    assert (await archive(database, tmp_path)).observations > 0
    there = await ids_in_files(database, tmp_path)
    assert len(there) == len(set(there))
    assert {row["id"] for row in late} & set(there)
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    assert len(paths(tmp_path)) > len(files)


async def test_what_changes_while_it_is_written_stays(
    lived: str, database: Database, tmp_path: Path
) -> None:
    """The ledger is held to the file in the transaction that deletes: all of a group goes, or none."""
    async with look(database, LATER, name=True) as leaving:
        due = (await leaving.due())[0]
        (rows,) = [group async for group in leaving.groups(due)]
    await execute(
        lived, "UPDATE observations SET success = NOT success WHERE id = $1", rows[0]["id"]
    )
    file_id = UUID(int=1)
    await PostgresArchiveFiles(database).begin(file_id, "unwritten", due.month)
    before = await counted(lived)
    assert not await take(database, file_id, 0, rows, HALF_LIFE)
    assert differences(before, await counted(lived)) == []
    assert {row["id"] for row in rows} <= set(await ids(lived))
    assert await execute(lived, "SELECT count(*) FROM archived_days") == 0


async def test_a_forgotten_account_leaves_the_files_too(
    lived: str, accounts: Sequence[str], tmp_path: Path, database: Database
) -> None:
    """At once nobody can tell whose its rows are, no rebuild brings them back, and the next run writes them out."""
    await archive(database, tmp_path)
    subjects = await PostgresArchiveFiles(database).subjects()
    async with running(lived, evidence_half_life=HALF_LIFE) as service:
        await service.admin.ForgetAccount(ForgetAccountRequest(account_id=accounts[0]))
    (subject,) = subjects.keys() - (await PostgresArchiveFiles(database).subjects()).keys()
    forgotten = await counted(lived)
    result = await rebuild(settings(lived, counting_step=1), tmp_path)
    assert result.corrected == 0
    assert differences(forgotten, await counted(lived)) == []
    held = [row for row in rows_of(tmp_path) if row["subject"] == subject]
    assert (await archive(database, tmp_path)).forgotten == len(held) > 0
    assert subject not in {row["subject"] for row in rows_of(tmp_path)}
    assert not any(subjects[subject] in str(row) for row in rows_of(tmp_path))
    assert (await look_over(database, Shelf(tmp_path), LATER)).problems == []
    assert (await rebuild(settings(lived, counting_step=1), tmp_path)).corrected == 0
    assert differences(forgotten, await counted(lived)) == []


def paths(directory: Path) -> Sequence[Path]:
    """The files that are there."""
    return sorted(directory.iterdir())


def rows_of(directory: Path) -> Sequence[Mapping[str, object]]:
    """Everything that the files hold."""
    rows: list[Mapping[str, object]] = []
    for path in paths(directory):
        with Reader(path) as reader:
            for number in range(reader.groups):
                rows += reader.group(number)
    return rows


@pytest.mark.parametrize("harm", ["missing", "damaged"])
async def test_a_rebuild_needs_every_file_as_it_was_written(
    harm: str, lived: str, database: Database, tmp_path: Path
) -> None:
    """One line names the file, and nothing was changed."""
    await archive(database, tmp_path)
    before = await counted(lived)
    path = paths(tmp_path)[1]
    if harm == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(ArchiveDamaged, match=f"{path.name} is {harm}") as caught:
        await rebuild(settings(lived, counting_step=1), tmp_path)
    assert "\n" not in str(caught.value)
    assert differences(before, await counted(lived)) == []
    assert (await look_over(database, Shelf(tmp_path), LATER)).problems == [str(caught.value)]


async def test_another_half_life_needs_the_archives(
    lived: str, database: Database, tmp_path: Path
) -> None:
    """Sums under one half-life do not tell those under another; the line says what to do."""
    await archive(database, tmp_path)
    with pytest.raises(ArchivesNeeded, match="keeper rebuild --archives DIR"):
        await rebuild(settings(lived, evidence_half_life=timedelta(days=30)))
    await rebuild(settings(lived, evidence_half_life=timedelta(days=30)), tmp_path)
    await rebuild(settings(lived, evidence_half_life=timedelta(days=30)))


async def test_one_command_at_the_archives_at_a_time(
    lived: str, database: Database, tmp_path: Path
) -> None:
    """A rebuild would miss a file that is replaced meanwhile."""
    async with alone(database):
        with pytest.raises(ArchiveBusy, match="wait"):
            await rebuild(settings(lived), tmp_path)
        ended = await asyncio.to_thread(keeper_archive, lived, tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("keeper: another")


def command(dsn: str, directory: Path) -> tuple[list[str], dict[str, str]]:
    """The command as an operator types it, and the environment."""
    arguments = ["archive", "--before", f"{NOW:%Y-%m}", "--to", str(directory)]
    return [sys.executable, "-m", "keeper_grpc.cli", *arguments], {
        **os.environ,
        "KEEPER_DATABASE_URL": dsn,
        "KEEPER_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
    }


def keeper_archive(
    dsn: str, directory: Path, *options: str, largest: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it; `largest`: bytes of a file after which the disk is full."""
    arguments, environment = command(dsn, directory)

    def limit() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return subprocess.run(
        [*arguments, *options],
        env=environment,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * SOON,
    )


@pytest.mark.timeout(900)  # three processes
async def test_a_full_disk_loses_nothing(lived: str, database: Database, tmp_path: Path) -> None:
    """The file that could not be written is gone, its rows are in the ledger, and a later run goes on."""
    before = await ids(lived)
    ended = await asyncio.to_thread(keeper_archive, lived, tmp_path, largest=2_000)
    assert ended.returncode == 1
    assert "cannot be written" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert (paths(tmp_path), await ids(lived)) == ([], before)
    ended = await asyncio.to_thread(keeper_archive, lived, tmp_path, "--check")
    assert (ended.returncode, await ids(lived)) == (0, before)
    ended = await asyncio.to_thread(keeper_archive, lived, tmp_path)
    assert ended.returncode == 0
    assert ended.stdout.startswith("archived ")
    assert sorted([*await ids(lived), *await ids_in_files(database, tmp_path)]) == sorted(before)


@pytest.mark.timeout(900)  # a process for each kill
async def test_a_kill_in_the_middle_loses_and_doubles_nothing(
    lived: str, database: Database, tmp_path: Path
) -> None:
    """At whichever moment: after so many groups, with a file half written or half taken."""
    before, whole = sorted(await ids(lived)), await counted(lived)
    kills = 0
    for groups in (1, 4):
        arguments, environment = command(lived, tmp_path)
        process = await asyncio.create_subprocess_exec(*arguments, env=environment)
        async with asyncio.timeout(5 * SOON):
            while process.returncode is None:
                if await execute(lived, "SELECT count(*) FROM archive_groups") >= groups:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    break
                await asyncio.sleep(POLL)
            await process.wait()
        assert sorted([*await ids(lived), *await ids_in_files(database, tmp_path)]) == before
        assert differences(whole, await counted(lived)) == []
    assert kills > 0
    await archive(
        database, tmp_path, datetime.strptime(f"{NOW:%Y-%m}", "%Y-%m").replace(tzinfo=UTC)
    )
    assert sorted([*await ids(lived), *await ids_in_files(database, tmp_path)]) == before
    assert {path.name for path in paths(tmp_path)} == {
        file.name for file in await PostgresArchiveFiles(database).files()
    }
    assert (await rebuild(settings(lived, counting_step=1), tmp_path)).corrected == 0
    assert differences(whole, await counted(lived)) == []


async def test_without_the_extra_the_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The package is heavy, and few need it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "keeper_grpc.operations.archive.parquet")
    with pytest.raises(ArchiveError, match="pip install 'keeper-grpc\\[archive\\]'"):
        importlib.import_module("keeper_grpc.operations.archive.parquet")
