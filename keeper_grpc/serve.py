"""`keeper serve`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from keeper_grpc.command.arguments import as_typed, within
from keeper_grpc.logged_settings import read_settings
from keeper_grpc.settings import PREFIX, Settings
from keeper_grpc.start_checks import check_start


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_serve)
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


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    typed = "" if field.default_factory is not None else as_typed(field.default)
    return f" (default: {typed})" if typed else ""


def _serve(parsed: argparse.Namespace) -> int:
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
