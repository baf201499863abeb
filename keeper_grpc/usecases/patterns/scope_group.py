"""Captures and reports of one scope, written as a group: the same as if each were written by itself.

Whoever waits for the scope is written in one transaction that owns it: retries are found, each entry is placed
in arrival order, and all is counted at once. A revision owns its account, and is a transaction of its own.
What a caller is told of a pattern is as it stands at the commit, without the evidence of the caller's owner.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeAlias
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
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight, Outcome, UnknownWord
from keeper_grpc.domain.observation import Disposition, Observation, Recorded, Standing, Vectors
from keeper_grpc.domain.patterns.group import Asking, GroupWrites, Known, Request, Seen, UsedWords
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import Neighbour, Pattern, PatternKey, Scope, merge_target
from keeper_grpc.domain.patterns.placing import NEIGHBOURS, Places, likely_targets
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.usecases.ports import NewId

DECIMALS = 2
"""Of a similarity that is told. More would let guesses be led to a text, step by step."""


@dataclass(frozen=True, slots=True)
class CaptureEntry:
    """A capture that is anonymized and embedded. `vectors` is None where its action could not be made anonymous."""

    account_key: str
    request_id: UUID
    fingerprints: tuple[bytes, ...]
    insight: AnonymizedInsight
    report: AnonymizationReport
    unknown_words: Sequence[UnknownWord]
    context: str | None
    outcome: Outcome
    vectors: Vectors | None
    thresholds: Thresholds
    occurred_time: datetime
    seen_time: datetime
    recorded_time: datetime
    instead_of: UUID | None


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """The first report of an enhancement's outcome. `vectors` are of advice that came from another category."""

    account_key: str
    request_id: UUID
    fingerprints: tuple[bytes, ...]
    given: HandedOut
    outcome: Outcome
    vectors: Vectors | None
    thresholds: Thresholds
    occurred_time: datetime
    recorded_time: datetime


Entry: TypeAlias = CaptureEntry | ReportEntry

_OF_ONE = (
    RequestIdReused,
    EnhancementNotFound,
    OutcomeAlreadyReported,
    AccountBeingForgotten,
    PatternsMoved,
)
"""Errors of one entry, after which the transaction goes on."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an entry, and the `pattern` that it belongs to if the account may be shown that."""

    disposition: Disposition
    replayed: bool
    similarity: float
    pattern: Pattern | None
    anonymization: AnonymizationReport


@dataclass(frozen=True, slots=True)
class AlreadyAnswered:
    """An outcome was reported before: what the ledger has of it, which a report may replace."""

    standing: Standing


class GroupTransaction(Protocol):
    """One transaction that owns a scope. Everything in it happens, or nothing does."""

    async def is_current(self) -> bool:
        """Whether the scope's model is the database's, which cannot change until the end."""

    async def known(self, asking: Asking) -> Known:
        """What the ledger has; accounts and pinned patterns stay until the end."""

    async def nearest(
        self, vectors: Sequence[Vectors], limit: int
    ) -> Sequence[Sequence[Neighbour]]:
        """For each the exact nearest patterns of the scope, nearest first."""

    async def positions(self, pattern_ids: Collection[UUID]) -> Mapping[UUID, Position]:
        """Where patterns lie."""

    async def count(self, writes: GroupWrites) -> None:
        """Create and move patterns, and count the observations into them, their scripts and situations."""

    async def write(self, writes: GroupWrites) -> None:
        """Write the ledger, the words and the sightings, and count them into the measures. After `count`."""

    async def patterns(
        self, shown: Collection[tuple[PatternKey, str]]
    ) -> Mapping[tuple[PatternKey, str], Pattern]:
        """Patterns as they are now, each as the account with the key sees it; only what may be shown."""


class GroupStore(Protocol):
    """Where groups go."""

    def group(self, scope: Scope) -> AbstractAsyncContextManager[GroupTransaction]:
        """Begin a transaction that owns the scope; it commits at the end of the block unless that raises."""


