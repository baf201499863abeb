"""A client program of another language, as a process whose output is read as it comes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.e2e.waiting import SOON


class Program:
    """A started program. `said` is all it has printed so far, its errors among it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""

    async def says(self, text: str, *, within: float = SOON) -> None:
        """Wait until it has printed this."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            while text not in self.said:
                part = await self._process.stdout.read(65_536)
                assert part, f"it ended without {text!r}:\n{self.said}"
                self.said += part.decode(errors="replace")

    async def ended(self, *, within: float = SOON) -> int:
        """Wait until it ends: its exit code."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            self.said += (await self._process.stdout.read()).decode(errors="replace")
            return await self._process.wait()


@asynccontextmanager
async def started(
    *command: str | Path, directory: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Start a program, and end it with the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def run(
    *command: str | Path,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    within: float = SOON,
) -> str:
    """What a program prints, which must succeed."""
    async with started(*command, directory=directory, environment=environment) as program:
        code = await program.ended(within=within)
    assert code == 0, f"{command}:\n{program.said}"
    return program.said


SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin"
"""Where Go's own installer puts it; few PATHs have it."""

OFFLINE = os.environ | {
    "PATH": SEARCHED,
    "GOPROXY": "off",
    "GOFLAGS": "-mod=readonly -buildvcs=false",
    "GOTOOLCHAIN": "local",
}
"""Tests have no network: what is not in Go's module cache is a failure, not a download."""
