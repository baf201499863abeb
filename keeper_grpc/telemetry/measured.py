"""Parts that are measured from outside: each does what it wraps does, and counts how that went."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from keeper_grpc.domain.advice.enhancement import Enhancement
from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.domain.insight import Anonymized, Identifiers, Insight
from keeper_grpc.embedding.embedder import Embedder, Vectors
from keeper_grpc.embedding.wrapper import EmbedderWrapper
from keeper_grpc.telemetry.instruments import Instruments
from keeper_grpc.usecases.advice.enhance import Question
from keeper_grpc.usecases.advice.report_reaction import ReactionReport
from keeper_grpc.usecases.patterns.capture import Capture, Captured
from keeper_grpc.usecases.ports import Anonymizes


class MeasuredCapture:
    """CapturePattern."""

    def __init__(
        self, inner: Callable[[Capture], Awaitable[Captured]], instruments: Instruments
    ) -> None:
        self._inner = inner
        self._instruments = instruments

    async def __call__(self, capture: Capture) -> Captured:
        """Capture."""
        answer = await self._inner(capture)
        self._instruments.captured("replayed" if answer.replayed else answer.disposition.value)
        if answer.script_objection is not None:
            self._instruments.script_stopped(answer.script_objection.value)
        return answer


class MeasuredEnhance:
    """EnhanceInsight."""

    def __init__(
        self, inner: Callable[[Question], Awaitable[Enhancement]], instruments: Instruments
    ) -> None:
        self._inner = inner
        self._instruments = instruments

    async def __call__(self, question: Question) -> Enhancement:
        """Enhance."""
        answer = await self._inner(question)
        reason = answer.no_match.name.lower() if answer.no_match is not None else "enhanced"
        self._instruments.enhanced("authored" if answer.authored else reason)
        if answer.advice is not None:
            self._instruments.explored(answer.advice.exploration_loss)
        return answer


class MeasuredReaction:
    """ReportReaction."""

    def __init__(
        self, inner: Callable[[ReactionReport], Awaitable[bool]], instruments: Instruments
    ) -> None:
        self._inner = inner
        self._instruments = instruments

    async def __call__(self, report: ReactionReport) -> bool:
        """Report a reaction."""
        replayed = await self._inner(report)
        self._instruments.reacted("replayed" if replayed else report.reaction.value)
        return replayed


class MeasuredAnonymizer:
    """The anonymizer."""

    def __init__(self, inner: Anonymizes, instruments: Instruments) -> None:
        self._inner = inner
        self._instruments = instruments

    def anonymize(self, insight: Insight, identifiers: Identifiers) -> Anonymized:
        """Anonymize."""
        start = time.perf_counter()
        answer = self._inner.anonymize(insight, identifiers)
        self._instruments.anonymized(time.perf_counter() - start)
        for drop in answer.report.dropped:
            self._instruments.dropped(drop.reason)
        return answer

    def anonymize_label(self, business_category: str) -> str:
        """Anonymize a label."""
        label = self._inner.anonymize_label(business_category)
        if label != business_category:
            self._instruments.dropped("NOT_PLAUSIBLE")
        return label


class MeasuredEmbedder(EmbedderWrapper):
    """A model itself: what caches and batches stand before it."""

    def __init__(self, inner: Embedder, instruments: Instruments) -> None:
        super().__init__(inner)
        self._instruments = instruments

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed."""
        start = time.perf_counter()
        result = "error"
        try:
            vectors = await self._inner.embed(texts)
            result = "ok"
        except EmbedderUnavailable:
            result = "unavailable"
            raise
        finally:
            self._instruments.embedded(self.model, result, time.perf_counter() - start, len(texts))
        return vectors
