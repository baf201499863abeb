"""Reads the Retry-After header (RFC 9110, section 10.2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 60.0
"""Most seconds of a wait: a malformed header must not switch the embedder off for a day."""


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds to wait, in [0, LONGEST], or None when the header is missing or unreadable.

    `retry-after-ms` is OpenAI's finer form and takes precedence; `retry-after` is seconds or an HTTP date.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        seconds = _number(value, unit)
        if seconds is None:
            seconds = _until(value, now)
        # Also false for NaN, which float() accepts.
        if seconds is not None and seconds >= 0:
            return min(seconds, LONGEST)
    return None


def _number(value: str, unit: float) -> float | None:
    try:
        return float(value) * unit
    except ValueError:
        return None


def _until(value: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        # "-0000" means UTC from an unknown zone; email.utils leaves such a date naive.
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)
