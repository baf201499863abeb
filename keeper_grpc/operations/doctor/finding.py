"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands with what was looked at. Only a problem makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    """It works, and will not for ever, or not as meant."""
    PROBLEM = "problem"
    """It does not work, or data is in danger."""
    UNKNOWN = "unknown"
    """It could not be looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`found` never holds a secret. `cure` says what to do; nothing is to be done where it is empty."""

    check: str
    verdict: Verdict
    found: str
    cure: str = ""


def ok(check: str, found: str) -> Finding:
    """Nothing is to be done."""
    return Finding(check, Verdict.OK, found)


def warning(check: str, found: str, cure: str) -> Finding:
    """Something should be done."""
    return Finding(check, Verdict.WARNING, found, cure)


def problem(check: str, found: str, cure: str) -> Finding:
    """Something must be done."""
    return Finding(check, Verdict.PROBLEM, found, cure)


def unknown(check: str, why: str) -> Finding:
    """It could not be looked at."""
    return Finding(check, Verdict.UNKNOWN, why)
