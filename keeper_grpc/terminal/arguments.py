"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, date, datetime, timedelta

LONGEST_WINDOW = 3650
"""Days; the API's own bound."""


def add_window(command: argparse._ActionsContainer) -> None:
    """`--window DAYS`, as a timedelta in `window`; None by default."""
    command.add_argument(
        "--window",
        type=_window,
        metavar="DAYS",
        help="how far back to look, for example 7 or 7d (30d)",
    )


def add_dates(command: argparse._ActionsContainer) -> None:
    """`--dates FIRST..LAST`, as two days in `dates`, both included; None by default."""
    command.add_argument(
        "--dates",
        type=_dates,
        metavar="FIRST..LAST",
        help="what days tell from the one to the other, both included: 2026-10-01..2026-11-15 (UTC)",
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


def _dates(text: str) -> tuple[date, date]:
    try:
        first, last = map(date.fromisoformat, text.split(".."))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 2026-10-01..2026-11-15") from None
    today = datetime.now(UTC).date()
    if not today - timedelta(days=LONGEST_WINDOW) <= first <= last <= today:
        raise argparse.ArgumentTypeError(
            f"{text!r} does not go from an earlier to a later day, up to today"
        )
    return first, last


def _window(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,4})d?", text)
    if not found or not 1 <= int(found[1]) <= LONGEST_WINDOW:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of days from 1 to {LONGEST_WINDOW}"
        )
    return timedelta(days=int(found[1]))
