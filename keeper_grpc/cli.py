"""The `keeper` command."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# One BLAS thread halves the CPU of an embedding (ADR 2). Read when numpy is loaded, hence before
# anything of ours is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# gRPC's core writes plain lines beside our log, and what it says reaches us as errors too.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# We start programs (PostgreSQL, servers), but never go on in a forked copy of ourselves. gRPC would
# try to stop its threads for each, and complain on stderr when it cannot.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# A command imports what only it needs when it runs: all of it together would take each of them
# seconds of CPU at its start.
from keeper_grpc import health
from keeper_grpc.backtest import command as backtest
from keeper_grpc.command.arguments import InsteadOf, add_file_format, add_target, as_typed, within
from keeper_grpc.command.parser import CommandParser
from keeper_grpc.command.subcommand import add_command
from keeper_grpc.dashboard import command as dashboard
from keeper_grpc.domain.errors import Unavailable
from keeper_grpc.logged_settings import read_settings
from keeper_grpc.operations import migrate
from keeper_grpc.operations.archive import command as archive
from keeper_grpc.operations.backup import command as backup
from keeper_grpc.operations.doctor import command as doctor
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.settings import PREFIX, Settings
from keeper_grpc.simulation import command as simulation
from keeper_grpc.terminal import accounts, audit, metrics, pattern, patterns, tokens, withdrawals
from keeper_grpc.terminal.watch import command
from keeper_grpc.version import version

_IN_PART = 3
"""The exit code of an import that rejected some rows and captured the others."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 could not, 2 wrong arguments, 3 done in part, 4 pending."""
    parser: argparse.ArgumentParser = CommandParser(
        prog="keeper", description="Keeper Network Learning"
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands)
    migrate.add(commands)
    backup.add(commands)
    doctor.add(commands)
    add_command(commands, "seed", "add or upgrade the pattern catalog", _seed)
    anew = add_command(commands, "rebuild", "recount all evidence from the ledger", _rebuild)
    anew.add_argument(
        "--archives",
        type=Path,
        metavar="DIR",
        help="read also what keeper archive wrote into this directory",
    )
    archive.add(commands)
    _add_reembed(commands)
    proof = add_command(
        commands, "uplift", "how much more often advice succeeds than its holdout", _uplift
    )
    proof.add_argument("--json", action="store_true", help="figures for a program to read")
    add_command(
        commands,
        "explore",
        "what patterns and scripts are worth where chance chose them, and what that cost",
        _explore,
    )
    _add_words(commands)
    story = add_command(commands, "demo", "play a sample history through a server and show", _demo)
    story.add_argument(
        "--examples", type=Path, help="directory of other sample data; unset is this release's own"
    )
    story.add_argument(
        "--stay", action="store_true", help="then show it on a dashboard until Ctrl-C"
    )
    _add_import(commands)
    _add_privacy_report(commands)
    for asking in (
        health,
        command,
        patterns,
        pattern,
        metrics,
        dashboard,
        accounts,
        withdrawals,
        audit,
        tokens,
        simulation,
        backtest,
    ):
        asking.add(commands)
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
        print(f"keeper {version()}")
        parser.exit()


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "serve", "serve the network over gRPC", _serve)
    command.add_argument(
        "--workers",
        type=within(int, 1, 128),
        help="processes that serve the port; unset is KEEPER_WORKERS",
    )
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = "settings, from the environment; times are in seconds:\n" + "\n".join(
        f"  {PREFIX}{name.upper()}\n      {field.description}{_default(name)}"
        for name, field in Settings.model_fields.items()
    )


def _add_reembed(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        commands,
        "reembed",
        "move the database to another embedding model, while it is served",
        _reembed,
    )
    command.description = (
        "Move every pattern, sighting and cached vector to another embedding model, while the servers go on "
        "(docs/models.md). Run it again to go on after an interruption: nothing is lost or done twice."
    )
    command.add_argument(
        "--to",
        choices=("local", "minilm", "openai"),
        help="the model to move to (default: the one that KEEPER_EMBEDDER names)",
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="switch although a server could not follow: it stops, and starts with the new model's settings",
    )
    command.add_argument(
        "--cancel", action="store_true", help="give up a move that has not switched yet"
    )


def _add_words(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        commands,
        "words",
        "list the words that k owners approve, by hash, or decide on some",
        _words,
    )
    command.add_argument(
        "decision", nargs="?", choices=("approve", "reject"), help="leave it out to list them"
    )
    command.add_argument("hashes", nargs="*", metavar="HASH", help="words, as the list names them")


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        commands, "import", "capture a history from a CSV, JSONL or Excel file", _import
    )
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
        help="seconds to wait for a server that is unavailable (%(default)s)",
    )
    command.add_argument(
        "--check", action="store_true", help="read and map every row, and send nothing"
    )


