from __future__ import annotations

import asyncio
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server_process import REPOSITORY, ServerProcess
from tests.e2e.waiting import SOON

README = REPOSITORY / "README.md"

DOCUMENTED = "127.0.0.1:50051"
"""Where the README's commands look for the server."""

GRPCURL = Path(sys.executable).with_name("grpcurl")

STREAM = "StreamEmergingPatterns"

EXPECTED = {
    "list": "keeper.network.v1.NetworkLearningService",
    "describe": "rpc CapturePattern (",
    "CapturePattern": '"patternId"',
    "EnhanceInsight": '"enhancementId"',
    STREAM: '"snapshotComplete"',
}
"""For each kind of command that the README must show, what its answer holds."""


def commands() -> Iterator[list[str]]:
    """The words of each `grpcurl` command in the README's console blocks.

    A command ends with the first line that leaves no quote open and no backslash at its end.
    """
    for block in re.findall(
        r"^```console\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL
    ):
        pending = ""
        for written in block.splitlines():
            line = written if pending else written.removeprefix("$ ")
            if not pending and not line.startswith("grpcurl "):
                continue
            pending += line.removesuffix("\\") + ("\n" if not line.endswith("\\") else "")
            if line.endswith("\\"):
                continue
            try:
                words = shlex.split(pending)
            except ValueError:  # a quote is open
                continue
            pending = ""
            yield words
        assert not pending, f"the README has an unfinished command: {pending}"


def kind_of(words: list[str]) -> str:
    """Which of the expected commands this is: a verb of grpcurl, or the method that it calls."""
    last = re.split(r"[./]", words[-1])[-1]
    return next((word for word in ("list", "describe") if word in words), last)


async def answer(words: list[str], expected: str) -> str:
    """Run a command until it ends or, for a stream, until it has said what is expected."""
    process = await asyncio.create_subprocess_exec(
        GRPCURL, *words[1:], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(SOON):
            while expected not in said and (line := await process.stdout.readline()):
                said += line.decode()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    return said


def test_the_readme_shows_every_kind_of_command() -> None:
    """A newcomer can list, describe, capture, enhance and stream from the README alone."""
    assert EXPECTED.keys() <= {kind_of(words) for words in commands()}


@pytest.mark.parametrize("words", list(commands()), ids=kind_of)
async def test_a_command_of_the_readme_works_as_written(
    server: ServerProcess, words: list[str]
) -> None:
    """Each grpcurl line runs against a served port and answers what its method answers."""
    assert DOCUMENTED in words
    here = [server.address if word == DOCUMENTED else word for word in words]
    expected = EXPECTED.get(kind_of(words), "{")

    assert expected in await answer(here, expected)
