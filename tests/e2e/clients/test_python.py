"""The distribution keeper-client: what it holds, what it needs, and its examples against the real server."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.e2e.clients.program import run, started
from tests.e2e.clients.restarting import Restarting
from tests.e2e.server_process import REPOSITORY

CLIENT = REPOSITORY / "clients/python"
HATCHLING = Path(sys.executable).with_name("hatchling")

NEEDED = ("grpc", "google", "grpc_status", "typing_extensions.py")
"""What its declared dependencies install: grpcio, grpcio-status with googleapis-common-protos, protobuf."""

CONSUMER = """
from collections.abc import Sequence
from typing import assert_type

from keeper_client import KeeperClient, SyncKeeperClient
from keeper_client.gen.keeper.network.v1.pattern_pb2 import Pattern


def page() -> None:
    with SyncKeeperClient("127.0.0.1:50051") as keeper:
        assert_type(keeper.get_pattern("x"), Pattern)
        for pattern in keeper.list_patterns():
            assert_type(pattern, Pattern)
        keeper.get_pattern(1)  # line 14


async def main() -> None:
    assert_type(await KeeperClient("127.0.0.1:50051").get_pattern("x"), Pattern)
"""


def files(wheel: Path) -> dict[str, bytes]:
    """What a wheel holds, by name, less the list of it."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")
        }


def built(kind: str, source: Path, out: Path) -> Path:
    """A wheel or an sdist of the project in a directory."""
    done = subprocess.run(
        [HATCHLING, "build", "-t", kind, "-d", out],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the repository."""
    return built("wheel", CLIENT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Python that has the client and its declared dependencies, and nothing of the server."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)  # noqa: S202 - an archive of our own
    installed = Path(sysconfig.get_path("purelib"))
    for name in NEEDED:
        (site / name).symlink_to(installed / name)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Also outside of the repository, where the sources of the server are not there."""
    sdist = built("sdist", CLIENT, tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")

    assert files(built("wheel", unpacked, tmp_path)) == files(wheel)


def test_its_licence_is_the_repositorys(wheel: Path) -> None:
    """A distribution carries its own copy, which may not differ."""
    (licence,) = (content for name, content in files(wheel).items() if name.endswith("LICENSE"))
    assert licence == (REPOSITORY / "LICENSE").read_bytes()


def test_nothing_in_it_names_the_server(wheel: Path) -> None:
    """No import and no docstring leads to a package that its users do not have."""
    named = [
        name
        for name, content in files(wheel).items()
        if name.endswith((".py", ".pyi")) and b"keeper_grpc" in content
    ]
    assert named == []


async def test_it_is_typed_for_its_users(wheel: Path, tmp_path: Path) -> None:
    """Mypy --strict passes what is right and finds what is wrong, in both clients."""
    (tmp_path / "consumer.py").write_text(CONSUMER)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")  # noqa: S202 - an archive of our own
    async with started(
        *(sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache"),
        *("--follow-imports", "silent", "consumer.py"),
        directory=tmp_path,
        environment=dict(os.environ) | {"MYPYPATH": str(tmp_path / "site")},
    ) as mypy:
        await mypy.ended()
    errors = [line for line in mypy.said.splitlines() if line.startswith("consumer.py")]

    assert [line.split(":")[1] for line in errors] == ["14"], mypy.said


async def test_the_examples_work_without_the_server_package(
    alone: dict[str, str], network_server: Restarting
) -> None:
    """Synchronous calls with a typed error, and a watch through a restart, on grpcio and protobuf alone."""
    # -S leaves out the environment's own packages, the server's dependencies among them.
    python = (sys.executable, "-S")
    connection = (network_server.target, network_server.ca, network_server.token_file)
    said = await run(
        *python,
        CLIENT / "examples/capture_and_enhance.py",
        *connection,
        directory=CLIENT,
        environment=alone,
    )
    assert "Send the guest a personal reminder with 20% off: " in said
    assert "INVALID_REQUEST: the request is invalid: see the field violations (account_id: " in said

    async with started(
        *python,
        CLIENT / "examples/follow.py",
        *connection,
        directory=CLIENT,
        environment=alone,
    ) as follow:
        await follow.says("that is all of ")
        await network_server.down()
        await network_server.up()
        await network_server.emerges("pool_party")
        await follow.says("CHANGE_NEW pool_party")
    assert follow.said.count("that is all of ") == 1
