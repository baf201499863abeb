"""What one subscriber of the emerging patterns sees: changes of clusters, through its filter.

A view is a function of two things only: the events up to a place in history, and the moment at which
its time window was judged. A resume token names both, so that another process can take up the view
exactly where the subscriber's last message left it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from uuid import UUID

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedEvent, FeedFilter, Place

TICK = timedelta(microseconds=1)
"""The least step of our clocks: a cluster is in the window at its last moment, and out a tick later."""


@dataclass(frozen=True, slots=True)
class Position:
    """A point in a view's life: events up to `place`, the window, if any, judged at `judged`."""

    place: Place
    judged: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """A change as the subscriber is told it, and where the view stands after it."""

    change: Change
    cluster: EmergingPattern
    position: Position


class FeedView:
    """Turns events into what they are to one subscriber."""

    def __init__(self, wanted: FeedFilter, place: Place, judged: datetime) -> None:
        self._wanted = wanted
        self._place = place
        self._judged = judged
        self._shown: dict[UUID, EmergingPattern] = {}
        # No shown cluster was last seen before this, so most looks at the clock end here.
        self._oldest: datetime | None = None

    @property
    def position(self) -> Position:
        """Where the view stands."""
        return Position(self._place, None if self._wanted.window is None else self._judged)

    def begin(self, clusters: Iterable[EmergingPattern]) -> Sequence[EmergingPattern]:
        """Start from everything that is emerging at the view's position; returns what matches."""
        matching = [cluster for cluster in clusters if self._wanted.matches(cluster, self._judged)]
        for cluster in matching:
            self._show(cluster)
        return matching

    def apply(self, event: FeedEvent) -> Told | None:
        """What the next event is to this subscriber: a cluster that starts to match is new to it."""
        self._place = event.place
        cluster = event.cluster
        seen = self._shown.pop(cluster.emerging_pattern_id, None) is not None
        if event.change in (Change.FADED, Change.PROMOTED):
            return Told(event.change, cluster, self.position) if seen else None
        if not self._wanted.matches(cluster, self._judged):
            return Told(Change.FADED, cluster, self.position) if seen else None
        self._show(cluster)
        return Told(Change.UPDATED if seen else Change.NEW, cluster, self.position)

    def judge(self, now: datetime) -> Sequence[Told]:
        """Let time pass: clusters that leave the window fade, in the order in which they leave it."""
        window = self._wanted.window
        if window is None or now <= self._judged:
            return []
        fades = []
        if self._oldest is not None and self._oldest + window < now:
            fades = self._fade(now - window, window)
        self._judged = now
        return fades

    def _fade(self, before: datetime, window: timedelta) -> list[Told]:
        leaving = sorted(
            (cluster for cluster in self._shown.values() if cluster.last_seen_time < before),
            key=lambda cluster: (cluster.last_seen_time, cluster.emerging_pattern_id),
        )
        fades = []
        for cluster, following in zip_longest(leaving, leaving[1:]):
            del self._shown[cluster.emerging_pattern_id]
            if following is None or following.last_seen_time > cluster.last_seen_time:
                # Where two leave at the same moment, the first one's token must not hide the second.
                self._judged = cluster.last_seen_time + window + TICK
            fades.append(Told(Change.FADED, cluster, self.position))
        self._oldest = min((c.last_seen_time for c in self._shown.values()), default=None)
        return fades

    def _show(self, cluster: EmergingPattern) -> None:
        self._shown[cluster.emerging_pattern_id] = cluster
        seen = cluster.last_seen_time
        self._oldest = seen if self._oldest is None else min(self._oldest, seen)
