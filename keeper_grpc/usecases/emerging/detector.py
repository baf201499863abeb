"""The emerging-pattern detector: turns sightings into clusters, and changes of clusters into events.

One process of a database leads and detects; the others wait for its lock. The leader holds sums of
vectors and counts in memory, so that a step costs what is new, and can be replaced at any time:
whatever it has not committed, the next leader finds pending. Now and then a full pass clusters the
window from scratch beside the steps, and its corrections are one more step.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from keeper_grpc.domain.emerging.clusters import Clusters
from keeper_grpc.domain.emerging.figures import Describer, completed
from keeper_grpc.domain.emerging.model import (
    Change,
    ClusterChange,
    Emergence,
    EmergingPattern,
    Family,
    Proven,
    SavedCluster,
    Sighting,
    State,
    StoredCluster,
    transition,
    worth_telling,
)
from keeper_grpc.domain.emerging.novelty import Known
from keeper_grpc.domain.emerging.tally import Fact, Tally
from keeper_grpc.domain.emerging.words import ClusterWords, wording
from keeper_grpc.domain.errors import StatementTimedOut, StorageUnavailable
from keeper_grpc.usecases.emerging.full_pass import Agreement, FullPass
from keeper_grpc.usecases.emerging.ports import (
    DetectionStore,
    DetectionTransaction,
    Leadership,
)
from keeper_grpc.usecases.emerging.rounds import DetectionRounds
from keeper_grpc.usecases.ports import Clock, NewId, Vector

log = structlog.get_logger()

BATCH = 500
"""Sightings a step looks at: bounds the step's transaction to a few milliseconds per cluster."""

FAILURES = 5
"""Errors in a row after which the detector gives up: with the default timing, eight seconds in
which another leader or a passing trouble would have helped. The process then drains and starts anew."""

VOICES = 32
"""Accounts whose newest sentence decides the words of a cluster: bounds what a large one costs."""

DRIFT = 10
"""Share of the time between full passes after which one is due when a cluster drifted apart."""


@dataclass(frozen=True, slots=True)
class DetectorTiming:
    """How far back the detector looks, and how often it does what.

    Who does not lead asks for the lead every `takeover`; who failed, after `retry`. Waiting for the lock
    in the database is no better: a statement that waits holds up vacuum, and one that gives up waiting
    is an error in the database's log.
    """

    window: timedelta = timedelta(days=7)
    poll: timedelta = timedelta(milliseconds=200)
    sweep: timedelta = timedelta(seconds=5)
    takeover: timedelta = timedelta(milliseconds=500)
    retry: timedelta = timedelta(seconds=2)
    full_pass: timedelta = timedelta(minutes=10)


@dataclass(slots=True)
class _Touched:
    """The clusters of one step: all that are looked at, and those of them that are of more or fewer
    sightings, or of others.
    """

    families: dict[UUID, Family] = field(default_factory=dict)
    resized: set[UUID] = field(default_factory=set)

    def resize(self, cluster_id: UUID, family: Family) -> None:
        self.families[cluster_id] = family
        self.resized.add(cluster_id)


