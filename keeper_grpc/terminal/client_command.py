"""A command that queries a server: its arguments, errors and exit codes.

Exit codes besides 0 and argparse's 2: 1 with one line on stderr when the server refuses or cannot be
reached; 128 + the signal's number for SIGTERM, and for SIGPIPE when the reader of a pipe is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from keeper_grpc.client import KeeperClient, KeeperClientError, Unavailable
from keeper_grpc.command.arguments import add_target
from keeper_grpc.connecting import credentials_of, proxy_on_the_way
from keeper_grpc.terminal.output.plain import plain


def declare_client_command(
    command: argparse.ArgumentParser,
    ask: Callable[[KeeperClient, argparse.Namespace], Awaitable[None]],
) -> None:
    """Declare a command that queries `--target`: `ask` gets a client of it and prints, as JSON with `--json`."""
    command.set_defaults(run=lambda parsed: _run(parsed, ask))
    add_target(command)
    command.add_argument("--json", action="store_true", help="print what a program can read")


def _run(
    parsed: argparse.Namespace,
    ask: Callable[[KeeperClient, argparse.Namespace], Awaitable[None]],
) -> int:
    if hasattr(sys.stdout, "reconfigure"):
        # Characters outside the terminal's encoding become escapes.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        asyncio.run(_ask(parsed, ask))
        sys.stdout.flush()
    except KeeperClientError as error:
        print(f"keeper: {_said(error, parsed.target)}", file=sys.stderr)
        return 1
    except OSError as error:
        # Python would print an error when it cannot flush stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 128 + signal.SIGPIPE
        print(f"keeper: cannot write the answer: {error.strerror}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    return 0


async def _ask(
    parsed: argparse.Namespace,
    ask: Callable[[KeeperClient, argparse.Namespace], Awaitable[None]],
) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    # Raises, so that context managers restore the terminal.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with KeeperClient(parsed.target, credentials=credentials_of(parsed)) as client:
        await ask(client, parsed)


def _said(error: KeeperClientError, target: str) -> str:
    """One line for the person at the terminal."""
    if error.field_violations:
        return plain("; ".join(f"{v.field}: {v.description}" for v in error.field_violations))
    if isinstance(error, Unavailable) and not error.reason:
        return plain(f"no server at {target}{proxy_on_the_way(target)}: {error.message}")
    return plain(f"the server at {target} says {error}")
