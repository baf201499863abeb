"""What a release publishes: built, installed into an empty environment by the locked hashes, and used outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from keeper_grpc.version import version
from tests.e2e.conftest import MakeDirectory
from tests.e2e.server_process import REPOSITORY, environment

HATCHLING = Path(sys.executable).with_name("hatchling")
UV = Path(sys.executable).with_name("uv")

PLAYS = 900
"""Seconds for an environment of its own and a demo, on a machine that others use."""


def run(*command: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command that knows nothing of this checkout."""
    ours = {k: v for k, v in environment().items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return subprocess.run(
        command,
        cwd=cwd,
        env={k: v for k, v in ours.items() if not k.startswith("KEEPER_")} | more,
        capture_output=True,
        text=True,
        check=False,
    )


def build(source: Path, out: Path) -> tuple[Path, Path]:
    """The wheel and the sdist of a project."""
    done = run(HATCHLING, "build", "-d", out, cwd=source)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def content(wheel: Path) -> dict[str, bytes]:
    """What a wheel holds, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def server_release(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The server's wheel and sdist."""
    return build(REPOSITORY, tmp_path_factory.mktemp("server"))


def empty(directory: Path) -> Path:
    """A Python without any package."""
    made = directory / "venv"
    done = run(UV, "venv", "--python", sys.executable, made, cwd=directory)
    assert done.returncode == 0, done.stderr
    return made / "bin/python"


def install(python: Path, *what: str | Path) -> None:
    """Install from what this machine has already: tests have no network."""
    done = run(UV, "pip", "install", "--offline", "--python", python, *what, cwd=python.parent)
    if "network was disabled" in done.stderr or "not found in the cache" in done.stderr:
        pytest.skip("uv's cache has not what the lock names: pip made this environment")
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(PLAYS)
def test_an_installed_server_plays_the_demo_outside_the_checkout(
    server_release: tuple[Path, Path], make_directory: MakeDirectory
) -> None:
    """By the hashes of requirements.lock, without anything else; the sample data come with it."""
    wheel, _ = server_release
    directory = make_directory()
    python = empty(directory)
    install(python, "--require-hashes", "-r", REPOSITORY / "requirements.lock")
    install(python, "--no-deps", wheel)
    keeper = python.with_name("keeper")

    assert run(keeper, "--version", cwd=directory).stdout.split()[-1] == version()
    assert run(UV, "pip", "check", "--python", python, cwd=directory).returncode == 0
    played = run(keeper, "demo", cwd=directory, COLUMNS="100")
    assert played.returncode == 0, played.stdout + played.stderr
    assert "482 observations for 482 outcomes" in played.stdout


def test_an_installed_client_needs_no_server(make_directory: MakeDirectory) -> None:
    """The client's wheel with what it declares, at the locked versions."""
    directory = make_directory()
    out = directory / "dist"
    wheel, _ = build(REPOSITORY / "clients/python", out)
    python = empty(directory)
    install(python, "--constraint", REPOSITORY / "requirements.lock", wheel)

    told = run(
        python,
        "-c",
        "import importlib.metadata as m, importlib.util as u, keeper_client;"
        "print(m.version('keeper-client'), keeper_client.KeeperClient.__name__, u.find_spec('keeper_grpc'))",
        cwd=directory,
    )
    assert told.stdout.split() == [version(), "KeeperClient", "None"], told.stderr


def test_the_sdist_makes_the_same_wheel(server_release: tuple[Path, Path], tmp_path: Path) -> None:
    """Whoever builds from source gets what is published; the wheel has no tests and no tools."""
    wheel, sdist = server_release
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    again, _ = build(source, tmp_path / "dist")

    assert content(again) == content(wheel)
    rooms = {name.partition("/")[0] for name in content(wheel)}
    assert rooms == {"keeper_grpc", f"keeper_grpc-{version()}.dist-info"}


def test_a_release_names_no_path_of_this_machine(server_release: tuple[Path, Path]) -> None:
    """Nothing that is published depends on where it was built."""
    wheel, _ = server_release
    here = os.fsencode(REPOSITORY)
    assert [name for name, held in content(wheel).items() if here in held] == []