class DetectEmerging:
    """The use case: `run` it as a task; cancel the task to stop it.

    `leads` tells whether this process detects now; `steps` and `errors` count since the start.
    """

    def __init__(
        self,
        *,
        store: DetectionStore,
        cluster_threshold: float,
        emergence: Emergence,
        proven: Proven,
        k: int,
        timing: DetectorTiming,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        """`k` is the least number of accounts behind each word and category that is told."""
        self._store = store
        self._threshold = cluster_threshold
        self._emergence = emergence
        self._proven = proven
        self._k = k
        self._describer = Describer(k, timing.window)
        self._timing = timing
        self._clock = clock
        self._new_id = new_id
        self._families: dict[Family, Clusters] = {}
        self._tallies: dict[UUID, Tally] = defaultdict(Tally)
        self._rounds = DetectionRounds(proven, timing.sweep)
        self._full_pass = FullPass(cluster_threshold, new_id)
        self._next_pass = datetime.max.replace(tzinfo=UTC)
        self._failures = 0
        self._timeouts = 0
        self.leads = False
        self.steps = 0
        self.errors = 0

    @property
    def agreement(self) -> Agreement | None:
        """How well incremental clustering agreed with the last full pass; None before the first."""
        return self._full_pass.agreement

    @property
    def failed_passes(self) -> int:
        """Full passes in a row that failed. The steps go on without, and so does the process."""
        return self._full_pass.failures

    async def run(self) -> None:
        """Lead when nobody else does, for ever. A database that is away is waited for.

        Any other error makes it start over as well; raises the FAILURES-th without a step between. A
        statement that takes too long is counted, but raised never: a new process would be no faster.
        """
        while True:
            pause = self._timing.retry
            try:
                async with self._store.lead() as leadership:
                    if leadership is not None:
                        await self._lead(leadership)
                pause = self._timing.takeover
            except StatementTimedOut:
                self._timeouts += 1
                self.errors += 1
                log.error("emerging_detector_timed_out", timeouts=self._timeouts)  # noqa: TRY400
            except StorageUnavailable:
                log.warning("emerging_detector_lost_database")
            except Exception as error:
                self._failures += 1
                self.errors += 1
                # Without its message, which may quote a row.
                log.error(  # noqa: TRY400 - a traceback would hold the message
                    "emerging_detector_failed", error=type(error).__name__, failures=self._failures
                )
                if self._failures >= FAILURES:
                    raise
            self._forget()
            await asyncio.sleep(pause.total_seconds())

    async def _lead(self, leadership: Leadership) -> None:
        log.info("emerging_detector_leads")
        self.leads = True
        try:
            await self.restore(leadership)
            while True:
                goes_on = await self.step(leadership)
                self._failures = self._timeouts = 0
                self.steps += 1
                if not goes_on:
                    await asyncio.sleep(self._timing.poll.total_seconds())
        finally:
            self.leads = False
            await self._full_pass.stop()

    async def restore(self, leadership: Leadership) -> None:
        """Load what the last leader committed."""
        self._forget()
        async with aclosing(leadership.members()) as members:
            async for member in members:
                self._tallies[member.cluster_id].add(member.sighting_id, member.fact)
        missing = await self._restore_sums(leadership.clusters())
        if missing:
            # Clusters of a version that kept no sums, or of sightings that somebody else moved.
            log.info("emerging_detector_sums_anew", clusters=len(missing))
            await self._restore_sums(leadership.summed(missing))
        self._next_pass = self._clock() + self._timing.full_pass

    async def _restore_sums(
        self, clusters: AsyncGenerator[StoredCluster, None]
    ) -> Collection[UUID]:
        """Take over the sums that are of as many sightings as there are; the clusters of the others."""
        missing = []
        async with aclosing(clusters):
            async for stored in clusters:
                count = len(self._tallies.get(stored.cluster_id, ()))
                if stored.vector_sum is not None and stored.count == count:
                    self._clusters(stored.family).restore(
                        stored.cluster_id, stored.vector_sum, count
                    )
                elif count:
                    missing.append(stored.cluster_id)
        return missing

    async def step(self, leadership: Leadership) -> bool:
        """Look at what is new and at a slice of what is old, once; whether there may be more.

        An error leaves memory ahead of the database: give up the lead and restore.
        """
        now = self._clock()
        if now >= self._next_pass:
            widths = {
                family: clusters.width
                for family, clusters in self._families.items()
                if len(clusters)
            }
            self._full_pass.start(leadership.window, widths)
            self._next_pass = now + self._timing.full_pass
        async with leadership.step() as transaction:
            touched = _Touched()
            # All at once, before anything is counted: what is left of them is neither whose nor when.
            while forgotten := await transaction.forgotten(BATCH):
                self._drop(forgotten, touched)
            self._drop(await transaction.expired(now - self._timing.window, BATCH), touched)
            await self._correct(transaction, touched)
            pending = await transaction.pending(BATCH)
            await self._assign(transaction, pending, touched)
            touched.families |= await self._rounds.due(transaction, self._families, now)
            if touched.families:
                changes = await self._changes(transaction, touched, now)
                await transaction.keep_sums(self._sums(touched))
                if changes:
                    await transaction.save(changes, now)
        return bool(pending) or self._rounds.go_on

    def _drop(self, sightings: Sequence[Sighting], touched: _Touched) -> None:
        """Take deleted sightings out of their clusters."""
        for sighting in sightings:
            if sighting.cluster_id is not None:
                self._take_out(
                    sighting.family, sighting.cluster_id, sighting.sighting_id, sighting.vector
                )
                touched.resize(sighting.cluster_id, sighting.family)

    async def _correct(self, transaction: DetectionTransaction, touched: _Touched) -> None:
        """Apply what a full pass found, where it still holds: steps went on meanwhile."""
        moves = [
            move
            for move in self._full_pass.take()
            if move.sighting_id in self._tallies.get(move.source, ())
        ]
        for move in moves:
            fact = self._take_out(move.family, move.source, move.sighting_id, move.vector)
            self._clusters(move.family).add(move.target, move.vector)
            self._tallies[move.target].add(move.sighting_id, fact)
            touched.resize(move.source, move.family)
            touched.resize(move.target, move.family)
        if moves:
            await transaction.move(
                {move.sighting_id: move.target for move in moves}, touched.families
            )

    async def _assign(
        self,
        transaction: DetectionTransaction,
        pending: Sequence[Sighting],
        touched: _Touched,
    ) -> None:
        new = defaultdict(list)
        members: dict[int, UUID] = {}
        for sighting in pending:
            if sighting.cluster_id is None:
                new[sighting.family].append(sighting)
            else:
                members[sighting.sighting_id] = sighting.cluster_id
        for family, sightings in new.items():
            joined = self._clusters(family).assign([s.vector for s in sightings], self._new_id)
            members |= zip((s.sighting_id for s in sightings), joined, strict=True)
        for sighting in pending:
            cluster_id = members[sighting.sighting_id]
            self._tallies[cluster_id].add(sighting.sighting_id, sighting.fact)
            if sighting.cluster_id is None:
                touched.resize(cluster_id, sighting.family)
            else:
                touched.families[cluster_id] = sighting.family
        if members:
            await transaction.assign(members, touched.families)

    def _sums(self, touched: _Touched) -> Mapping[UUID, tuple[Vector, int]]:
        return {
            cluster_id: (self._clusters(family).total(cluster_id), len(self._tallies[cluster_id]))
            for cluster_id in touched.resized
            if cluster_id in self._clusters(family := touched.families[cluster_id])
        }

    async def _changes(
        self, transaction: DetectionTransaction, touched: _Touched, now: datetime
    ) -> Sequence[ClusterChange]:
        """What became of the clusters; those of which nothing is new are left out."""
        saved = await transaction.saved(touched.families)
        described = await self._described(transaction, touched, saved, now)
        changes = []
        for cluster_id in touched.families:
            was = saved.get(cluster_id)
            before = was.state if was else State.FORMING
            last_told = was.told if was else None
            cluster = described.get(cluster_id)
            state, change = transition(before, cluster, self._emergence)
            if change is Change.UPDATED and cluster and not worth_telling(last_told, cluster):
                change = None
            if change is Change.FADED and cluster is not None and self._is_loose(cluster):
                self._next_pass = min(self._next_pass, now + self._timing.full_pass / DRIFT)
            same = was is not None and cluster == was.cluster and state is before
            if change is not None or not same:
                changes.append(ClusterChange(cluster_id, cluster, last_told, state, change))
        return changes

    async def _described(
        self,
        transaction: DetectionTransaction,
        touched: _Touched,
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
                self._tallies[cluster_id],
                self._families[family].mean_similarity(cluster_id),
                now,
            )
            for cluster_id, family in touched.families.items()
            if cluster_id in self._clusters(family)
        }
        # Subscribers have the pattern and its evidence, so a lower bound that dips changes nothing: one
        # that hovers would make the cluster come and go.
        for cluster_id, pattern_id in (await self._promoted(transaction, saved)).items():
            if cluster_id in described:
                described[cluster_id] = replace(
                    described[cluster_id], promoted_pattern_id=pattern_id
                )
        told = {
            cluster_id: cluster
            for cluster_id, cluster in described.items()
            if cluster.promoted_pattern_id is None and self._emergence.shows(cluster)
        }
        return {**described, **await self._looked_up(transaction, told, touched.families)}

    async def _promoted(
        self, transaction: DetectionTransaction, saved: Mapping[UUID, SavedCluster]
    ) -> Mapping[UUID, UUID]:
        """Clusters that became a pattern, and the pattern, where it is still there and published."""
        became = {
            cluster_id: pattern_id
            for cluster_id, was in saved.items()
            if was.state is State.PROMOTED
            and (pattern_id := was.cluster.promoted_pattern_id) is not None
        }
        if not became:
            return {}
        published = await transaction.published(set(became.values()), self._proven.min_accounts)
        return {key: pattern_id for key, pattern_id in became.items() if pattern_id in published}

    async def _looked_up(
        self,
        transaction: DetectionTransaction,
        told: Mapping[UUID, EmergingPattern],
        families: Mapping[UUID, Family],
    ) -> Mapping[UUID, EmergingPattern]:
        """Clusters that are told of, with their words, their novelty and what they became."""
        centres = {
            cluster_id: (family, self._families[family].centre(cluster_id))
            for cluster_id, family in families.items()
            if cluster_id in told
        }
        if not centres:
            return {}
        words = await self._worded(transaction, centres)
        known = await transaction.known(centres, self._proven)
        return {
            cluster_id: completed(
                cluster,
                words.get(cluster_id, ClusterWords()),
                known.get(cluster_id, Known()),
            )
            for cluster_id, cluster in told.items()
        }

    async def _worded(
        self,
        transaction: DetectionTransaction,
        centres: Mapping[UUID, tuple[Family, Vector]],
    ) -> Mapping[UUID, ClusterWords]:
        """The words of clusters, as of the accounts that were seen last."""
        sentences = await transaction.sentences(
            {cluster_id: centre for cluster_id, (_, centre) in centres.items()},
            {cluster_id: self._tallies[cluster_id].heard(VOICES) for cluster_id in centres},
        )
        worded = {}
        for cluster_id, said in sentences.items():
            (_, pattern_type), _ = centres[cluster_id]
            worded[cluster_id] = wording(pattern_type, said, self._k)
            # A millisecond each: let calls in between.
            await asyncio.sleep(0)
        return worded

    def _is_loose(self, cluster: EmergingPattern) -> bool:
        """Whether enough accounts see it, but its sightings drifted apart: it may be several."""
        return cluster.account_count >= self._emergence.min_accounts

    def _take_out(self, family: Family, cluster_id: UUID, sighting_id: int, vector: Vector) -> Fact:
        """Remove a sighting from its cluster."""
        self._clusters(family).remove(cluster_id, [vector])
        tally = self._tallies[cluster_id]
        fact = tally.remove(sighting_id)
        if not len(tally):
            del self._tallies[cluster_id]
        return fact

    def _forget(self) -> None:
        """Drop what is in memory: the sightings have it all."""
        self._families = {}
        self._tallies = defaultdict(Tally)
        self._rounds = DetectionRounds(self._proven, self._timing.sweep)

    def _clusters(self, family: Family) -> Clusters:
        return self._families.setdefault(family, Clusters(self._threshold))
