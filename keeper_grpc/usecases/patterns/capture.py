"""CapturePattern: one (insight, outcome) of one account becomes evidence of one pattern.

Anonymize, embed, and then, in one transaction that owns the scope: answer a retry, or find the
nearest pattern that says the same, merge or create, and write the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.words import context_of
from keeper_grpc.domain.errors import EnhancementNotFound, InvalidInput, RequestIdReused
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import (
    AnonymizationReport,
    AnonymizedInsight,
    Identifiers,
    Insight,
    Outcome,
    UnknownWord,
)
from keeper_grpc.domain.observation import Disposition, Observation, Recorded, Vectors
from keeper_grpc.domain.patterns.pattern import Neighbour, Pattern, PatternKey, Scope, merge_target
from keeper_grpc.domain.patterns.screen import Objection, objection
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.ports import CLOCK_SKEW, Anonymizes, Clock, Embeds, NewId, Vector

NEIGHBOURS = 20
"""Nearest patterns to consider. More than one, because the nearest may be an opposite, or another
action in the same situation."""

DECIMALS = 2
"""Of a similarity that is told. More would let guesses be led to a text, step by step."""


@dataclass(frozen=True, slots=True)
class Capture:
    """What the caller asks to be captured.

    `fingerprints` are keyed hashes of the whole request, the current key's first: equal hashes mean
    a retry, and a retry may come after the key was rotated. `instead_of` is the enhancement whose advice, if there was
    any, was not followed.
    """

    request_id: UUID
    account_id: str
    insight: Insight
    outcome: Outcome
    identifiers: Identifiers
    occurred_time: datetime | None
    fingerprints: tuple[bytes, ...]
    instead_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Captured:
    """What became of a capture, and the `pattern` that it belongs to if the account may be shown that.

    Without a `pattern` the caller is told of no id, no `similarity`, which is 0, and not whether the capture
    merged: each would say that somebody else's text lies near. `disposition` is what happened in any case, and
    `script_objection` why the captured script, which is kept, is shown to no one: both are for operators, who count
    them.
    """

    disposition: Disposition
    replayed: bool
    similarity: float
    pattern: Pattern | None
    anonymization: AnonymizationReport
    script_objection: Objection | None = None


class CaptureTransaction(Protocol):
    """One transaction. Everything in it happens, or nothing does."""

    async def recorded(self, account_key: str, request_id: UUID) -> Recorded | None:
        """The ledger entry of an earlier attempt."""

    async def asked(self, account_key: str, enhancement_id: UUID, pattern_type: str) -> bool:
        """Whether the account was given this enhancement, for an insight of this type."""

    async def lock_scope(self, scope: Scope) -> None:
        """Exclude every other transaction that changes the scope's patterns, until this one ends."""

    async def nearest(self, scope: Scope, vectors: Vectors, limit: int) -> Sequence[Neighbour]:
        """The exact nearest patterns of the scope, nearest first."""

    async def create(self, pattern_id: UUID, observation: Observation, vectors: Vectors) -> None:
        """Add a pattern without evidence, worded as the observation."""

    async def note_words(
        self,
        account_key: str,
        words: Sequence[UnknownWord],
        context: str | None,
        now: datetime,
    ) -> None:
        """Note that the account used these words, which nobody else may know.

        `context` is what stood around the one word, masked; see domain/accounts/words.py.
        """

    async def record(self, observation: Observation, joined: Vectors | None = None) -> None:
        """Write the ledger, and count the observation into its pattern, script and situation.

        `joined` are its vectors when it merged: the pattern turns towards them.
        """

    async def record_sighting(
        self, observation: Observation, vector: Vector, seen_time: datetime
    ) -> None:
        """Show the observation to the emerging-pattern detector, as seen at this time."""

    async def pattern(self, key: PatternKey, account_key: str) -> Pattern:
        """The pattern as it is now, without the account's own evidence."""


class CaptureStore(Protocol):
    """Where captures go."""

    def capture(self, scope: Scope) -> AbstractAsyncContextManager[CaptureTransaction]:
        """Begin a transaction in a scope; it commits at the end of the block unless that raises."""


