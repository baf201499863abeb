"""What part of the network a page looks at. It stands in the page's address, so it can be kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

WINDOWS = {7: "7 days", 30: "30 days", 90: "90 days", 365: "1 year"}
"""The windows that can be chosen: their days, and how they are called."""

_USUAL = 30
"""Days of the window that nobody has chosen: the API's own default."""

_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What the API takes for a line of business."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A line of business (empty: the whole network) and a number of days back from now."""

    category: str = ""
    days: int = _USUAL

    @classmethod
    def from_query(cls, category: str, days: str) -> Filter:
        """Read an address; what it may not hold counts as not chosen."""
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
        """What is looked at, in words."""
        return words(self.category) if self.category else "the whole network"


def words(name: str) -> str:
    """A type or category as people read it: `churn_prevention` as "churn prevention"."""
    return name.replace("_", " ")
