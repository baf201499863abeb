"""CapturePattern, EnhanceInsight and EnhanceInsights between protos and the domain."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.advice.authored import AuthoredAdvice
from keeper_grpc.domain.advice.enhancement import Enhancement
from keeper_grpc.domain.advice.ranking import Candidate, Miss, NoMatch, Scored
from keeper_grpc.domain.authored.matching import MatchedBy
from keeper_grpc.domain.evidence.expectation import Basis
from keeper_grpc.domain.evidence.publication import PublicationRule, shown_time
from keeper_grpc.domain.insight import (
    AnonymizationReport,
    AnonymizedInsight,
    Identifiers,
    Insight,
    Outcome,
)
from keeper_grpc.domain.observation import Disposition
from keeper_grpc.gen.keeper.network.v1 import (
    insight_pb2,
    network_service_pb2,
    pattern_pb2,
)
from keeper_grpc.rpc.convert import fields, patterns
from keeper_grpc.usecases.advice.enhance import Question
from keeper_grpc.usecases.advice.preview import Preview
from keeper_grpc.usecases.patterns.capture import Capture, Captured


def capture(
    request: network_service_pb2.CapturePatternRequest, fingerprints: tuple[bytes, ...]
) -> Capture:
    """Read a CapturePatternRequest. Raises InvalidInput for what its rules cannot express."""
    return Capture(
        request_id=UUID(request.request_id),
        account_id=request.account_id,
        insight=insight(request.insight),
        outcome=outcome(request.outcome),
        identifiers=identifiers(request.identifiers),
        occurred_time=fields.read_time(request.occurred_time, "occurred_time")
        if request.HasField("occurred_time")
        else None,
        fingerprints=fingerprints,
        instead_of=UUID(request.enhancement_id) if request.enhancement_id else None,
    )


def captured(answer: Captured, rule: PublicationRule) -> network_service_pb2.CapturePatternResponse:
    """Write a CapturePatternResponse."""
    return network_service_pb2.CapturePatternResponse(
        pattern_id=str(answer.pattern.pattern_id) if answer.pattern else "",
        disposition=_told(answer),
        replayed=answer.replayed,
        similarity=answer.similarity,
        pattern=patterns.pattern(answer.pattern, rule) if answer.pattern else None,
        anonymization=_report(answer.anonymization),
    )


def question(request: network_service_pb2.EnhanceInsightRequest) -> Question:
    """Read an EnhanceInsightRequest. Raises InvalidInput for what its rules cannot express."""
    return Question(
        account_id=request.account_id,
        insight=insight(request.insight),
        identifiers=identifiers(request.identifiers),
        min_success_rate=request.min_success_rate if request.HasField("min_success_rate") else None,
        min_occurrences=request.min_occurrences if request.HasField("min_occurrences") else None,
    )


def preview(
    request: network_service_pb2.PreviewInsightRequest,
) -> tuple[Insight, Identifiers, float | None, int | None]:
    """Read a PreviewInsightRequest. Raises InvalidInput for what its rules cannot express."""
    return (
        insight(request.insight),
        identifiers(request.identifiers),
        request.min_success_rate if request.HasField("min_success_rate") else None,
        request.min_occurrences if request.HasField("min_occurrences") else None,
    )


def enhanced(answer: Enhancement, insight_id: str) -> network_service_pb2.EnhanceInsightResponse:
    """Write an EnhanceInsightResponse. The caller's insight_id is returned to it, and stored nowhere."""
    insight = pattern_pb2.EnhancedInsight(
        insight=_anonymized(answer.insight, insight_id),
        base_confidence=answer.insight.confidence,
        confidence=answer.insight.confidence,
    )
    advice = answer.advice
    if advice is not None:
        best = advice.best
        known = best.candidate.pattern
        insight.network_enhanced = True
        insight.confidence = advice.confidence
        insight.suggested_approach = known.action
        insight.expected_success_rate = best.expected_success_rate
        insight.proven_script = advice.script.template
        insight.network_context = advice.network_context
        insight.pattern_id = str(known.pattern_id)
        counted = best.expectation.counted
        insight.evidence.CopyFrom(
            patterns.evidence_message(
                counted,
                # What other situations add may lift the bound above what was seen in this one.
                min(best.lower_bound, counted.success_rate),
                best.candidate.similarity,
                advice.typical_revenue,
            )
        )
        insight.basis = BASES[best.expectation.basis]
        insight.explanation = advice.explanation
        insight.factors.CopyFrom(_factors(best, answer.created_at))
    if answer.authored is not None:
        insight.suggested_approach = answer.authored.pattern.action
        insight.network_context = answer.authored.network_context
        insight.explanation = answer.authored.explanation
        insight.authored_advice.CopyFrom(_authored(answer.authored))
    return network_service_pb2.EnhanceInsightResponse(
        enhancement_id=str(answer.enhancement_id),
        enhanced_insight=insight,
        no_match_reason=_NO_MATCH[answer.no_match],
        closest_miss=_closest(answer.closest) if answer.closest else None,
        anonymization=_report(answer.anonymization),
    )


