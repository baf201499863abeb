"""Means of sequences that may be empty."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean


def mean(values: Iterable[float]) -> float | None:
    """The mean (for booleans, the share of True), or None for an empty sequence."""
    listed = [float(value) for value in values]
    return fmean(listed) if listed else None
