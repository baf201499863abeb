"""The `keeper` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

# One BLAS thread halves the CPU of an embedding (ADR 2). Read when numpy is loaded, hence before
# anything of ours is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# gRPC's core writes plain lines beside our log, and what it says reaches us as errors too.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# We start programs (PostgreSQL, servers), but never go on in a forked copy of ourselves. gRPC would
# try to stop its threads for each, and complain on stderr when it cannot.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from keeper_grpc.command.parser import CommandParser
from keeper_grpc.command.subcommand import Subcommand, add_subcommands
from keeper_grpc.domain.errors import Unavailable
from keeper_grpc.operator_error import OperatorError

SUBCOMMANDS = (
    Subcommand("serve", "serve the network over gRPC", "keeper_grpc.serve"),
    Subcommand(
        "migrate",
        "bring the database to this program's schema",
        "keeper_grpc.operations.migrate",
    ),
    Subcommand(
        "backup",
        "write the database into a new directory",
        "keeper_grpc.operations.backup.command",
    ),
    Subcommand(
        "restore",
        "put a backup back and verify it",
        "keeper_grpc.operations.backup.restore_command",
    ),
    Subcommand(
        "doctor",
        "look at settings, database and server, and say what is wrong",
        "keeper_grpc.operations.doctor.command",
    ),
    Subcommand("seed", "add or upgrade the pattern catalog", "keeper_grpc.one_shot.seed"),
    Subcommand("rebuild", "recount all evidence from the ledger", "keeper_grpc.one_shot.rebuild"),
    Subcommand(
        "archive",
        "move old observations from the ledger into Parquet files",
        "keeper_grpc.operations.archive.command",
    ),
    Subcommand(
        "move",
        "move the network to another database, while it is served",
        "keeper_grpc.operations.move.command",
    ),
    Subcommand(
        "reembed",
        "move the database to another embedding model, while it is served",
        "keeper_grpc.models.command",
    ),
    Subcommand(
        "uplift",
        "how much more often advice succeeds than its holdout",
        "keeper_grpc.one_shot.uplift",
    ),
    Subcommand(
        "explore",
        "what patterns and scripts are worth where chance chose them, and what that cost",
        "keeper_grpc.one_shot.explore",
    ),
    Subcommand(
        "words",
        "list the words that k owners approve, by hash, or decide on some",
        "keeper_grpc.one_shot.words",
    ),
    Subcommand(
        "demo", "play a sample history through a server and show", "keeper_grpc.demo.command"
    ),
    Subcommand(
        "import",
        "capture a history from a CSV, JSONL or Excel file",
        "keeper_grpc.importing.command",
    ),
    Subcommand(
        "privacy-report",
        "measure the anonymizer on the labelled set",
        "keeper_grpc.one_shot.privacy_report",
    ),
    Subcommand("health", "ask a server whether it serves: exit code 0, or 1", "keeper_grpc.health"),
    Subcommand(
        "watch",
        "follow emerging patterns and KPIs until Ctrl-C",
        "keeper_grpc.terminal.watch.command",
    ),
    Subcommand("patterns", "list the published patterns", "keeper_grpc.terminal.patterns"),
    Subcommand(
        "pattern",
        "show a pattern with its evidence, scripts and history",
        "keeper_grpc.terminal.pattern",
    ),
    Subcommand("metrics", "show the metrics and KPIs", "keeper_grpc.terminal.metrics"),
    Subcommand("dashboard", "show the network on a web page", "keeper_grpc.dashboard.command"),
    Subcommand(
        "accounts",
        "register an account, or correct its line of business or owner",
        "keeper_grpc.terminal.accounts",
    ),
    Subcommand(
        "forget",
        "remove everything that came from an account",
        "keeper_grpc.terminal.forget",
    ),
    Subcommand(
        "retire",
        "withdraw a pattern or one of its scripts, or undo that",
        "keeper_grpc.terminal.withdrawals",
    ),
    Subcommand("audit", "list what operators did, newest first", "keeper_grpc.terminal.audit"),
    Subcommand(
        "tokens",
        "make a service token, or hash one, for the file of identities",
        "keeper_grpc.terminal.tokens",
    ),
    Subcommand(
        "simulate",
        "grow a network through the API and hold it against the truth",
        "keeper_grpc.simulation.command",
    ),
    Subcommand(
        "backtest",
        "what the network would have advised on a history; stores nothing",
        "keeper_grpc.backtest.command",
    ),
)
"""Only the chosen one is imported: all of them together would take each of them most of a second of CPU at its start.

A module imports at its top what its command declares, reads and shows, and where it runs what takes seconds: wrong
arguments and settings are refused first.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 could not, 2 wrong arguments, 3 done in part, 4 pending."""
    parser: argparse.ArgumentParser = CommandParser(
        prog="keeper", description="Keeper Network Learning"
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    add_subcommands(parser, SUBCOMMANDS)
    parsed = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except KeyboardInterrupt:
        return 130
    except (OperatorError, Unavailable) as error:
        print(f"keeper: {error}", file=sys.stderr)
        return 1


class _Version(argparse.Action):
    """Prints the version; reads it only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from keeper_grpc.version import version  # noqa: PLC0415 - loads half of what `keeper --help` does

        print(f"keeper {version()}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
