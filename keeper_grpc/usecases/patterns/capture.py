"""CapturePattern: one (insight, outcome) of one account becomes evidence of one pattern.

Anonymize, embed, and hand it to the writer of its scope, who answers a retry, or finds the nearest pattern that says
the same, merges or creates, and writes the ledger (usecases/patterns/scope_group.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.words import context_of
from keeper_grpc.domain.errors import InvalidInput
from keeper_grpc.domain.insight import (
    AnonymizationReport,
    AnonymizedInsight,
    Identifiers,
    Insight,
    Outcome,
)
from keeper_grpc.domain.observation import Disposition, Vectors
from keeper_grpc.domain.patterns.pattern import Pattern, Scope
from keeper_grpc.domain.patterns.screen import Objection, objection
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.patterns.group_entries import CaptureEntry, Written
from keeper_grpc.usecases.ports import CLOCK_SKEW, Anonymizes, Clock, Embeds


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


class CaptureWriter(Protocol):
    """Where captures go; see usecases/patterns/scope_writer.py."""

    async def capture(self, scope: Scope, entry: CaptureEntry) -> Written:
        """The answer once the capture is committed, or was found to be a retry."""


class CapturePattern:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        anonymizer: Anonymizes,
        embedder: Embeds,
        writer: CaptureWriter,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._anonymizer = anonymizer
        self._embedder = embedder
        self._writer = writer
        self._clock = clock

    async def __call__(self, capture: Capture) -> Captured:
        """Capture, or return what an earlier attempt of the same request did.

        Raises RequestIdReused, AccountCategoryUnknown, AccountCategoryConflict, InvalidInput,
        EnhancementNotFound, OutcomeAlreadyReported, AccountBeingForgotten, EmbedderUnavailable, StorageUnavailable and
        TooBusy. After an error nothing of the request is stored, but that an account it named for the first time stays
        registered.
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
        written = await self._writer.capture(
            Scope(insight.type, insight.business_category, self._embedder.model),
            CaptureEntry(
                account_key=account.key,
                request_id=capture.request_id,
                fingerprints=capture.fingerprints,
                insight=insight,
                report=anonymized.report,
                unknown_words=anonymized.unknown_words,
                context=context_of(anonymized),
                outcome=capture.outcome,
                vectors=await self._vectors(insight),
                thresholds=self._embedder.thresholds,
                occurred_time=occurred,
                seen_time=min(capture.insight.observed_time or occurred, now),
                recorded_time=now,
                instead_of=capture.instead_of,
            ),
        )
        return Captured(
            disposition=written.disposition,
            replayed=written.replayed,
            similarity=written.similarity,
            pattern=written.pattern,
            anonymization=written.anonymization,
            script_objection=None if written.replayed else objection(insight.script),
        )

    async def _vectors(self, insight: AnonymizedInsight) -> Vectors | None:
        """None when the action could not be made anonymous: then there is nothing to compare."""
        if not insight.action:
            return None
        words = insight.words
        sentence, action = await self._embedder.embed([words.sentence, words.action])
        return Vectors(sentence, action)
