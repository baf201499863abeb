"""Describes clusters by their sightings, and finds the changes that subscribers are sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.emerging.figures import Describer, completed
from keeper_grpc.domain.emerging.model import (
    Change,
    ClusterChange,
    Emergence,
    EmergingPattern,
    Family,
    Proven,
    SavedCluster,
    State,
    transition,
    worth_sending,
)
from keeper_grpc.domain.emerging.novelty import Known, NoveltyScale
from keeper_grpc.domain.emerging.words import ClusterWords, Sentence, wording
from keeper_grpc.usecases.emerging.actions import ActionVectors
from keeper_grpc.usecases.emerging.memory import ClusterMemory
from keeper_grpc.usecases.emerging.ports import DetectionTransaction
from keeper_grpc.usecases.ports import Vector

VOICES = 32
"""Accounts whose newest sentence decides the words of a cluster: bounds the cost of a large one."""


class ClusterDescriptions:
    """Describes clusters, and compares them with how they were saved and shown last."""

    def __init__(
        self,
        *,
        emergence: Emergence,
        proven: Proven,
        k: int,
        window: timedelta,
        actions: ActionVectors,
        scale: NoveltyScale,
    ) -> None:
        """`k` is the least number of accounts behind each word and category that is shown."""
        self._actions = actions
        self._scale = scale
        self._emergence = emergence
        self._proven = proven
        self._k = k
        self._describer = Describer(k, window)

    async def changes(
        self,
        transaction: DetectionTransaction,
        memory: ClusterMemory,
        families: Mapping[UUID, Family],
        now: datetime,
    ) -> Sequence[ClusterChange]:
        """The changes of these clusters; a cluster that is as it was saved has none."""
        saved = await transaction.saved(families)
        described = await self._described(transaction, memory, families, saved, now)
        changes = []
        for cluster_id in families:
            was = saved.get(cluster_id)
            before = was.state if was else State.FORMING
            last_told = was.told if was else None
            cluster = described.get(cluster_id)
            state, change = transition(before, cluster, self._emergence)
            if change is Change.UPDATED and cluster and not worth_sending(last_told, cluster):
                change = None
            same = was is not None and cluster == was.cluster and state is before
            if change is not None or not same:
                changes.append(ClusterChange(cluster_id, cluster, last_told, state, change))
        return changes

    def drifted_apart(self, change: ClusterChange) -> bool:
        """Whether enough accounts see a cluster that faded: it may have become several."""
        return (
            change.change is Change.FADED
            and change.cluster is not None
            and change.cluster.account_count >= self._emergence.min_accounts
        )

    async def _described(
        self,
        transaction: DetectionTransaction,
        memory: ClusterMemory,
        families: Mapping[UUID, Family],
        saved: Mapping[UUID, SavedCluster],
        now: datetime,
    ) -> Mapping[UUID, EmergingPattern]:
        """Clusters as their sightings describe them now; absent where there are none left.

        Only what is shown is looked up in the database.
        """
        described = {
            cluster_id: self._describer.counted(
                cluster_id,
                family,
                memory.tally(cluster_id),
                memory.families[family].mean_similarity(cluster_id),
                now,
            )
            for cluster_id, family in families.items()
            if memory.holds(cluster_id, family)
        }
        # Subscribers have the pattern and its evidence, so a lower bound that dips changes nothing: one
        # that hovers would make the cluster come and go.
        for cluster_id, pattern_id in (await self._promoted(transaction, saved)).items():
            if cluster_id in described:
                described[cluster_id] = replace(
                    described[cluster_id], promoted_pattern_id=pattern_id
                )
        shown = {
            cluster_id: cluster
            for cluster_id, cluster in described.items()
            if cluster.promoted_pattern_id is None and self._emergence.shows(cluster)
        }
        return {**described, **await self._looked_up(transaction, memory, shown, families)}

    async def _promoted(
        self, transaction: DetectionTransaction, saved: Mapping[UUID, SavedCluster]
    ) -> Mapping[UUID, UUID]:
        """The pattern of each promoted cluster, where it still exists, is published and does not fade."""
        became = {
            cluster_id: pattern_id
            for cluster_id, was in saved.items()
            if was.state is State.PROMOTED
            and (pattern_id := was.cluster.promoted_pattern_id) is not None
        }
        if not became:
            return {}
        published = await transaction.published(set(became.values()), self._proven.k)
        return {key: pattern_id for key, pattern_id in became.items() if pattern_id in published}

    async def _looked_up(
        self,
        transaction: DetectionTransaction,
        memory: ClusterMemory,
        shown: Mapping[UUID, EmergingPattern],
        families: Mapping[UUID, Family],
    ) -> Mapping[UUID, EmergingPattern]:
        """The clusters that are shown, with their words, their novelty and their pattern."""
        centres = {
            cluster_id: (family, memory.families[family].centre(cluster_id))
            for cluster_id, family in families.items()
            if cluster_id in shown
        }
        if not centres:
            return {}
        said = await transaction.sentences(
            {cluster_id: centre for cluster_id, (_, centre) in centres.items()},
            {cluster_id: memory.tally(cluster_id).heard(VOICES) for cluster_id in centres},
        )
        words = await self._worded(said, centres)
        first_seen = {
            cluster_id: memory.tally(cluster_id).first_seen_time for cluster_id in centres
        }
        actions = await self._actions.of(said)
        known = await transaction.known(centres, actions, self._proven, first_seen)
        return {
            cluster_id: completed(
                cluster,
                words.get(cluster_id, ClusterWords()),
                known.get(cluster_id, Known()),
                self._scale,
            )
            for cluster_id, cluster in shown.items()
        }

    async def _worded(
        self,
        sentences: Mapping[UUID, Sequence[Sentence]],
        centres: Mapping[UUID, tuple[Family, Vector]],
    ) -> Mapping[UUID, ClusterWords]:
        """The words of clusters, from the accounts seen last."""
        worded = {}
        for cluster_id, said in sentences.items():
            (_, pattern_type), _ = centres[cluster_id]
            worded[cluster_id] = wording(pattern_type, said, self._k)
            # Each takes a millisecond, so calls get a turn between two.
            await asyncio.sleep(0)
        return worded
