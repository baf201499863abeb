"""The set of emerging patterns at the end of the event table, and before some of its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedEvent, FeedHistory


class Present:
    """The emerging patterns of one history: the result of its events so far."""

    def __init__(self, history: FeedHistory, clusters: Sequence[EmergingPattern]) -> None:
        self.epoch = history.epoch
        self.place = history.place
        self.clusters: dict[UUID, EmergingPattern] = {
            cluster.emerging_pattern_id: cluster for cluster in clusters
        }

    def apply(self, event: FeedEvent) -> None:
        """Apply the next event."""
        self.place = event.place
        if event.change in (Change.FADED, Change.PROMOTED):
            self.clusters.pop(event.cluster.emerging_pattern_id, None)
        else:
            self.clusters[event.cluster.emerging_pattern_id] = event.cluster

    def copy(self) -> Present:
        """A copy, which later events do not change."""
        return Present(FeedHistory(self.epoch, self.place), list(self.clusters.values()))

    def undone(self, before: Mapping[UUID, EmergingPattern | None]) -> list[EmergingPattern]:
        """The emerging patterns before some clusters changed, given each of these as it was then.

        `before` has None for a cluster that was not emerging.
        """
        same = (cluster for name, cluster in self.clusters.items() if name not in before)
        return [*same, *(cluster for cluster in before.values() if cluster is not None)]
