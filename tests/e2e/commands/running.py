"""Runs `keeper` as an operator does: as a process, with the settings in its environment."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.server_process import environment


def keeper(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command's exit code, output and errors."""
    return subprocess.run(
        [sys.executable, "-m", "keeper_grpc.cli", *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )
