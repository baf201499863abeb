"""The TypeScript client: generated, type-checked, and its example against the real server, over HTTP."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.clients.program import run, started
from tests.e2e.clients.restarting import Restarting
from tests.e2e.deliverables.test_consumers import BUF
from tests.e2e.server_process import REPOSITORY

CLIENT = REPOSITORY / "clients/typescript"

BUILD = 300
"""Seconds for a compiler on a machine that others use."""


@pytest.fixture(scope="module")
async def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, generated and compiled in strict mode in a clean directory."""
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js")
    packages = CLIENT / "node_modules"
    if not (packages / ".package-lock.json").exists():
        pytest.skip("the client's npm packages are not here: `make consumers` fetches them")
    directory = tmp_path_factory.mktemp("typescript") / "clients" / "typescript"
    unused = shutil.ignore_patterns("node_modules", "gen", "built")
    shutil.copytree(CLIENT, directory, ignore=unused)
    (directory / "node_modules").symlink_to(packages)
    template = (directory / "buf.gen.yaml").read_text()
    (directory / "buf.gen.yaml").write_text(template.replace("../..", str(REPOSITORY)))
    await run(BUF, "generate", directory=directory, within=BUILD)
    await run(directory / "node_modules/.bin/tsc", directory=directory, within=BUILD)
    return directory / "built/examples/node.js"


@pytest.mark.timeout(2 * BUILD)
async def test_the_example_captures_enhances_and_follows_through_a_restart(
    example: Path, network_server: Restarting
) -> None:
    """Node.js by Connect over HTTP/1.1: calls, a typed error, and a stream that resumes."""
    async with started(
        *("node", example, network_server.url, network_server.token_file),
        directory=example.parent,
        environment=dict(os.environ) | {"NODE_EXTRA_CA_CERTS": str(network_server.ca)},
    ) as program:
        await program.says("that is all of ")
        await network_server.down()
        await network_server.up()
        await network_server.emerges("pool_party")
        await program.says("NEW pool_party")

    assert program.said.count("captured, replayed: false") == 3
    assert "Send the guest a personal reminder with 20% off: " in program.said
    assert "INVALID_REQUEST: account_id" in program.said
    assert program.said.count("that is all of ") == 1


def test_the_lock_of_the_npm_packages_names_no_registry() -> None:
    """It holds on every mirror: versions and hashes, no addresses."""
    lock = json.loads((CLIENT / "package-lock.json").read_text())
    fetched = [each for name, each in lock["packages"].items() if name]

    assert all("integrity" in each and "resolved" not in each for each in fetched)