def previewed(found: Preview) -> network_service_pb2.PreviewInsightResponse:
    """Write a PreviewInsightResponse."""
    answered = enhanced(found.answer, "")
    return network_service_pb2.PreviewInsightResponse(
        enhanced_insight=answered.enhanced_insight,
        no_match_reason=answered.no_match_reason,
        anonymization=answered.anonymization,
        candidates=[
            *(_considered(each.candidate, None, each.score) for each in found.fit),
            *(_considered(candidate, failed) for candidate, failed in found.failed),
        ],
    )


def _considered(
    candidate: Candidate, failed: NoMatch | None, score: float = 0.0
) -> network_service_pb2.PreviewInsightResponse.Candidate:
    pattern = candidate.pattern
    return network_service_pb2.PreviewInsightResponse.Candidate(
        pattern_id=str(pattern.pattern_id),
        action=pattern.action,
        business_category=pattern.scope.business_category,
        similarity=candidate.similarity,
        expected_success_rate=candidate.expected_success_rate,
        lower_bound=candidate.expectation.lower_bound * candidate.transfer,
        transfer=candidate.transfer,
        score=score,
        failed=_NO_MATCH[failed],
    )


def _told(answer: Captured) -> network_service_pb2.CapturePatternResponse.Disposition.ValueType:
    """What the caller is told became of its capture: of what it may not be shown, only that it was recorded."""
    told = network_service_pb2.CapturePatternResponse
    if answer.disposition is Disposition.WITHHELD:
        return told.DISPOSITION_WITHHELD
    if answer.pattern is None:
        return told.DISPOSITION_RECORDED
    if answer.disposition is Disposition.CREATED:
        return told.DISPOSITION_CREATED
    return told.DISPOSITION_MERGED


def _authored(advice: AuthoredAdvice) -> pattern_pb2.AuthoredAdvice:
    message = pattern_pb2.AuthoredAdvice(
        pattern_id=str(advice.pattern.pattern_id),
        action=advice.pattern.action,
        script=advice.script,
        matched_by=_MATCHED[advice.matched.by],
        trigger=advice.trigger,
    )
    if advice.pattern.claim is not None:
        message.author_claim.CopyFrom(patterns.author_claim(advice.pattern.claim))
    return message


_MATCHED = {
    MatchedBy.TRIGGER: pattern_pb2.AuthoredAdvice.MATCHED_BY_TRIGGER,
    MatchedBy.CONDITIONS: pattern_pb2.AuthoredAdvice.MATCHED_BY_CONDITIONS,
    MatchedBy.WORDS: pattern_pb2.AuthoredAdvice.MATCHED_BY_WORDS,
}

BASES = {
    Basis.SITUATION: pattern_pb2.EXPECTATION_BASIS_SITUATION,
    Basis.ADJUSTED: pattern_pb2.EXPECTATION_BASIS_ADJUSTED,
    Basis.PATTERN: pattern_pb2.EXPECTATION_BASIS_PATTERN,
}
"""What an expected rate was made of."""

_Enhanced = network_service_pb2.EnhanceInsightResponse

