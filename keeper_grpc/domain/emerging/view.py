"""The view of one subscriber: changes of clusters that pass its filter.

A view is a function of the events up to a position in history and of the time at which its window was
evaluated. A resume token holds both, so another process can continue the view exactly after the
subscriber's last message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from uuid import UUID

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedEvent, FeedFilter, Place

TICK = timedelta(microseconds=1)
"""The clock's resolution: a cluster is in the window at its last moment, and out one tick later."""


@dataclass(frozen=True, slots=True)
class Position:
    """A state of a view: events up to `place`, the window, if any, evaluated at `judged`."""

    place: Place
    judged: datetime | None


@dataclass(frozen=True, slots=True)
class SeenChange:
    """A change as it is sent to the subscriber, and the view's position after it."""

    change: Change
    cluster: EmergingPattern
    position: Position


class FeedView:
    """Translates events into changes for one filter."""

    def __init__(self, wanted: FeedFilter, place: Place, judged: datetime) -> None:
        self._wanted = wanted
        self._place = place
        self._judged = judged
        self._shown: dict[UUID, EmergingPattern] = {}
        # A lower bound of the clusters' last_seen_time, so that most checks of the window end early.
        self._oldest: datetime | None = None

    @property
    def position(self) -> Position:
        """The view's position."""
        return Position(self._place, None if self._wanted.window is None else self._judged)

    def begin(self, clusters: Iterable[EmergingPattern]) -> Sequence[EmergingPattern]:
        """Start from all clusters that are emerging at the view's position; returns the matching ones."""
        matching = [cluster for cluster in clusters if self._wanted.matches(cluster, self._judged)]
        for cluster in matching:
            self._show(cluster)
        return matching

    def apply(self, event: FeedEvent) -> SeenChange | None:
        """The next event as a change for this subscriber: a cluster that begins to match is NEW."""
        self._place = event.place
        cluster = event.cluster
        seen = self._shown.pop(cluster.emerging_pattern_id, None) is not None
        if event.change in (Change.FADED, Change.PROMOTED):
            return SeenChange(event.change, cluster, self.position) if seen else None
        if not self._wanted.matches(cluster, self._judged):
            return SeenChange(Change.FADED, cluster, self.position) if seen else None
        self._show(cluster)
        return SeenChange(Change.UPDATED if seen else Change.NEW, cluster, self.position)

    def judge(self, now: datetime) -> Sequence[SeenChange]:
        """Advance the clock: clusters that leave the window fade, in the order of leaving."""
        window = self._wanted.window
        if window is None or now <= self._judged:
            return []
        fades = []
        if self._oldest is not None and self._oldest + window < now:
            fades = self._fade(now - window, window)
        self._judged = now
        return fades

    def _fade(self, before: datetime, window: timedelta) -> list[SeenChange]:
        leaving = sorted(
            (cluster for cluster in self._shown.values() if cluster.last_seen_time < before),
            key=lambda cluster: (cluster.last_seen_time, cluster.emerging_pattern_id),
        )
        fades = []
        for cluster, following in zip_longest(leaving, leaving[1:]):
            del self._shown[cluster.emerging_pattern_id]
            if following is None or following.last_seen_time > cluster.last_seen_time:
                # When two leave at the same moment, the token of the first must not skip the second.
                self._judged = cluster.last_seen_time + window + TICK
            fades.append(SeenChange(Change.FADED, cluster, self.position))
        self._oldest = min((c.last_seen_time for c in self._shown.values()), default=None)
        return fades

    def _show(self, cluster: EmergingPattern) -> None:
        self._shown[cluster.emerging_pattern_id] = cluster
        seen = cluster.last_seen_time
        self._oldest = seen if self._oldest is None else min(self._oldest, seen)
