"""What is emerging now, and from it what was emerging then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedEvent, FeedHistory


class Present:
    """What is emerging now, in one history: the sum of its events so far."""

    def __init__(self, history: FeedHistory, clusters: Sequence[EmergingPattern]) -> None:
        self.epoch = history.epoch
        self.place = history.place
        self.clusters: dict[UUID, EmergingPattern] = {
            cluster.emerging_pattern_id: cluster for cluster in clusters
        }

    def apply(self, event: FeedEvent) -> None:
        """Go on by one event, the next."""
        self.place = event.place
        if event.change in (Change.FADED, Change.PROMOTED):
            self.clusters.pop(event.cluster.emerging_pattern_id, None)
        else:
            self.clusters[event.cluster.emerging_pattern_id] = event.cluster

    def copy(self) -> Present:
        """The present as it is at this moment, while this one goes on."""
        return Present(FeedHistory(self.epoch, self.place), list(self.clusters.values()))

    def undone(self, before: Mapping[UUID, EmergingPattern | None]) -> list[EmergingPattern]:
        """What was emerging before some clusters changed, given how each of these was then.

        None is one that was not emerging.
        """
        same = (cluster for name, cluster in self.clusters.items() if name not in before)
        return [*same, *(cluster for cluster in before.values() if cluster is not None)]
