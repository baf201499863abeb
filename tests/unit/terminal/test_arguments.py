from __future__ import annotations

import argparse
from datetime import timedelta

import pytest

from keeper_grpc.terminal.arguments import add_window, positive, share


def window(text: str) -> timedelta | None:
    """What `--window text` becomes. Raises ArgumentError."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_window(parser)
    found = parser.parse_args(["--window", text]).window
    assert found is None or isinstance(found, timedelta)
    return found


@pytest.mark.parametrize(("text", "days"), [("30", 30), ("7d", 7), ("3650", 3650)])
def test_a_window_is_in_days(text: str, days: int) -> None:
    """With or without the letter."""
    assert window(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["0", "-1", "3651", "1.5", "7h", "", "d", "٣"])
def test_what_is_no_window_is_refused(text: str) -> None:
    """What the API would refuse is a wrong argument before it is asked."""
    with pytest.raises(argparse.ArgumentError, match="days from 1 to 3650"):
        window(text)


@pytest.mark.parametrize(("text", "number"), [("0.6", 0.6), ("60%", 0.6), ("0", 0), ("100%", 1)])
def test_a_share_is_written_either_way(text: str, number: float) -> None:
    """0.6 is 60%."""
    assert share(text) == number


@pytest.mark.parametrize("text", ["1.1", "60", "-0.1", "nan", "inf", "101%", "%", "half"])
def test_what_is_no_share_is_refused(text: str) -> None:
    """60 may be meant as 60%, but is not said to be."""
    with pytest.raises(argparse.ArgumentTypeError):
        share(text)


@pytest.mark.parametrize("text", ["0", "-3", "1e3", "many", "9999999999"])
def test_what_counts_nothing_is_refused(text: str) -> None:
    """A limit is a whole number from 1 on."""
    with pytest.raises(argparse.ArgumentTypeError):
        positive(text)
