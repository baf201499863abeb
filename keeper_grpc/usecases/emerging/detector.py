"""The emerging-pattern detector: turns sightings into clusters, and changes of clusters into events.

One process of a database leads and detects; the others wait for its lock. The leader holds sums of
vectors and counts in memory, so that a step costs what is new, and can be replaced at any time:
whatever it has not committed, the next leader finds pending. Now and then a full pass clusters the
window from scratch beside the steps, and its corrections are one more step.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from keeper_grpc.domain.emerging.model import (
    Emergence,
    Proven,
)
from keeper_grpc.domain.emerging.novelty import NoveltyScale
from keeper_grpc.domain.errors import PatternsMoved, StatementTimedOut, StorageUnavailable
from keeper_grpc.usecases.emerging.actions import ActionVectors
from keeper_grpc.usecases.emerging.descriptions import ClusterDescriptions
from keeper_grpc.usecases.emerging.full_pass import Agreement, FullPass
from keeper_grpc.usecases.emerging.memory import ClusterMemory, Touched
from keeper_grpc.usecases.emerging.ports import (
    DetectionStore,
    Leadership,
)
from keeper_grpc.usecases.emerging.rounds import DetectionRounds
from keeper_grpc.usecases.ports import Clock, Embeds, NewId

log = structlog.get_logger()

BATCH = 500
"""Sightings that a step processes: bounds its transaction to a few milliseconds per cluster."""

LONGEST_PAUSE = 1.0
"""Seconds between two steps at most, where the first took longer and was not full: far from what the database takes for
silence."""

FAILURES = 5
"""Errors in a row after which the detector gives up, and the process drains to be restarted. With the
default timing this takes eight seconds, in which another leader could take over or a transient fault pass."""

DRIFT = 10
"""Divisor of the time between full passes after which one is due when a cluster has drifted apart."""


@dataclass(frozen=True, slots=True)
class DetectorTiming:
    """The detector's window, and the intervals of its work.

    Followers try to become leader every `takeover`; a leader that failed, after `retry`. They do not
    wait for the lock in the database, because a statement that waits holds up vacuum, and one that gives
    up waiting is an error in the database's log.
    """

    window: timedelta = timedelta(days=7)
    poll: timedelta = timedelta(milliseconds=200)
    sweep: timedelta = timedelta(seconds=5)
    takeover: timedelta = timedelta(milliseconds=500)
    retry: timedelta = timedelta(seconds=2)
    full_pass: timedelta = timedelta(minutes=10)


class DetectEmerging:
    """The use case: `run` it as a task; cancel the task to stop it.

    `leads`: whether this process is the leader now. `steps` and `errors` count since the start. `step_seconds`:
    what the last step took; 0 before the first.
    """

    def __init__(
        self,
        *,
        store: DetectionStore,
        cluster_threshold: float,
        emergence: Emergence,
        proven: Proven,
        k: int,
        embedder: Embeds | None,
        scale: NoveltyScale,
        timing: DetectorTiming,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        """`k` is the least number of accounts behind each word and category that is shown. Without an `embedder`
        sentences alone tell of novelty.
        """
        self._store = store
        self._threshold = cluster_threshold
        self._proven = proven
        self._descriptions = ClusterDescriptions(
            emergence=emergence,
            proven=proven,
            k=k,
            window=timing.window,
            actions=ActionVectors(embedder),
            scale=scale,
        )
        self._timing = timing
        self._clock = clock
        self._new_id = new_id
        self._memory = ClusterMemory(cluster_threshold)
        self._rounds = DetectionRounds(proven, timing.sweep)
        self._full_pass = FullPass(cluster_threshold, new_id)
        self._next_pass = datetime.max.replace(tzinfo=UTC)
        self._failures = 0
        self._timeouts = 0
        self.leads = False
        self.steps = 0
        self.errors = 0
        self.step_seconds = 0.0
        self._finished = 0.0

    @property
    def step_age(self) -> float:
        """Seconds since the last step was finished, while this process leads; else 0."""
        return time.monotonic() - self._finished if self.leads and self.steps else 0.0

    @property
    def agreement(self) -> Agreement | None:
        """How well incremental clustering agreed with the last full pass; None before the first."""
        return self._full_pass.agreement

    @property
    def failed_passes(self) -> int:
        """Consecutive full passes that failed. Steps go on without their corrections."""
        return self._full_pass.failures

    async def run(self) -> None:
        """Lead whenever no other process does, for ever, and wait for a database that is away.

        After any other error the detector starts over; it raises the FAILURES-th in a row. A statement that
        timed out is counted but never raised, because a new process would be no faster. Raises PatternsMoved
        when the database has another embedding model than this detector.
        """
        while True:
            pause = self._timing.retry
            try:
                async with self._store.lead() as leadership:
                    if leadership is not None:
                        await self._lead(leadership)
                pause = self._timing.takeover
            except PatternsMoved:
                self._forget()
                raise
            except StatementTimedOut:
                self._timeouts += 1
                self.errors += 1
                log.error("emerging_detector_timed_out", timeouts=self._timeouts)  # noqa: TRY400
            except StorageUnavailable:
                log.warning("emerging_detector_lost_database")
            except Exception as error:
                self._failures += 1
                self.errors += 1
                # The message is left out, because it may quote a row.
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
                began = time.monotonic()
                goes_on = await self.step(leadership)
                self._finished = time.monotonic()
                self.step_seconds = self._finished - began
                self._failures = self._timeouts = 0
                self.steps += 1
                if not goes_on:
                    # As long as the step took, at least: what comes meanwhile shares the next one, which looks at each
                    # cluster once, and calls have half of the time or more to themselves.
                    took = min(self.step_seconds, LONGEST_PAUSE)
                    await asyncio.sleep(max(self._timing.poll.total_seconds(), took))
        finally:
            self.leads = False
            await self._full_pass.stop()

    async def restore(self, leadership: Leadership) -> None:
        """Load what the last leader committed."""
        self._forget()
        await self._memory.restore(leadership)
        self._next_pass = self._clock() + self._timing.full_pass

    async def step(self, leadership: Leadership) -> bool:
        """Process new sightings and a slice of the old clusters; whether there is more to do at once.

        After an error memory is ahead of the database: the caller has to restore it.
        """
        now = self._clock()
        if now >= self._next_pass:
            self._full_pass.start(leadership.window, self._memory.widths())
            self._next_pass = now + self._timing.full_pass
        async with leadership.step() as transaction:
            touched = Touched()
            # All of them before anything is counted, because they have no account and no time any more.
            while forgotten := await transaction.forgotten(BATCH):
                self._memory.drop(forgotten, touched)
            while withdrawn := await transaction.withdrawn(BATCH):
                self._memory.drop(withdrawn, touched)
            expired = await transaction.expired(now - self._timing.window, BATCH)
            self._memory.drop(expired, touched)
            # A full pass's corrections, where no step has moved the sighting meanwhile.
            moved = self._memory.reassign(self._full_pass.take(), touched)
            if moved:
                await transaction.move(moved, touched.families)
            pending = await transaction.pending(BATCH)
            members = self._memory.assign(pending, touched, self._new_id)
            if members:
                await transaction.add_clusters(
                    {cluster: touched.families[cluster] for cluster in members.values()}
                )
            touched.families |= await self._rounds.due(transaction, self._memory.families, now)
            if touched.families:
                changes = await self._descriptions.changes(
                    transaction, self._memory, touched.families, now
                )
                if any(self._descriptions.drifted_apart(change) for change in changes):
                    self._next_pass = min(self._next_pass, now + self._timing.full_pass / DRIFT)
                # Only now: it locks sightings that calls renew, which would wait while clusters are described.
                await transaction.assign(
                    {
                        each.sighting_id: (members[each.sighting_id], each.fact.seen_time)
                        for each in pending
                    }
                )
                await transaction.keep_sums(self._memory.sums(touched))
                if changes:
                    await transaction.save(changes, now)
        return len(pending) == BATCH or self._rounds.go_on

    def _forget(self) -> None:
        """Drop the memory, which can be rebuilt from the sightings."""
        self._memory = ClusterMemory(self._threshold)
        self._rounds = DetectionRounds(self._proven, self._timing.sweep)
