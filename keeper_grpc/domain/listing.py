"""The order and the filters in which patterns are listed."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PatternFilter:
    """Which patterns to list. Empty means any."""

    pattern_type: str = ""
    business_category: str = ""
    min_success_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the listing is ordered by lower bound, descending, then id."""

    lower_bound: float
    pattern_id: UUID
