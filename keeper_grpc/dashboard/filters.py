"""The part of the network that a page shows. The page's address holds it, so it can be bookmarked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

WINDOWS = {7: "7 days", 30: "30 days", 90: "90 days", 365: "1 year"}
"""The selectable windows: days and label."""

_USUAL = 30
"""Days of the default window: the API's own default."""

_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""The API's format of a line of business."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A line of business (empty: the whole network) and a number of days back from now."""

    category: str = ""
    days: int = _USUAL

    @classmethod
    def from_query(cls, category: str, days: str) -> Filter:
        """Read an address; invalid values count as not chosen."""
        return cls(
            category if _CATEGORY.fullmatch(category) else "",
            int(days) if days in map(str, WINDOWS) else _USUAL,
        )

    @property
    def window(self) -> timedelta:
        """How far to look back."""
        return timedelta(days=self.days)

    @property
    def query(self) -> str:
        """The part of an address that chooses this."""
        chosen = {"category": self.category} if self.category else {}
        return "?" + urlencode(chosen | {"days": str(self.days)})

    @property
    def scope(self) -> str:
        """The filter in words."""
        return words(self.category) if self.category else "the whole network"


def words(name: str) -> str:
    """A type or category as people read it: `churn_prevention` as "churn prevention"."""
    return name.replace("_", " ")
