"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta

_LONGEST_WINDOW = 3650
"""Days; the API's own bound."""


def add_window(command: argparse.ArgumentParser) -> None:
    """`--window DAYS`, as a timedelta in `window`; None by default."""
    command.add_argument(
        "--window",
        type=_window,
        metavar="DAYS",
        help="how far back to look, for example 7 or 7d (30d)",
    )


def add_category(command: argparse.ArgumentParser) -> None:
    """`--category`; empty by default."""
    command.add_argument("--category", default="", help="only this line of business")


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def share(text: str) -> float:
    """A share: 0.6 or 60%."""
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1, or 0% to 100%")
    return number


def _window(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,4})d?", text)
    if not found or not 1 <= int(found[1]) <= _LONGEST_WINDOW:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of days from 1 to {_LONGEST_WINDOW}"
        )
    return timedelta(days=int(found[1]))
