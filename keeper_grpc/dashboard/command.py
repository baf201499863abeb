"""Declares `keeper dashboard`. NiceGUI is imported only when the command runs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from importlib.util import find_spec

from keeper_grpc.command.arguments import add_target, within
from keeper_grpc.command.subcommand import add_command

_STALE_AFTER = 30.0
"""Seconds: two of the server's heartbeats (KEEPER_STREAM_HEARTBEAT, 15 unless it says otherwise)."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = add_command(commands, "dashboard", "show the network on a web page", _run)
    add_target(command)
    command.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    command.add_argument(
        "--port", type=within(int, 0, 65535), default=8080, help="0 picks a free one (%(default)s)"
    )
    command.add_argument(
        "--stale-after",
        type=within(float, 0.001, 86_400),  # a day: no stream is silent for longer
        default=_STALE_AFTER,
        metavar="SECONDS",
        help="silence after which the page says so: two of the server's heartbeats (%(default)s)",
    )
    command.add_argument(
        "--true-uplift",
        type=within(float, -1.0, 1.0),
        metavar="SHARE",
        help="the true uplift of advice where it is known, as in the demo: shown beside the measured one",
    )


def _run(parsed: argparse.Namespace) -> int:
    if find_spec("nicegui") is None:
        return _failed("the page needs NiceGUI: pip install 'keeper-grpc[dashboard]'")
    from keeper_grpc.connecting import credentials_of  # noqa: PLC0415 - loads gRPC
    from keeper_grpc.dashboard.serve import Upstream, serve  # noqa: PLC0415 - needs the extra

    try:
        asyncio.run(
            serve(
                Upstream(parsed.target, credentials_of(parsed)),
                parsed.host,
                parsed.port,
                parsed.stale_after,
                parsed.true_uplift,
            )
        )
    except OSError as error:
        return _failed(f"cannot listen on {parsed.host}:{parsed.port}: {error.strerror}")
    return 0


def _failed(reason: str) -> int:
    print(f"keeper dashboard: {reason}", file=sys.stderr)
    return 1
