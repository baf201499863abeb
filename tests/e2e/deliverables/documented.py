"""The shell blocks of the documents, and running one in a clean directory."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.server_process import REPOSITORY, START, environment

PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("**/*.md")),
    *sorted((REPOSITORY / "clients").glob("*/README.md")),
    REPOSITORY / "examples/README.md",
]

PROGRAMS = Path(sys.executable).parent
"""The project's environment, which the pages put on the path."""

_FENCE = re.compile(r"^( *)```(?:console|sh|bash|shell)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of commands, by its page and its first line."""

    page: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """What names it; a comment at the end of the line is none of it."""
        return self.page, re.split(r"\s{2,}#", self.text.splitlines()[0])[0].strip()


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order, without the indentation that a list gives them."""
    found = []
    for indentation, text in _FENCE.findall(page.read_text()):
        lines = [line.removeprefix(indentation) for line in text.splitlines()]
        found.append(Block(str(page.relative_to(REPOSITORY)), "\n".join(lines)))
    return found


async def run(
    text: str, directory: Path, variables: Mapping[str, str], until: str = ""
) -> tuple[int, str]:
    """What the lines print, run as one script, and their exit code; -1 where they were ended once `until` was said."""
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "-euc", text),
        cwd=directory,
        env=environment() | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"} | dict(variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(START):
            while part := await process.stdout.read(65_536):
                said += part.decode(errors="replace")
                if until and until in said:
                    return -1, said
            return await process.wait(), said
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await process.wait()
