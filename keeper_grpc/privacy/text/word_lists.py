"""Lists of words as prose or as files, which is how a person reviews them."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[1] / "data"


class WordListLost(Exception):
    """A word list is missing, cut short or altered. The layers that need it cannot vouch."""


def listed(text: str) -> tuple[str, ...]:
    """The words of `text`, in order."""
    return tuple(text.split())


def read_words(path: Path) -> frozenset[str]:
    """The words of a file; lines that begin with # are comments."""
    lines = path.read_text("ascii", "ignore").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a file, one phrase each; lines that begin with # are comments."""
    lines = path.read_text("ascii", "ignore").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))
