"""`keeper explore`."""

from __future__ import annotations

import argparse
import asyncio

from rich.console import Console

from keeper_grpc.logged_settings import read_settings


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_explore)


def _explore(_: argparse.Namespace) -> int:
    settings = read_settings()
    from keeper_grpc.one_shot.commands import explore
    from keeper_grpc.one_shot.exploration_table import exploration_cost, exploration_table

    exploring = asyncio.run(explore(settings))
    if exploring.patterns:
        Console().print(exploration_table(exploring))
    else:
        print("too few owners have reported outcomes of anything that chance chose")
    print(exploration_cost(exploring.cost))
    return 0
