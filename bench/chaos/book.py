"""The account of what was acknowledged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Said:
    """One acknowledged outcome: what the ledger must have under its request id."""

    success: bool
    revises: str = ""
    """The request id of the outcome that it replaced."""


@dataclass
class Book:
    """What was acknowledged, and what went wrong."""

    outcomes: dict[str, Said] = field(default_factory=dict)
    reactions: set[str] = field(default_factory=set)
    questions: set[str] = field(default_factory=set)
    shown: dict[str, float] = field(default_factory=dict)
    """Patterns that were listed, and when first, by `time.monotonic`."""
    calls: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    replays: int = 0

    @property
    def acknowledged(self) -> int:
        """All calls."""
        return self.calls.total()