class CapturePattern:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        anonymizer: Anonymizes,
        embedder: Embeds,
        store: CaptureStore,
        rule: PublicationRule,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._accounts = accounts
        self._anonymizer = anonymizer
        self._embedder = embedder
        self._store = store
        self._rule = rule
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, capture: Capture) -> Captured:
        """Capture, or return what an earlier attempt of the same request did.

        Raises RequestIdReused, AccountCategoryUnknown, AccountCategoryConflict, InvalidInput,
        EnhancementNotFound, OutcomeAlreadyReported, EmbedderUnavailable, StorageUnavailable. After an error nothing of
        the request is stored, but that an account it named for the first time stays registered.
        """
        now = self._clock()
        occurred = capture.occurred_time or now
        if occurred > now + CLOCK_SKEW:
            raise InvalidInput("occurred_time", "must not be in the future")
        anonymized = self._anonymizer.anonymize(capture.insight, capture.identifiers)
        account = await self._accounts.resolve(
            capture.account_id, anonymized.insight.business_category, now
        )
        insight = anonymized.insight.in_category(account.business_category)
        scope = Scope(insight.type, insight.business_category, self._embedder.model)
        vectors = await self._vectors(insight)

        async with self._store.capture(scope) as transaction:
            await transaction.lock_scope(scope)
            earlier = await transaction.recorded(account.key, capture.request_id)
            if earlier is not None:
                return await self._replay(transaction, earlier, capture, account.key)
            if capture.instead_of and not await transaction.asked(
                account.key, capture.instead_of, insight.type
            ):
                raise EnhancementNotFound

            target: Neighbour | None = None
            pattern_id: UUID | None = None
            if vectors is not None:
                neighbours = await transaction.nearest(scope, vectors, NEIGHBOURS)
                target = merge_target(insight.action, neighbours, self._embedder.thresholds)
                pattern_id = target.pattern_id if target else self._new_id()
            # The account's own evidence is left out: this capture does not change what it may be shown.
            known = (
                await transaction.pattern(
                    PatternKey(scope.scope_id, target.pattern_id), account.key
                )
                if target
                else None
            )
            shown = self._published(known)
            observation = Observation(
                observation_id=self._new_id(),
                account_key=account.key,
                request_id=capture.request_id,
                fingerprint=capture.fingerprints[0],
                scope=scope,
                insight=insight,
                report=anonymized.report,
                outcome=capture.outcome,
                disposition=_disposition(withheld=vectors is None, target=target),
                pattern_id=pattern_id,
                similarity=round(target.similarity, DECIMALS) if target and shown else 0.0,
                occurred_time=occurred,
                recorded_time=now,
                instead_of=capture.instead_of,
            )
            if vectors is not None and pattern_id is not None and target is None:
                await transaction.create(pattern_id, observation, vectors)
            await transaction.note_words(
                account.key, anonymized.unknown_words, context_of(anonymized), now
            )
            await transaction.record(observation, vectors if target else None)
            if vectors is not None:
                # Last, because ForgetAccount takes the account before its sightings as well.
                seen = min(capture.insight.observed_time or occurred, now)
                await transaction.record_sighting(observation, vectors.sentence, seen)
        return Captured(
            disposition=observation.disposition,
            replayed=False,
            similarity=observation.similarity,
            pattern=shown,
            anonymization=anonymized.report,
            script_objection=objection(insight.script),
        )

    async def _vectors(self, insight: AnonymizedInsight) -> Vectors | None:
        """None when the action could not be made anonymous: then there is nothing to compare."""
        if not insight.action:
            return None
        words = insight.words
        sentence, action = await self._embedder.embed([words.sentence, words.action])
        return Vectors(sentence, action)

    async def _replay(
        self,
        transaction: CaptureTransaction,
        earlier: Recorded,
        capture: Capture,
        account_key: str,
    ) -> Captured:
        if earlier.fingerprint not in capture.fingerprints:
            raise RequestIdReused
        pattern = (
            await transaction.pattern(earlier.pattern, account_key) if earlier.pattern else None
        )
        shown = self._published(pattern)
        return Captured(
            disposition=earlier.disposition,
            replayed=True,
            similarity=round(earlier.similarity, DECIMALS) if shown else 0.0,
            pattern=shown,
            anonymization=earlier.anonymization,
        )

    def _published(self, pattern: Pattern | None) -> Pattern | None:
        return pattern if pattern and not pattern.withheld(self._rule) else None


def _disposition(*, withheld: bool, target: Neighbour | None) -> Disposition:
    if withheld:
        return Disposition.WITHHELD
    return Disposition.MERGED if target else Disposition.CREATED
