"""Means of what may be nothing."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean


def mean(values: Iterable[float]) -> float | None:
    """The mean, which of truth values is their share; None of nothing."""
    listed = [float(value) for value in values]
    return fmean(listed) if listed else None
