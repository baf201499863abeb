"""`keeper rebuild`."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from keeper_grpc.logged_settings import read_settings


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_rebuild)
    command.add_argument(
        "--archives",
        type=Path,
        metavar="DIR",
        help="read also what keeper archive wrote into this directory",
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="say whether the evidence is what the ledger says, by the exit code too; change nothing",
    )


def _rebuild(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    from keeper_grpc.one_shot.commands import check_evidence, rebuild

    if parsed.check:
        wrong = asyncio.run(check_evidence(settings))
        if wrong:
            print(f"the evidence of {wrong} accounts in patterns is not what the ledger says")
            return 1
        print("the evidence is what the ledger says")
        return 0
    result = asyncio.run(rebuild(settings, parsed.archives))
    print(f"rebuilt {result.patterns} patterns from {result.observations} observations")
    if result.corrected:
        print(f"corrected the metrics' counts of {result.corrected} days, patterns and accounts")
    return 0