class WriteGroup:
    """The use case. One instance serves all scopes."""

    def __init__(self, *, store: GroupStore, rule: PublicationRule, new_id: NewId) -> None:
        self._store = store
        self._rule = rule
        self._new_id = new_id

    async def __call__(
        self, scope: Scope, entries: Sequence[Entry]
    ) -> Sequence[Written | AlreadyAnswered | KeeperError]:
        """Write the entries, all or none; an error in the place of an answer is of its entry alone.

        Raises StorageUnavailable, and what the database objects to.
        """
        async with self._store.group(scope) as transaction:
            group = _Group(transaction, scope, self._new_id)
            await group.place(entries)
            await transaction.count(group.writes)
            shown = await transaction.patterns(group.spoken_of)
            group.withhold(shown, self._rule)
            await transaction.write(group.writes)
        return [
            outcome.told(shown, self._rule) if isinstance(outcome, _Outcome) else outcome
            for outcome in group.outcomes
        ]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of an entry, before it is known what of that may be told."""

    account_key: str
    pattern: PatternKey | None
    disposition: Disposition
    similarity: float
    anonymization: AnonymizationReport
    replayed: bool

    def told(
        self, shown: Mapping[tuple[PatternKey, str], Pattern], rule: PublicationRule
    ) -> Written:
        """The answer: a pattern that is withheld is not told of, nor how near it lies."""
        pattern = _published(shown, rule, self.pattern, self.account_key)
        return Written(
            self.disposition,
            self.replayed,
            self.similarity if pattern else 0.0,
            pattern,
            self.anonymization,
        )


@dataclass(frozen=True, slots=True)
class _Credit:
    """Where an outcome counts. `new` patterns have yet to be created."""

    pattern_id: UUID | None
    similarity: float
    new: bool = False


class _Group:
    """The entries of one group, as they are placed one after the other."""

    def __init__(self, transaction: GroupTransaction, scope: Scope, new_id: NewId) -> None:
        self._transaction = transaction
        self._scope = scope
        self._new_id = new_id
        self._places = Places()
        self._recorded: dict[Request, Recorded] = {}
        self._answered: dict[UUID, Standing | None] = {}
        self.writes = GroupWrites()
        self.outcomes: list[_Outcome | AlreadyAnswered | KeeperError] = []

    @property
    def spoken_of(self) -> set[tuple[PatternKey, str]]:
        """The patterns that answers speak of, each with the account that is answered."""
        return {
            (outcome.pattern, outcome.account_key)
            for outcome in self.outcomes
            if isinstance(outcome, _Outcome) and outcome.pattern is not None
        }

    def withhold(
        self, shown: Mapping[tuple[PatternKey, str], Pattern], rule: PublicationRule
    ) -> None:
        """Keep no similarity to a pattern that the account is not shown: a retry tells what was told."""
        self.writes.observations = [
            each
            if each.disposition is not Disposition.MERGED
            or _published(shown, rule, each.pattern_key, each.account_key)
            else replace(each, similarity=0.0)
            for each in self.writes.observations
        ]

    async def place(self, entries: Sequence[Entry]) -> None:
        """Decide on each entry, in arrival order."""
        current = await self._transaction.is_current()
        known = await self._transaction.known(_asking(entries))
        self._recorded.update(known.recorded)
        self._answered.update(known.answered)
        near = await self._search(
            [
                entry
                for entry in entries
                if entry.vectors is not None
                and (entry.account_key, entry.request_id) not in known.recorded
            ]
        )
        for entry in entries:
            try:
                outcome: _Outcome | AlreadyAnswered
                if isinstance(entry, CaptureEntry):
                    outcome = await self._capture(entry, known, near, current=current)
                else:
                    outcome = await self._report(entry, known, near)
            except _OF_ONE as error:
                self.outcomes.append(error)
            else:
                self.outcomes.append(outcome)
        self.writes.positions = {**self._places.created, **self._places.moved}

    async def _search(self, entries: Sequence[Entry]) -> Mapping[int, Sequence[Neighbour]]:
        """What lies nearest to each entry before the group, by the identity of its vectors."""
        if not entries:
            return {}
        vectors = [entry.vectors for entry in entries if entry.vectors is not None]
        found = await self._transaction.nearest(vectors, NEIGHBOURS + len(vectors) - 1)
        joining = [
            (entry.insight.action, near)
            for entry, near in zip(entries, found, strict=True)
            if isinstance(entry, CaptureEntry)
        ]
        if joining:
            targets = likely_targets(
                [action for action, _ in joining],
                [near for _, near in joining],
                entries[0].thresholds,
            )
            self._places.know(await self._transaction.positions(targets))
        return {id(each): near for each, near in zip(vectors, found, strict=True)}

    async def _capture(
        self,
        entry: CaptureEntry,
        known: Known,
        near: Mapping[int, Sequence[Neighbour]],
        *,
        current: bool,
    ) -> _Outcome:
        if not current:
            raise PatternsMoved
        if (replay := self._replay(entry)) is not None:
            return replay
        self._check(entry, known)
        vectors, target, pattern_id = entry.vectors, None, None
        if vectors is not None:
            target = merge_target(
                entry.insight.action,
                self._places.near(vectors, near[id(vectors)]),
                entry.thresholds,
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
            self.writes.seen.append(
                Seen(
                    entry.account_key,
                    entry.insight,
                    self._scope.embedding_model,
                    vectors.sentence,
                    entry.seen_time,
                )
            )
        if entry.unknown_words:
            self.writes.words.append(
                UsedWords(
                    entry.account_key, entry.unknown_words, entry.context, entry.recorded_time
                )
            )
        return self._record(observation)

    def _check(self, entry: CaptureEntry, known: Known) -> None:
        """Raise unless the account is there, and was asked what it says it did instead of."""
        if entry.account_key not in known.accounts:
            raise AccountBeingForgotten
        if entry.instead_of is None:
            return
        if (entry.account_key, entry.instead_of) not in known.asked:
            raise EnhancementNotFound
        if entry.instead_of in self._answered:
            raise OutcomeAlreadyReported

    async def _join(self, target: Neighbour, vectors: Vectors) -> None:
        unknown = self._places.unknown([target.pattern_id])
        self._places.know(await self._transaction.positions(unknown))
        self._places.join(target, vectors)

    async def _report(
        self, entry: ReportEntry, known: Known, near: Mapping[int, Sequence[Neighbour]]
    ) -> _Outcome | AlreadyAnswered:
        given, vectors = entry.given, entry.vectors
        if (replay := self._replay(entry)) is not None:
            return replay
        if entry.account_key not in known.accounts:
            raise AccountBeingForgotten
        if given.enhancement_id in self._answered:
            standing = self._answered[given.enhancement_id]
            if standing is None:
                raise OutcomeAlreadyReported
            return AlreadyAnswered(standing)
        followed = given.enhancement_id not in known.dismissed
        given = self._pinned(given, known) if followed else replace(given, pattern=None)
        if given.pattern is None:
            vectors = None
        found = None if vectors is None else near[id(vectors)]
        credit = self._credit(entry, given, found)
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

    def _pinned(self, given: HandedOut, known: Known) -> HandedOut:
        """The advice with its pattern as it is now. Raises PatternsMoved where that is elsewhere.

        Whoever worded it may have been forgotten since: then it says something else, or is
        gone. What it said is not to be kept either.
        """
        if given.pattern is None:
            return given
        pinned = known.pinned.get(given.pattern.key)
        if pinned is None:
            if given.pattern.key in known.merged:
                raise PatternsMoved
            return replace(given, pattern=None)
        if pinned.embedding_model != self._scope.embedding_model:
            raise PatternsMoved
        return replace(given, pattern=replace(given.pattern, action=pinned.action))

    def _credit(
        self, entry: ReportEntry, given: HandedOut, found: Sequence[Neighbour] | None
    ) -> _Credit:
        """The pattern that was applied; of advice from another category, the one that says the same here."""
        if given.pattern is None:
            return _Credit(None, 0.0)
        if found is None or entry.vectors is None:
            return _Credit(given.pattern.pattern_id, given.similarity)
        neighbours = self._places.near(entry.vectors, found)
        target = merge_target(given.pattern.action, neighbours, entry.thresholds)
        if target is not None:
            return _Credit(target.pattern_id, target.similarity)
        nearest = neighbours[0].similarity if neighbours else 0.0
        return _Credit(self._new_id(), nearest, new=True)

    def _begin(self, pattern_id: UUID, observation: Observation, vectors: Vectors) -> None:
        self._places.begin(pattern_id, observation.insight.action, vectors)
        self.writes.created[pattern_id] = observation

    def _replay(self, entry: Entry) -> _Outcome | None:
        """What an earlier attempt of the same request did, perhaps in this group. Raises RequestIdReused."""
        earlier = self._recorded.get((entry.account_key, entry.request_id))
        if earlier is None:
            return None
        if earlier.fingerprint not in entry.fingerprints:
            raise RequestIdReused
        return _Outcome(
            entry.account_key,
            earlier.pattern,
            earlier.disposition,
            round(earlier.similarity, DECIMALS),
            earlier.anonymization,
            replayed=True,
        )

    def _record(self, observation: Observation) -> _Outcome:
        self.writes.observations.append(observation)
        self._recorded[observation.account_key, observation.request_id] = Recorded(
            fingerprint=observation.fingerprint,
            pattern=observation.pattern_key,
            disposition=observation.disposition,
            similarity=observation.similarity,
            anonymization=observation.report,
        )
        if (question := observation.enhancement_id or observation.instead_of) is not None:
            self._answered[question] = (
                Standing(
                    observation.observation_id,
                    observation.scope,
                    observation.pattern_id,
                    observation.outcome.final,
                )
                if observation.disposition is Disposition.REPORTED
                else None
            )
        return _Outcome(
            observation.account_key,
            observation.pattern_key,
            observation.disposition,
            observation.similarity,
            observation.report,
            replayed=False,
        )


def _asking(entries: Sequence[Entry]) -> Asking:
    """What must be known of all entries."""
    captures = [entry for entry in entries if isinstance(entry, CaptureEntry)]
    reports = [entry for entry in entries if isinstance(entry, ReportEntry)]
    return Asking(
        accounts={entry.account_key for entry in entries},
        requests={(entry.account_key, entry.request_id) for entry in entries},
        not_followed={
            (entry.account_key, entry.instead_of) for entry in captures if entry.instead_of
        },
        reported={entry.given.enhancement_id for entry in reports},
        reporting={entry.account_key for entry in reports},
        advised={entry.given.pattern.key for entry in reports if entry.given.pattern},
    )


def _disposition(*, withheld: bool, target: Neighbour | None) -> Disposition:
    if withheld:
        return Disposition.WITHHELD
    return Disposition.MERGED if target else Disposition.CREATED


def _published(
    shown: Mapping[tuple[PatternKey, str], Pattern],
    rule: PublicationRule,
    key: PatternKey | None,
    account_key: str,
) -> Pattern | None:
    """The pattern as the account may be shown it; None where it may not."""
    pattern = None if key is None else shown.get((key, account_key))
    return None if pattern is None or pattern.withheld(rule) else pattern
