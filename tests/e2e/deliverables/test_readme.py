from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import StartServer
from tests.e2e.deliverables.documented import run
from tests.e2e.server_process import REPOSITORY

README = (REPOSITORY / "README.md").read_text()

DOCUMENTED = "127.0.0.1:50051"
DOCUMENTED_HTTP = "127.0.0.1:8081"
"""Where the README's commands look for the server, by gRPC and by HTTP."""

MAKE = re.compile(r"make (?P<target>\w+)")
STREAM = "StreamEmergingPatterns"

MORE_COMMANDS = 3
"""From the question that is not answered yet to the enhanced insight."""


def commands(page: str = README) -> list[str]:
    """The commands of the page's console blocks, in order; each may span lines, as a shell reads it."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [command for block in blocks for command in _complete(block)]


def _complete(block: str) -> Iterator[str]:
    pending = ""
    for line in block.splitlines(keepends=True):
        pending += line
        read = subprocess.run(["/bin/bash", "-n", "-c", pending], capture_output=True, check=False)
        if read.returncode == 0 and not pending.endswith("\\\n"):
            if pending.strip():
                yield pending.strip()
            pending = ""
    assert not pending, f"an unfinished command: {pending}"


def made_by(command: str) -> list[str]:
    """What a make command would run; the last line is what its target is for."""
    words = ["make", "--dry-run", *command.partition("#")[0].split()[1:]]
    # A newcomer's make has no other above it; under one, these change what it prints.
    alone = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        words, cwd=REPOSITORY, env=alone, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


class Newcomer:
    """Someone who runs the README's commands one after the other, in one shell at a time."""

    def __init__(self, start_server: StartServer) -> None:
        self._start_server = start_server
        self._address = ""
        self._http = ""

    async def run(self, command: str) -> str:
        """Run a command to its end, or until it has shown what it goes on showing: its output."""
        if (make := MAKE.match(command)) is not None:
            return await self._make(command, make["target"])
        if STREAM in command:
            return await self._shell(self._here(command), '"commonPattern"')
        return await self._shell(self._here(command))

    def _here(self, command: str) -> str:
        assert (DOCUMENTED in command) != (DOCUMENTED_HTTP in command)
        return command.replace(DOCUMENTED, self._address).replace(DOCUMENTED_HTTP, self._http)

    async def _make(self, command: str, target: str) -> str:
        ran = made_by(command)
        if target == "serve":
            assert ran[-1].endswith("bin/keeper serve")
            # The defaults of a newcomer, but for the port and for where the data are.
            server = await self._start_server(
                KEEPER_SEED_CATALOG="true", KEEPER_HTTP_ADDRESS="127.0.0.1:0"
            )
            self._address = server.address
            self._http = f"127.0.0.1:{server.http_port}"
        elif target == "demo":
            # test_demo plays it.
            assert "bin/keeper demo" in ran[-1]
            assert ran[-1].endswith("--stay") == ("STAY=1" in command)
        elif target == "dashboard":
            assert ran[-1].endswith("bin/keeper dashboard")
            return await self._shell(
                f"keeper dashboard --target {self._address} --port 0", "dashboard on"
            )
        else:
            assert (target, ran[-1].endswith("bin/pytest")) == ("test", True)
        return "\n".join(ran)

    @staticmethod
    async def _shell(command: str, until: str | None = None) -> str:
        code, said = await run(command, REPOSITORY, {}, until or "")
        if until is None:
            assert code == 0, said
        else:
            assert until in said, f"it ended without {until!r}: {said}"
        return said


async def test_the_readme_leads_to_an_enhanced_insight(start_server: StartServer) -> None:
    """Every command works as written, in order, from an empty data directory on."""
    newcomer = Newcomer(start_server)
    said = [(command, await newcomer.run(command)) for command in commands()]

    asked = [number for number, (command, _) in enumerate(said) if "EnhanceInsight" in command]
    first, last, by_curl = asked
    assert '"networkEnhanced":true' in said[by_curl][1].replace(" ", "")
    assert '"NO_MATCH_REASON_NO_PATTERNS"' in said[first][1]
    assert '"networkEnhanced": true' in said[last][1]
    assert last - first <= MORE_COMMANDS

    (watched,) = (number for number, (command, _) in enumerate(said) if STREAM in command)
    assert watched > last


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("make demo    # a note\nmake test\n", ["make demo    # a note", "make test"]),
        ("for n in 1 2; do\n  echo $n\ndone\n", ["for n in 1 2; do\n  echo $n\ndone"]),
        ("echo '{\n}' \\\n  more\n", ["echo '{\n}' \\\n  more"]),
    ],
)
def test_a_command_ends_where_a_shell_ends_it(block: str, found: list[str]) -> None:
    """Loops, open quotes and continued lines are parts of one command; a line of its own is one."""
    assert commands(f"text\n\n```console\n{block}```\n") == found


def test_an_unfinished_command_is_noticed() -> None:
    """A block that breaks off is a fault of the page."""
    with pytest.raises(AssertionError, match="unfinished"):
        commands("```console\necho 'open\n```\n")
