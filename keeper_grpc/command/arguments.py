"""Arguments that several commands take, and their types. A bad value is refused with the rule it breaks."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

_Number = TypeVar("_Number", int, float)

TARGET = "127.0.0.1:50051"
"""Where `keeper serve` listens unless its settings say otherwise."""


def add_target(command: argparse.ArgumentParser) -> None:
    """`--target`, the address of a server, and with what to connect to it."""
    command.add_argument("--target", type=target, default=TARGET, help="the server (%(default)s)")
    add_credentials(command)


def add_credentials(command: argparse.ArgumentParser) -> None:
    """The options of TLS and of the token, which is never an argument itself: others see those."""
    command.add_argument(
        "--tls", action="store_true", help="connect with TLS, by the system's authorities"
    )
    command.add_argument(
        "--tls-ca",
        type=Path,
        metavar="FILE",
        help="the same, by the authorities in this file (PEM)",
    )
    command.add_argument(
        "--tls-certificate",
        type=Path,
        metavar="FILE",
        help="certificate to show to the server (PEM)",
    )
    command.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    command.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the token; unset is KEEPER_TOKEN_FILE, or the token in KEEPER_TOKEN",
    )


def add_file_format(command: argparse.ArgumentParser) -> None:
    """`--format`, of a file with an account's history."""
    command.add_argument(
        "--format",
        dest="file_format",
        choices=("csv", "jsonl", "xlsx"),
        help="format of the file (default: by its suffix)",
    )


def target(text: str) -> str:
    """An address as gRPC takes it: UTF-8 and not empty. Bytes that are not UTF-8 come as surrogates."""
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not an address")
    return text


def as_typed(value: Any) -> str:
    """A setting's value as its variable would hold it: durations in seconds; empty for none."""
    match value:
        case None | "" | ():
            return ""
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.total_seconds():.15g}"
        case _:
            return str(value)


def within(kind: Callable[[str], _Number], low: _Number, high: _Number) -> Callable[[str], _Number]:
    """A number from `low` to `high`; neither NaN nor, unless `high` is, infinite."""

    def number(text: str) -> _Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            name = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {name} from {low} to {high}")
        return value

    return number


class InsteadOf(argparse.Action):
    """An option that does without another one, `instead_of`, which is required otherwise: a flag, or one with `choices`."""

    def __init__(self, *, instead_of: argparse.Action, **options: Any) -> None:
        flag = "choices" not in options
        super().__init__(nargs=0 if flag else None, default=False if flag else None, **options)
        self._instead_of = instead_of

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - as argparse calls it
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002 - as argparse calls it
    ) -> None:
        """Set the flag, or what was chosen."""
        setattr(namespace, self.dest, True if self.nargs == 0 else values)
        self._instead_of.required = False
