"""How a command of `keeper` is declared."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """Declare `keeper name`; `run` gets its arguments and returns the exit code."""
    command = commands.add_parser(name, help=summary, description=summary)
    command.set_defaults(run=run)
    return command
