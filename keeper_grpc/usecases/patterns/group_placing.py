"""Placing the entries of one scope one after the other, as if each came alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.errors import (
    AccountBeingForgotten,
    EnhancementNotFound,
    KeeperError,
    OutcomeAlreadyReported,
    PatternsMoved,
    RequestIdReused,
)
from keeper_grpc.domain.insight import AnonymizationReport
from keeper_grpc.domain.observation import Disposition, Observation, Recorded, Standing, Vectors
from keeper_grpc.domain.patterns.group import GroupWrites, Known, Request, Seen, UsedWords
from keeper_grpc.domain.patterns.pattern import Neighbour, PatternKey, Scope, merge_target
from keeper_grpc.usecases.patterns.group_answers import Placed
from keeper_grpc.usecases.patterns.group_entries import (
    AlreadyAnswered,
    CaptureEntry,
    Entry,
    ReportEntry,
)
from keeper_grpc.usecases.patterns.group_ports import GroupTransaction, PlacesOfScope
from keeper_grpc.usecases.ports import NewId

DECIMALS = 2
"""Of a similarity that is told. More would let guesses be led to a text, step by step."""

_OF_ONE = (
    RequestIdReused,
    EnhancementNotFound,
    OutcomeAlreadyReported,
    AccountBeingForgotten,
    PatternsMoved,
)
"""Errors of one entry, after which the transaction goes on."""


@dataclass(frozen=True, slots=True)
class _Credit:
    """Where an outcome counts. `new` patterns have yet to be created."""

    pattern_id: UUID | None
    similarity: float
    new: bool = False


class Ledger:
    """What the ledger has by now: what it had before the group, and what the group has added to it."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.recorded: dict[Request, Recorded] = dict(known.recorded)
        self.answered: dict[UUID, Standing | None] = dict(known.answered)
        self.writes = GroupWrites()


