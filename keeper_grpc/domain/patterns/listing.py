"""The order and the filters in which patterns are listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PatternFilter:
    """Which patterns to list. Empty means any."""

    pattern_type: str = ""
    business_category: str = ""
    min_success_rate: float = 0.0
    search: str = ""
    """Words that its action, as it is shown, and type must have, each in part or whole and in any case."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the listing is ordered by lower bound, descending, then id."""

    lower_bound: float
    pattern_id: UUID


@dataclass(frozen=True, slots=True)
class AuditCursor:
    """Where a page of audit events ended: they are ordered by time, descending, then id."""

    created_at: datetime
    event_id: UUID
