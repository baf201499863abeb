"""What waits for the writer of a scope, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight, Outcome, UnknownWord
from keeper_grpc.domain.observation import Disposition, Standing, Vectors
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import Pattern


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
