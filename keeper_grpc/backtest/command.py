"""Declares `keeper backtest`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from keeper_grpc.command.arguments import add_file_format, within


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_run)
    command.description = (
        "Learn from the earlier rows of a history and ask about the later ones, in a network of its own that is "
        "dropped at the end (docs/import.md). Needs no server, and stores nothing."
    )
    command.add_argument("file", type=Path, metavar="FILE", help="the history")
    command.add_argument("--mapping", type=Path, required=True, metavar="MAP.yaml")
    add_file_format(command)
    command.add_argument(
        "--known",
        type=Path,
        nargs=2,
        action="append",
        default=[],
        metavar=("FILE", "MAP.yaml"),
        help="a history of others that the network knows already; may be repeated",
    )
    command.add_argument(
        "--learn",
        type=within(float, 0.01, 0.99),
        default=0.7,
        metavar="SHARE",
        help="share of the rows, by time, to learn from (%(default)s)",
    )
    command.add_argument(
        "--questions",
        type=within(int, 1, 100_000),
        default=1_000,
        metavar="N",
        help="later rows to ask about at most, at even distances (%(default)s)",
    )
    command.add_argument("--json", action="store_true", help="figures for a program to read")


def _run(parsed: argparse.Namespace) -> int:
    # Loading the server takes seconds of CPU.
    from rich.console import Console

    from keeper_grpc import logs
    from keeper_grpc.backtest.run import Options, run
    from keeper_grpc.backtest.show import as_json, show
    from keeper_grpc.client import KeeperClientError

    # What a busy machine skips and repeats is no news here.
    logs.configure("error", "console")
    options = Options(
        file=parsed.file,
        mapping=parsed.mapping,
        known=[(file, mapping) for file, mapping in parsed.known],
        file_format=parsed.file_format,
        learned_share=parsed.learn,
        questions=parsed.questions,
    )
    try:
        with Console(stderr=True).status("reading") as status:
            found = asyncio.run(
                run(options, lambda what, rows: status.update(f"{what} {rows:,} rows"))
            )
    except asyncio.CancelledError:
        print("keeper: interrupted; nothing was stored", file=sys.stderr)
        return 128 + signal.SIGTERM
    except KeeperClientError as error:
        print(f"keeper: the backtest's own server answered: {error}", file=sys.stderr)
        return 1
    if parsed.json:
        print(json.dumps(as_json(found), indent=2))
    else:
        show(found, Console())
    return 0
