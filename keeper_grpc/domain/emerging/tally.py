"""Counts and sums of a cluster's sightings, maintained incrementally.

Adding, renewing and removing a sighting take constant time, however many there are. Amounts are summed
as integers, so any sequence of operations gives exactly the result of a recount.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush, nlargest
from typing import TypeVar

CONFIDENCE_UNIT = 1_000_000
"""Confidences are summed in millionths, which is finer than the shown rounding."""

VALUE_UNIT = 10_000
"""Potential values are summed in hundredths of a cent."""

Key = TypeVar("Key")

HOUR = 3600
DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class Fact:
    """One sighting's contribution to its cluster. `potential_value` is in the account's currency."""

    owner_key: str
    business_category: str
    confidence: float
    potential_value: float
    seen_time: datetime


class Tally:
    """The counts of one cluster."""

    def __init__(self) -> None:
        self._facts: dict[int, Fact] = {}
        self._owners: Counter[str] = Counter()
        self._categories: dict[str, Counter[str]] = defaultdict(Counter)
        self._hours: Counter[int] = Counter()
        self._confidence = 0
        self._value = 0
        # A heap with lazy deletion: an entry is valid while its sighting has that time.
        self._oldest: list[tuple[datetime, int]] = []
        self._newest: datetime | None = None
        # Each owner's newest sighting; None when it has to be searched again.
        self._latest: dict[str, int] | None = {}

    def __len__(self) -> int:
        return len(self._facts)

    def __contains__(self, sighting_id: int) -> bool:
        return sighting_id in self._facts

    def add(self, sighting_id: int, fact: Fact) -> None:
        """Add a sighting, or replace a known one by its renewal."""
        before = self._facts.get(sighting_id)
        if before is not None:
            self._count(before, -1)
            if before.owner_key != fact.owner_key or before.seen_time > fact.seen_time:
                self._latest = None
        self._facts[sighting_id] = fact
        self._count(fact, 1)
        if self._latest is not None:
            self._note_latest(self._latest, sighting_id, fact)
        heappush(self._oldest, (fact.seen_time, sighting_id))
        if len(self._oldest) > 2 * len(self._facts) + DAY_HOURS:
            # A hot loop of renewals leaves as many stale entries, so the heap is rebuilt.
            self._oldest = [(seen.seen_time, key) for key, seen in self._facts.items()]
            heapify(self._oldest)
        if len(self._facts) == 1 or (self._newest is not None and fact.seen_time >= self._newest):
            self._newest = fact.seen_time
        elif before is not None and before.seen_time == self._newest:
            self._newest = None

    def remove(self, sighting_id: int) -> Fact:
        """Remove a sighting and return its contribution."""
        fact = self._facts.pop(sighting_id)
        self._count(fact, -1)
        if self._latest is not None and self._latest[fact.owner_key] == sighting_id:
            if fact.owner_key in self._owners:
                self._latest = None
            else:
                del self._latest[fact.owner_key]
        if fact.seen_time == self._newest:
            self._newest = None
        return fact

    @property
    def account_count(self) -> int:
        """Distinct owners; this is what the API counts as accounts."""
        return len(self._owners)

    def categories_of(self, owners: int) -> tuple[str, ...]:
        """The categories in which at least this many owners have accounts, sorted."""
        return tuple(sorted(name for name, seen in self._categories.items() if len(seen) >= owners))

    @property
    def mean_confidence(self) -> float:
        """Mean of the confidences; 0 if the tally is empty."""
        return self._confidence / CONFIDENCE_UNIT / max(1, len(self))

    @property
    def total_potential_value(self) -> float:
        """Sum of the potential values."""
        return self._value / VALUE_UNIT

    @property
    def first_seen_time(self) -> datetime:
        """The oldest sighting. The tally must not be empty."""
        while not self._is_current(*self._oldest[0]):
            heappop(self._oldest)
        return self._oldest[0][0]

    @property
    def last_seen_time(self) -> datetime:
        """The newest sighting. The tally must not be empty.

        Expiry removes the oldest, so the newest has to be searched again only after it was moved to
        another cluster or forgotten.
        """
        if self._newest is None:
            self._newest = max(fact.seen_time for fact in self._facts.values())
        return self._newest

    def heard(self, owners: int) -> list[int]:
        """The newest sighting of each of the owners seen last, at most this many.

        Expiry removes an owner's oldest, so these have to be searched again only after one of them
        was moved to another cluster or forgotten.
        """
        if self._latest is None:
            self._latest = {}
            for sighting_id, fact in self._facts.items():
                self._note_latest(self._latest, sighting_id, fact)
        return nlargest(owners, self._latest.values(), key=self._recency)

    def growth_rate(self, now: datetime, window: timedelta) -> float:
        """Sightings of the last day against the daily mean of the window before it, in [-1, 1].

        (recent - usual) / max(recent, usual): 1 when there were none before, 0.5 when they doubled,
        0 when steady, -0.5 when they halved, -1 when they ceased. Counted by whole hours. A window
        of a day or less has nothing to compare with: 0.
        """
        days_before = window / timedelta(days=1) - 1
        if days_before <= 0:
            return 0.0
        since = _hour(now) - DAY_HOURS
        recent = sum(count for hour, count in self._hours.items() if hour > since)
        usual = (len(self) - recent) / days_before
        return (recent - usual) / max(recent, usual) if self._facts else 0.0

    def _note_latest(self, latest: dict[str, int], sighting_id: int, fact: Fact) -> None:
        known = latest.get(fact.owner_key)
        if known is None or self._recency(known) < self._recency(sighting_id):
            latest[fact.owner_key] = sighting_id

    def _recency(self, sighting_id: int) -> tuple[datetime, int]:
        return self._facts[sighting_id].seen_time, sighting_id

    def _is_current(self, seen_time: datetime, sighting_id: int) -> bool:
        fact = self._facts.get(sighting_id)
        return fact is not None and fact.seen_time == seen_time

    def _count(self, fact: Fact, by: int) -> None:
        _add(self._owners, fact.owner_key, by)
        _add(self._categories[fact.business_category], fact.owner_key, by)
        if not self._categories[fact.business_category]:
            del self._categories[fact.business_category]
        _add(self._hours, _hour(fact.seen_time), by)
        self._confidence += by * round(fact.confidence * CONFIDENCE_UNIT)
        self._value += by * round(fact.potential_value * VALUE_UNIT)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _hour(time: datetime) -> int:
    return int((time - _EPOCH).total_seconds() // HOUR)


def _add(counter: Counter[Key], key: Key, by: int) -> None:
    counter[key] += by
    if not counter[key]:
        del counter[key]
