"""The Go client: its own tests, its generated code, and its examples against the real server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.clients.program import OFFLINE, SEARCHED, run, started
from tests.e2e.clients.restarting import Restarting
from tests.e2e.deliverables.test_consumers import BUF
from tests.e2e.server_process import REPOSITORY

CLIENT = REPOSITORY / "clients/go"

BUILD = 500
"""Seconds for a test that compiles grpc-go and the standard library, on a machine that others use."""


@pytest.fixture(scope="module")
def go() -> Path:
    """The client's module, with all that it needs at hand."""
    if shutil.which("go", path=SEARCHED) is None:
        pytest.skip("there is no Go toolchain")
    fetched = subprocess.run(
        ["go", "mod", "download"],
        cwd=CLIENT,
        env=OFFLINE,
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode:
        pytest.skip("the Go client's modules are not here: `make consumers` fetches them")
    return CLIENT


@pytest.fixture(scope="module")
async def examples(go: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the examples, compiled."""
    built = tmp_path_factory.mktemp("examples")
    for name in ("capture", "enhance", "stream"):
        await run(
            *("go", "build", "-o", built / name, f"./examples/{name}"),
            directory=go,
            environment=OFFLINE,
            within=BUILD,
        )
    return built


@pytest.mark.timeout(2 * BUILD)
async def test_the_clients_own_checks_pass(go: Path) -> None:
    """Formatting, vet, and its tests on a server that fails as planned, with TLS and tokens."""
    assert await run("gofmt", "-l", ".", directory=go, environment=OFFLINE) == ""
    await run("go", "vet", "./...", directory=go, environment=OFFLINE, within=BUILD)
    await run("go", "test", "./...", directory=go, environment=OFFLINE, within=BUILD)


@pytest.mark.timeout(BUILD)
async def test_the_generated_code_is_that_of_the_protos(go: Path, tmp_path: Path) -> None:
    """A change of the protos comes with the client's code; `make gen` writes it."""
    copy = tmp_path / "go"
    shutil.copytree(go, copy)
    await run(
        *(BUF, "generate", REPOSITORY / "protos"),
        directory=copy,
        environment=OFFLINE,
        within=BUILD,
    )

    def written(root: Path) -> dict[str, str]:
        return {str(f.relative_to(root)): f.read_text() for f in root.rglob("*.go")}

    assert written(copy / "gen") == written(go / "gen")


@pytest.mark.timeout(2 * BUILD)
async def test_the_examples_capture_enhance_and_follow_through_a_restart(
    examples: Path, network_server: Restarting
) -> None:
    """What an engine, a service and a dashboard in Go do; the stream goes on where the restart cut it off."""
    connection = (
        f"-target={network_server.target}",
        f"-ca={network_server.ca}",
        f"-token-file={network_server.token_file}",
    )
    captured = await run(examples / "capture", *connection, directory=examples)
    enhanced = await run(examples / "enhance", *connection, directory=examples)

    assert captured.count("captured, replayed: false") == 3
    assert "Send the guest a personal reminder with 20% off: " in enhanced

    async with started(examples / "stream", *connection, directory=examples) as stream:
        await stream.says("that is all of ")
        await network_server.down()
        await network_server.up()
        await network_server.emerges("pool_party")
        await stream.says("CHANGE_NEW pool_party")
    assert stream.said.count("that is all of ") == 1
    assert stream.said.count("CHANGE_NEW churn_prevention") == 1
