"""Runs `keeper` as an operator does: as a process, with the settings in its environment."""

from __future__ import annotations

import subprocess

from tests import program
from tests.e2e.server_process import environment


def keeper(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command's exit code, output and errors."""
    return program.run(arguments, env=environment(**settings))
