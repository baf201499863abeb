"""`keeper seed`."""

from __future__ import annotations

import argparse
import asyncio

from keeper_grpc.logged_settings import read_settings


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_seed)


def _seed(_: argparse.Namespace) -> int:
    settings = read_settings()
    from keeper_grpc.one_shot.commands import seed

    result = asyncio.run(seed(settings))
    print(
        f"catalog: {result.added} added, {result.upgraded} upgraded, {result.unchanged} unchanged"
    )
    return 0
