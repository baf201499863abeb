"""`keeper import`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from keeper_grpc.command.arguments import InsteadOf, add_file_format, add_target, within
from keeper_grpc.importing.templates.named import NAMES, template

_IN_PART = 3
"""The exit code of an import that rejected some rows and captured the others."""


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_import)
    command.description = (
        "Capture a history from a CSV, JSONL or Excel file, through a running server (docs/import.md). "
        "Run it again to go on after an interruption: no row counts twice. "
        "Exit code 3: done, but some rows were rejected."
    )
    command.add_argument("file", type=Path, metavar="FILE", help="the history")
    mapping = command.add_argument(
        "--mapping",
        type=Path,
        required=True,
        metavar="MAP.yaml",
        help="which columns are what (docs/import.md)",
    )
    command.add_argument(
        "--suggest",
        action=InsteadOf,
        instead_of=mapping,
        help="print a mapping to begin with, from the header and the first rows; send nothing",
    )
    command.add_argument(
        "--template",
        action=InsteadOf,
        instead_of=mapping,
        choices=NAMES,
        help="print a mapping for a file that this program exported, to complete; send nothing",
    )
    add_target(command)
    add_file_format(command)
    command.add_argument(
        "--rejects",
        type=Path,
        help="where to report rejected rows: numbers and reasons (not with --check)",
    )
    command.add_argument(
        "--state", type=Path, help="where to remember the progress (FILE.keeper-import.json)"
    )
    command.add_argument("--from-start", action="store_true", help="ignore that progress")
    command.add_argument(
        "--concurrency",
        type=within(int, 1, 1_000),
        default=16,
        help="calls at a time (%(default)s)",
    )
    command.add_argument(
        "--patience",
        type=within(float, 0.0, 86_400.0),
        default=60,
        help="seconds to wait for a server that answers nothing (%(default)s)",
    )
    command.add_argument(
        "--check", action="store_true", help="read and map every row, and send nothing"
    )


def _import(parsed: argparse.Namespace) -> int:
    if parsed.suggest:
        from keeper_grpc.importing.suggest import suggest

        print(suggest(parsed.file, parsed.file_format), end="")
        return 0
    if parsed.template:
        print(template(parsed.template), end="")
        return 0
    from keeper_grpc.connecting import credentials_of
    from keeper_grpc.importing.run import Options, run

    options = Options(
        file=parsed.file,
        mapping=parsed.mapping,
        target=parsed.target,
        credentials=credentials_of(parsed),
        file_format=parsed.file_format,
        state=parsed.state,
        rejects=parsed.rejects,
        concurrency=parsed.concurrency,
        patience=parsed.patience,
        from_start=parsed.from_start,
        check=parsed.check,
    )
    try:
        tally = asyncio.run(run(options))
    except asyncio.CancelledError:
        print("keeper: interrupted; run the same command again to go on", file=sys.stderr)
        return 128 + signal.SIGTERM
    return _IN_PART if tally.rejected else 0