_NO_MATCH = {
    None: _Enhanced.NO_MATCH_REASON_UNSPECIFIED,
    NoMatch.NO_PATTERNS: _Enhanced.NO_MATCH_REASON_NO_PATTERNS,
    NoMatch.NOTHING_SIMILAR: _Enhanced.NO_MATCH_REASON_NOTHING_SIMILAR,
    NoMatch.TOO_FEW_OCCURRENCES: _Enhanced.NO_MATCH_REASON_TOO_FEW_OCCURRENCES,
    NoMatch.SUCCESS_RATE_TOO_LOW: _Enhanced.NO_MATCH_REASON_SUCCESS_RATE_TOO_LOW,
    NoMatch.PATTERN_FADING: _Enhanced.NO_MATCH_REASON_PATTERN_FADING,
    NoMatch.HARMFUL: _Enhanced.NO_MATCH_REASON_HARMFUL,
    NoMatch.HOLDOUT: _Enhanced.NO_MATCH_REASON_HOLDOUT,
    NoMatch.EMBEDDER_UNAVAILABLE: _Enhanced.NO_MATCH_REASON_EMBEDDER_UNAVAILABLE,
}


def insight(message: insight_pb2.Insight) -> Insight:
    """Read an Insight. Raises InvalidInput for what its rules cannot express."""
    return Insight(
        insight_id=message.insight_id,
        type=message.type,
        business_category=message.business_category,
        conditions=fields.json_object(message.conditions, "insight.conditions"),
        action=fields.read_text(message.action, "insight.action"),
        script=fields.read_text(message.script, "insight.script"),
        confidence=message.confidence,
        dollar_value=message.dollar_value,
        potential_value=message.potential_value,
        observed_time=fields.read_time(message.observed_time, "insight.observed_time")
        if message.HasField("observed_time")
        else None,
    )


def outcome(message: insight_pb2.Outcome) -> Outcome:
    """Read an Outcome."""
    return Outcome(
        success=message.success,
        revenue_impact=message.revenue_impact if message.HasField("revenue_impact") else None,
        customer_retained=message.customer_retained
        if message.HasField("customer_retained")
        else None,
        response_rate=message.response_rate if message.HasField("response_rate") else None,
        cost=message.cost if message.HasField("cost") else None,
        complained=message.complained if message.HasField("complained") else None,
        unsubscribed=message.unsubscribed if message.HasField("unsubscribed") else None,
        final=message.final if message.HasField("final") else True,
    )


def identifiers(message: insight_pb2.Identifiers) -> Identifiers:
    """Read Identifiers."""
    return Identifiers(
        customer_names=tuple(message.customer_names),
        customer_emails=tuple(message.customer_emails),
        customer_phones=tuple(message.customer_phones),
        business_names=tuple(message.business_names),
        employee_names=tuple(message.employee_names),
        addresses=tuple(message.addresses),
    )


def _anonymized(insight: AnonymizedInsight, insight_id: str) -> insight_pb2.Insight:
    return insight_pb2.Insight(
        insight_id=insight_id,
        type=insight.type,
        business_category=insight.business_category,
        conditions=fields.write_struct(insight.conditions),
        action=insight.action,
        script=insight.script,
        confidence=insight.confidence,
        dollar_value=insight.dollar_value,
        potential_value=insight.potential_value,
    )


def _factors(best: Scored, now: datetime) -> pattern_pb2.RankingFactors:
    known = best.candidate.pattern
    factors = pattern_pb2.RankingFactors(
        similarity=best.candidate.similarity,
        lower_bound=best.lower_bound,
        transfer=best.candidate.transfer,
        caution=best.caution,
        score=best.score,
        business_category=known.scope.business_category,
    )
    if known.last_validated:
        # In whole days: the moment would be one account's.
        days = (shown_time(now) - shown_time(known.last_validated)).days
        factors.age.FromTimedelta(timedelta(days=max(days, 0)))
    return factors


def _closest(miss: Miss) -> network_service_pb2.EnhanceInsightResponse.ClosestMiss:
    expectation = miss.candidate.expectation
    return network_service_pb2.EnhanceInsightResponse.ClosestMiss(
        similarity=miss.candidate.similarity,
        success_rate=expectation.counted.success_rate,
        occurrence_count=expectation.counted.trials,
        expected_success_rate=miss.candidate.expected_success_rate,
        basis=BASES[expectation.basis],
    )


def _report(report: AnonymizationReport) -> insight_pb2.AnonymizationReport:
    return insight_pb2.AnonymizationReport(
        masked=dict(report.masked),
        dropped=[
            insight_pb2.DroppedField(field=drop.field, reason=drop.reason)
            for drop in report.dropped
        ],
    )
