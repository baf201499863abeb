"""`keeper uplift`."""

from __future__ import annotations

import argparse
import asyncio
import json

from rich.console import Console

from keeper_grpc.logged_settings import read_settings


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_uplift)
    command.add_argument("--json", action="store_true", help="figures for a program to read")


def _uplift(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    from keeper_grpc.one_shot.commands import uplift
    from keeper_grpc.one_shot.uplift_table import HOW_TO_READ, uplift_json, uplift_table

    measured = asyncio.run(uplift(settings))
    if parsed.json:
        print(json.dumps(uplift_json(measured), indent=2))
    elif any(found.experiment.held_out.trials for found in measured.values()):
        Console().print(uplift_table(measured))
        print(HOW_TO_READ)
    else:
        print(
            "no held-out question has an outcome yet: set KEEPER_HOLDOUT_SHARE, and report outcomes"
        )
    return 0