def _add_privacy_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        commands, "privacy-report", "measure the anonymizer on the labelled set", _privacy_report
    )
    command.add_argument(
        "--split",
        choices=("tuning", "held-out", "all"),
        default="all",
        help="the half that the rules were tuned on, the held-out half, or both (%(default)s)",
    )
    command.add_argument("--json", action="store_true", help="figures for a program to read")


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    typed = "" if field.default_factory is not None else as_typed(field.default)
    return f" (default: {typed})" if typed else ""


def _serve(parsed: argparse.Namespace) -> int:
    from keeper_grpc.start_checks import check_start

    settings = read_settings()
    check_start(settings)
    workers = parsed.workers or settings.workers
    if workers > 1:
        from keeper_grpc.workers.supervisor import supervise

        asyncio.run(supervise(settings, workers))
        return 0
    # Importing this takes seconds of CPU, so invalid settings are refused first.
    from keeper_grpc.process import serve

    try:
        asyncio.run(serve(settings))
    except RuntimeError as error:
        # gRPC raises a plain RuntimeError for a port that it cannot bind.
        if "Failed to bind" not in str(error):
            raise
        print(
            "keeper: cannot listen: the address is taken, or is not this machine's: "
            "set KEEPER_HOST or KEEPER_PORT",
            file=sys.stderr,
        )
        return 1
    return 0


def _seed(_: argparse.Namespace) -> int:
    settings = read_settings()
    from keeper_grpc.one_shot.commands import seed

    result = asyncio.run(seed(settings))
    print(
        f"catalog: {result.added} added, {result.upgraded} upgraded, {result.unchanged} unchanged"
    )
    return 0


def _rebuild(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    from keeper_grpc.one_shot.commands import rebuild

    result = asyncio.run(rebuild(settings, parsed.archives))
    print(f"rebuilt {result.patterns} patterns from {result.observations} observations")
    if result.corrected:
        print(f"corrected the metrics' counts of {result.corrected} days, patterns and accounts")
    return 0


def _reembed(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    from keeper_grpc.models import reembed

    if parsed.cancel:
        stays = asyncio.run(reembed.cancel(settings))
        print(
            "no move is under way" if stays is None else f"cancelled: the network stays in {stays}"
        )
        return 0
    from keeper_grpc.models.progress import shown_progress

    with shown_progress() as progress:
        model, moved = asyncio.run(
            reembed.reembed(settings, parsed.to, progress, force=parsed.force)
        )
    print(
        f"the network is in {model}: {moved.patterns} patterns and {moved.sightings} sightings moved, "
        f"{moved.merged} patterns merged into others"
    )
    return 0


def _uplift(parsed: argparse.Namespace) -> int:
    from rich.console import Console

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


def _explore(_: argparse.Namespace) -> int:
    from rich.console import Console

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


def _words(parsed: argparse.Namespace) -> int:
    if parsed.decision and not parsed.hashes:
        print(f"keeper words {parsed.decision}: name a HASH of keeper words", file=sys.stderr)
        return 2
    settings = read_settings()
    return asyncio.run(_review(settings, parsed.decision, parsed.hashes))


async def _review(settings: Settings, decision: str | None, hashes: Sequence[str]) -> int:
    from keeper_grpc.local_operator import local_operator
    from keeper_grpc.one_shot.commands import word_review

    async with word_review(settings) as review:
        if decision is not None:
            unknown = [
                each
                for each in hashes
                if not await review.decide(
                    each, approved=decision == "approve", actor=local_operator()
                )
            ]
            for each in unknown:
                print(f"keeper: no account uses a word of this hash: {each}", file=sys.stderr)
            return 1 if unknown else 0
        listed = await review.listed()
        for use in listed:
            # A hash is to be copied whole: no table that folds it.
            print(
                f"{use.standing.value:<9} {use.owners:>4} owners {use.accounts:>5} accounts"
                f"  since {use.first_used} {use.letters or '?':>4} letters  {use.word_hash}  {use.context or '(no shared context)'}"
            )
        if not listed:
            print("no word is used by nearly enough owners")
    return 0


def _import(parsed: argparse.Namespace) -> int:
    if parsed.suggest:
        from keeper_grpc.importing.suggest import suggest

        print(suggest(parsed.file, parsed.file_format), end="")
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


def _privacy_report(parsed: argparse.Namespace) -> int:
    from rich.console import Console

    from keeper_grpc.privacy.evaluation.report import figures, privacy_report, render

    report = privacy_report(parsed.split.replace("-", "_"))
    if parsed.json:
        print(json.dumps(figures(report), indent=2))
    else:
        Console().print(render(report))
    return 0


def _demo(parsed: argparse.Namespace) -> int:
    from keeper_grpc.demo.history import sample_data
    from keeper_grpc.demo.play import demo

    return demo(parsed.examples or sample_data(), stay=parsed.stay)


if __name__ == "__main__":
    sys.exit(main())
