"""What a team with another language does: generate from the protos in a clean directory, and build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.server_process import REPOSITORY, ServerProcess

CONSUMERS = REPOSITORY / "tests/consumers"
BUF = Path(sys.executable).with_name("buf")

BUILD = 300
"""Seconds for a test that compiles grpc-go and the standard library, on a machine that others use."""

UNUSED = shutil.ignore_patterns("node_modules", "gen", "built", "libraries")

# Where Go's own installer puts it; few PATHs have it.
SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin"
# Tests have no network: what is not in the module cache is a failure, not a download.
OFFLINE = os.environ | {
    "PATH": SEARCHED,
    "GOPROXY": "off",
    "GOFLAGS": "-mod=readonly -buildvcs=false",
    "GOTOOLCHAIN": "local",
}


def run(directory: Path, *command: str | Path) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(
        command, cwd=directory, env=OFFLINE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def go_consumer(tmp_path: Path) -> Path:
    """A directory with a Go program that has nothing generated yet."""
    if shutil.which("go", path=SEARCHED) is None:
        pytest.skip("there is no Go toolchain")
    directory = tmp_path / "consumer"
    shutil.copytree(CONSUMERS / "go", directory, ignore=UNUSED)
    fetched = subprocess.run(
        ["go", "mod", "download"],
        cwd=directory,
        env=OFFLINE,
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode:
        pytest.skip("the Go modules of the consumer are not here: `make consumers` fetches them")
    return directory


@pytest.fixture
def typescript_consumer(tmp_path: Path) -> Path:
    """A directory with a TypeScript program that has nothing generated yet."""
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js")
    packages = CONSUMERS / "typescript/node_modules"
    if not (packages / ".package-lock.json").exists():
        pytest.skip("the npm packages of the consumer are not here: `make consumers` fetches them")
    directory = tmp_path / "consumer"
    shutil.copytree(CONSUMERS / "typescript", directory, ignore=UNUSED)
    (directory / "node_modules").symlink_to(packages)
    return directory


@pytest.fixture
def java_consumer(tmp_path: Path) -> Path:
    """A directory with a Java program that has nothing generated yet."""
    for tool, reason in [
        ("javac", "there is no JDK"),
        ("grpc_java_plugin", "there is no grpc_java_plugin: Debian has a package of it"),
    ]:
        if shutil.which(tool) is None:
            pytest.skip(reason)
    libraries = CONSUMERS / "java/libraries"
    protoc = libraries / "protoc-linux-x86_64.exe"
    if not protoc.exists() or not any(libraries.glob("grpc-stub*.jar")):
        pytest.skip("the Java libraries of the consumer are not here: `make consumers` gets them")
    directory = tmp_path / "consumer"
    shutil.copytree(CONSUMERS / "java", directory, ignore=UNUSED)
    (directory / "libraries").symlink_to(libraries)
    return directory


@pytest.mark.timeout(BUILD)
@pytest.mark.parametrize(
    ("template", "source"),
    [
        ("buf.gen.yaml", REPOSITORY),
        ("buf.gen.yaml", REPOSITORY / "protos"),
        ("buf.gen.managed.yaml", REPOSITORY),
    ],
    ids=["everything", "our protos alone", "managed mode"],
)
async def test_a_go_consumer_compiles_starts_and_is_answered(
    go_consumer: Path, server: ServerProcess, template: str, source: Path
) -> None:
    """Each file is registered once in the program, also google/rpc/status.proto, which grpc-go has."""
    run(go_consumer, BUF, "generate", "--template", template, source)
    run(go_consumer, "go", "build", "./...")
    run(go_consumer, "go", "build", "-o", "consumer", ".")

    assert run(go_consumer, go_consumer / "consumer", server.address).startswith("answered with ")


@pytest.mark.timeout(BUILD)
def test_a_typescript_consumer_compiles_and_starts(typescript_consumer: Path) -> None:
    """Of all the files, since TypeScript's code imports what the protos import, in strict mode."""
    run(typescript_consumer, BUF, "generate", REPOSITORY)
    run(typescript_consumer, Path("node_modules/.bin/tsc"))

    assert run(typescript_consumer, "node", "built/main.js").split() == [
        "keeper.network.v1.NetworkLearningService",
        "churn_prevention",
    ]


def generated_java(directory: Path) -> list[Path]:
    """The Java of our protos alone."""
    run(directory, BUF, "generate", REPOSITORY / "protos")
    return sorted(directory.glob("gen/**/*.java"))


@pytest.mark.timeout(BUILD)
async def test_a_java_consumer_compiles_starts_and_is_answered(
    java_consumer: Path, server: ServerProcess
) -> None:
    """Of our protos alone: the classes of what they import come with Java's libraries."""
    generated = generated_java(java_consumer)
    run(java_consumer, *("javac", "-cp", "libraries/*", "-d", "."), *generated, "Consumer.java")

    answer = run(java_consumer, *("java", "-cp", ".:libraries/*", "Consumer", server.address))
    assert answer.startswith("answered with ")


def test_the_lock_of_the_npm_packages_names_no_registry() -> None:
    """It holds on every mirror: versions and hashes, no addresses."""
    lock = (CONSUMERS / "typescript/package-lock.json").read_text()

    assert '"integrity"' in lock
    assert '"resolved"' not in lock
    assert "://" not in lock
