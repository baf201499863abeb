"""The part of the network that a page shows. The page's address holds it, so it can be bookmarked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from keeper_grpc.client.days import MOST_DAYS

WINDOWS = {7: "7 days", 30: "30 days", 90: "90 days", 365: "1 year"}
"""The selectable windows: days and label."""

_USUAL = 30
"""Days of the default window: the API's own default."""

_LONGEST = timedelta(days=3_650)
"""The API's own bound of a window."""

_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""The API's format of a line of business."""


@dataclass(frozen=True, slots=True)
class Dates:
    """Chosen days (UTC), both of them included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many they are."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Dates:
        """As many days, right before."""
        return Dates(self.first - timedelta(days=self.days), self.first - timedelta(days=1))

    def __str__(self) -> str:
        if self.first == self.last:
            return f"{self.first:%d %b %Y}"
        return f"{self.first:%d %b %Y} to {self.last:%d %b %Y}"


@dataclass(frozen=True, slots=True)
class Filter:
    """A line of business (empty: the whole network) and a number of days back from now, or chosen dates instead."""

    category: str = ""
    days: int = _USUAL
    dates: Dates | None = None

    @classmethod
    def from_query(
        cls, category: str, days: str, first: str = "", last: str = "", today: date | None = None
    ) -> Filter:
        """Read an address; invalid values count as not chosen. `first` alone is up to now."""
        return cls(
            category if _CATEGORY.fullmatch(category) else "",
            int(days) if days in map(str, WINDOWS) else _USUAL,
            _dates(first, last, today or datetime.now(UTC).date()),
        )

    def of(self, category: str) -> Filter:
        """The same days of another line of business."""
        return replace(self, category=category)

    def over(self, days: int) -> Filter:
        """The same line of business over a window."""
        return Filter(self.category, days)

    @property
    def twice(self) -> Filter:
        """A window that has as many days again, right before; the same one where a report has no days for both."""
        if 2 * (self.dates.days if self.dates else self.days) > MOST_DAYS:
            return self
        if self.dates is None:
            return Filter(self.category, 2 * self.days)
        return replace(self, dates=Dates(self.dates.before.first, self.dates.last))

    @property
    def window(self) -> timedelta:
        """How far to look back from now."""
        if self.dates is None:
            return timedelta(days=self.days)
        # Of a window the day counts on which it began.
        today = datetime.now(UTC).date()
        return max(today - self.dates.first, timedelta(seconds=1))

    @property
    def ends_before(self) -> date | None:
        """The last day, where that is not today: what is measured up to now is not of these dates."""
        if self.dates is None or self.dates.last >= datetime.now(UTC).date():
            return None
        return self.dates.last

    @property
    def query(self) -> str:
        """The part of an address that chooses this."""
        chosen = {"category": self.category} if self.category else {}
        if self.dates is None:
            chosen["days"] = str(self.days)
        else:
            chosen |= {"from": str(self.dates.first), "to": str(self.dates.last)}
        return "?" + urlencode(chosen)

    @property
    def scope(self) -> str:
        """The line of business in words."""
        return words(self.category) if self.category else "the whole network"

    @property
    def when(self) -> str:
        """The days in words."""
        return f"last {WINDOWS[self.days]}" if self.dates is None else str(self.dates)


def words(name: str) -> str:
    """A type or category as people read it: `churn_prevention` as "churn prevention"."""
    return name.replace("_", " ")


def _dates(first: str, last: str, today: date) -> Dates | None:
    begin, end = _day(first), _day(last) or today
    if begin is None:
        return None
    end = min(end, today)
    # Whoever mixes them up means the days between.
    if begin > end:
        begin, end = end, min(begin, today)
    return Dates(max(begin, today - _LONGEST), end)


def _day(text: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
