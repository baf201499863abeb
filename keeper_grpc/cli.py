"""The `keeper` command."""

from __future__ import annotations

import argparse
import asyncio
import os
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

from keeper_grpc import logs
from keeper_grpc.app import database, seed
from keeper_grpc.demo.play import demo
from keeper_grpc.embedding.unusable import ModelUnusable
from keeper_grpc.privacy.key_file import KeyFileInvalid
from keeper_grpc.process import serve
from keeper_grpc.settings import PREFIX, Settings, SettingsInvalid
from keeper_grpc.storage.embedded import EmbeddedPostgresError
from keeper_grpc.storage.migrate import MigrationError
from keeper_grpc.storage.preflight import DatabaseUnfit

# What an operator can mend. Each comes with the line that says how.
_CANNOT_START = (
    SettingsInvalid,
    EmbeddedPostgresError,
    DatabaseUnfit,
    MigrationError,
    ModelUnusable,
    KeyFileInvalid,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 could not, 2 wrong arguments."""
    parser = argparse.ArgumentParser(prog="keeper", description="Keeper Network Learning")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands)
    _add(commands, "migrate", "bring the database to this program's schema", _migrate)
    _add(commands, "seed", "add or upgrade the pattern catalog", _seed)
    story = _add(commands, "demo", "play examples/history.jsonl through a server and show", _demo)
    story.add_argument("--examples", type=Path, default=Path("examples"), help="their directory")
    parsed = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except _CANNOT_START as error:
        print(f"keeper: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary)
    command.set_defaults(run=run)
    return command


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "serve", "serve the network over gRPC", _serve)
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = "settings, from the environment:\n" + "\n".join(
        f"  {PREFIX}{name.upper()}\n      {field.description}{_default(name)}"
        for name, field in Settings.model_fields.items()
    )


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    if field.default_factory is not None or field.default in (None, ""):
        return ""
    return f" (default: {field.default})"


def _settings() -> Settings:
    settings = Settings.from_environment()
    logs.configure(settings.log_level, settings.log_format)
    return settings


def _serve(_: argparse.Namespace) -> int:
    try:
        asyncio.run(serve(_settings()))
    except RuntimeError as error:
        # grpc raises it bare, and only for this.
        if "Failed to bind" not in str(error):
            raise
        print("keeper: the address is taken: set KEEPER_HOST or KEEPER_PORT", file=sys.stderr)
        return 1
    return 0


def _migrate(_: argparse.Namespace) -> int:
    async def run() -> None:
        async with database(_settings()):
            pass

    asyncio.run(run())
    print("the database is at this program's schema")
    return 0


def _seed(_: argparse.Namespace) -> int:
    result = asyncio.run(seed(_settings()))
    print(
        f"catalog: {result.added} added, {result.upgraded} upgraded, {result.unchanged} unchanged"
    )
    return 0


def _demo(parsed: argparse.Namespace) -> int:
    return demo(parsed.examples)


if __name__ == "__main__":
    sys.exit(main())