class Placing:
    """The entries of one scope. What they write is added to that of the group."""

    def __init__(
        self,
        transaction: GroupTransaction,
        ledger: Ledger,
        scope: Scope,
        places: PlacesOfScope,
        *,
        current: bool,
        new_id: NewId,
    ) -> None:
        self._transaction = transaction
        self._ledger = ledger
        self._known = ledger.known
        self._writes = ledger.writes
        self._scope = scope
        self._places = places
        self._current = current
        self._new_id = new_id

    async def place(
        self, entries: Sequence[Entry]
    ) -> Sequence[Placed | AlreadyAnswered | KeeperError]:
        """Decide on each entry, in arrival order; an error in the place of an answer is of its entry alone."""
        outcomes: list[Placed | AlreadyAnswered | KeeperError] = []
        for entry in entries:
            try:
                if isinstance(entry, CaptureEntry):
                    outcomes.append(await self._capture(entry))
                else:
                    outcomes.append(await self._report(entry))
            except _OF_ONE as error:
                outcomes.append(error)
        for pattern_id, position in {**self._places.created, **self._places.moved}.items():
            self._writes.positions[PatternKey(self._scope.scope_id, pattern_id)] = position
        return outcomes

    async def _capture(self, entry: CaptureEntry) -> Placed:
        if not self._current:
            raise PatternsMoved
        if (replay := self._replay(entry)) is not None:
            return replay
        self._check(entry)
        vectors, target, pattern_id = entry.vectors, None, None
        if vectors is not None:
            target = merge_target(
                entry.insight.action, self._places.near(vectors), entry.thresholds
            )
            pattern_id = target.pattern_id if target else self._new_id()
        observation = Observation(
            observation_id=self._new_id(),
            account_key=entry.account_key,
            request_id=entry.request_id,
            fingerprint=entry.fingerprints[0],
            scope=self._scope,
            insight=entry.insight,
            report=entry.report,
            outcome=entry.outcome,
            disposition=_disposition(withheld=vectors is None, target=target),
            pattern_id=pattern_id,
            similarity=round(target.similarity, DECIMALS) if target else 0.0,
            occurred_time=entry.occurred_time,
            recorded_time=entry.recorded_time,
            instead_of=entry.instead_of,
        )
        if vectors is not None and pattern_id is not None:
            if target is None:
                self._begin(pattern_id, observation, vectors)
            else:
                await self._join(target, vectors)
            self._writes.seen.append(
                Seen(
                    entry.account_key,
                    entry.insight,
                    self._scope.embedding_model,
                    vectors.sentence,
                    entry.seen_time,
                )
            )
        if entry.unknown_words:
            self._writes.words.append(
                UsedWords(
                    entry.account_key, entry.unknown_words, entry.context, entry.recorded_time
                )
            )
        return self._record(observation)

    def _check(self, entry: CaptureEntry) -> None:
        """Raise unless the account is there, and was asked what it says it did instead of."""
        if entry.account_key not in self._known.accounts:
            raise AccountBeingForgotten
        if entry.instead_of is None:
            return
        asked = (entry.account_key, entry.instead_of, self._scope.pattern_type)
        if asked not in self._known.asked:
            raise EnhancementNotFound
        if entry.instead_of in self._ledger.answered:
            raise OutcomeAlreadyReported

    async def _join(self, target: Neighbour, vectors: Vectors) -> None:
        if unknown := self._places.unknown([target.pattern_id]):
            keys = [PatternKey(self._scope.scope_id, each) for each in unknown]
            self._places.know(await self._transaction.positions(keys))
        self._places.join(target, vectors)

    async def _report(self, entry: ReportEntry) -> Placed | AlreadyAnswered:
        given, vectors = entry.given, entry.vectors
        if (replay := self._replay(entry)) is not None:
            return replay
        if entry.account_key not in self._known.accounts:
            raise AccountBeingForgotten
        if given.enhancement_id in self._ledger.answered:
            standing = self._ledger.answered[given.enhancement_id]
            if standing is None:
                raise OutcomeAlreadyReported
            return AlreadyAnswered(standing)
        followed = given.enhancement_id not in self._known.dismissed
        given = self._pinned(given) if followed else replace(given, pattern=None)
        if given.pattern is None:
            vectors = None
        credit = self._credit(entry, given, vectors)
        observation = Observation(
            observation_id=self._new_id(),
            account_key=entry.account_key,
            request_id=entry.request_id,
            fingerprint=entry.fingerprints[0],
            scope=self._scope,
            insight=given.acted_on,
            report=AnonymizationReport(),
            outcome=entry.outcome,
            disposition=Disposition.REPORTED,
            pattern_id=credit.pattern_id,
            similarity=credit.similarity,
            occurred_time=entry.occurred_time,
            recorded_time=entry.recorded_time,
            enhancement_id=given.enhancement_id if followed else None,
            instead_of=None if followed else given.enhancement_id,
        )
        if credit.new and credit.pattern_id is not None and vectors is not None:
            self._begin(credit.pattern_id, observation, vectors)
        return self._record(observation)

    def _pinned(self, given: HandedOut) -> HandedOut:
        """The advice with its pattern as it is now. Raises PatternsMoved where that is elsewhere.

        Whoever worded it may have been forgotten since: then it says something else, or is
        gone. What it said is not to be kept either.
        """
        if given.pattern is None:
            return given
        pinned = self._known.pinned.get(given.pattern.key)
        if pinned is None:
            if given.pattern.key in self._known.merged:
                raise PatternsMoved
            return replace(given, pattern=None)
        if pinned.embedding_model != self._scope.embedding_model:
            raise PatternsMoved
        return replace(given, pattern=replace(given.pattern, action=pinned.action))

    def _credit(self, entry: ReportEntry, given: HandedOut, vectors: Vectors | None) -> _Credit:
        """The pattern that was applied; of advice from another category, the one that says the same here."""
        if given.pattern is None:
            return _Credit(None, 0.0)
        if vectors is None:
            return _Credit(given.pattern.pattern_id, given.similarity)
        neighbours = self._places.near(vectors)
        target = merge_target(given.pattern.action, neighbours, entry.thresholds)
        if target is not None:
            return _Credit(target.pattern_id, target.similarity)
        nearest = neighbours[0].similarity if neighbours else 0.0
        return _Credit(self._new_id(), nearest, new=True)

    def _begin(self, pattern_id: UUID, observation: Observation, vectors: Vectors) -> None:
        self._places.begin(pattern_id, observation.insight.action, vectors)
        self._writes.created[pattern_id] = observation

    def _replay(self, entry: Entry) -> Placed | None:
        """What an earlier attempt of the same request did, perhaps in this group. Raises RequestIdReused."""
        earlier = self._ledger.recorded.get((entry.account_key, entry.request_id))
        if earlier is None:
            return None
        if earlier.fingerprint not in entry.fingerprints:
            raise RequestIdReused
        return Placed(
            entry.account_key,
            earlier.pattern,
            earlier.disposition,
            round(earlier.similarity, DECIMALS),
            earlier.anonymization,
            replayed=True,
        )

    def _record(self, observation: Observation) -> Placed:
        self._writes.observations.append(observation)
        self._ledger.recorded[observation.account_key, observation.request_id] = Recorded(
            fingerprint=observation.fingerprint,
            pattern=observation.pattern_key,
            disposition=observation.disposition,
            similarity=observation.similarity,
            anonymization=observation.report,
        )
        if (question := observation.enhancement_id or observation.instead_of) is not None:
            self._ledger.answered[question] = (
                Standing(
                    observation.observation_id,
                    observation.scope,
                    observation.pattern_id,
                    observation.outcome.final,
                )
                if observation.disposition is Disposition.REPORTED
                else None
            )
        return Placed(
            observation.account_key,
            observation.pattern_key,
            observation.disposition,
            observation.similarity,
            observation.report,
            replayed=False,
        )


def _disposition(*, withheld: bool, target: Neighbour | None) -> Disposition:
    if withheld:
        return Disposition.WITHHELD
    return Disposition.MERGED if target else Disposition.CREATED
