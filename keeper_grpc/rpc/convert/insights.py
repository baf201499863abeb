"""Between protos and the domain: the only file that knows both."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from keeper_grpc.domain.advice.enhancement import Enhancement
from keeper_grpc.domain.advice.ranking import Miss, NoMatch, Scored
from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedFilter
from keeper_grpc.domain.errors import InvalidInput
from keeper_grpc.domain.evidence.evidence import Evidence
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import (
    AnonymizationReport,
    AnonymizedInsight,
    Identifiers,
    Insight,
    JsonValue,
    Outcome,
)
from keeper_grpc.domain.observation import Disposition
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.listing import Cursor, PatternFilter
from keeper_grpc.domain.patterns.pattern import Pattern
from keeper_grpc.gen.keeper.network.v1 import (
    emerging_pb2,
    insight_pb2,
    network_service_pb2,
    pattern_pb2,
)
from keeper_grpc.usecases.advice.enhance import Question
from keeper_grpc.usecases.emerging.messages import Changed, Message, SnapshotComplete
from keeper_grpc.usecases.patterns.capture import Capture, Captured
from keeper_grpc.usecases.patterns.read import History, Page
from keeper_grpc.usecases.stream_lifetime import Heartbeat

MAX_CONDITIONS_BYTES = 16 * 1024
"""Bounds what the anonymizer has to walk. The rules in the proto bound the number of keys."""

MAX_CONDITIONS_DEPTH = 8
"""What a request may hold; protobuf itself would allow a hundred levels. Facts are flat or nearly so,
and what privacy/layers/structured.py shares of them nests less."""

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No outcome is older than this: before it, a timestamp is a unit mistake (0, or milliseconds)."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


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
        occurred_time=_time(request.occurred_time, "occurred_time")
        if request.HasField("occurred_time")
        else None,
        fingerprints=fingerprints,
    )


def captured(answer: Captured, rule: PublicationRule) -> network_service_pb2.CapturePatternResponse:
    """Write a CapturePatternResponse."""
    return network_service_pb2.CapturePatternResponse(
        pattern_id=str(answer.pattern_id) if answer.pattern_id else "",
        disposition=_DISPOSITIONS[answer.disposition],
        replayed=answer.replayed,
        similarity=answer.similarity,
        pattern=pattern(answer.pattern, rule) if answer.pattern else None,
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


def enhanced(answer: Enhancement, insight_id: str) -> network_service_pb2.EnhanceInsightResponse:
    """Write an EnhanceInsightResponse. The caller's insight_id goes back to it, and nowhere else."""
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
        insight.evidence.CopyFrom(
            _evidence(
                known.evidence, best.lower_bound, best.candidate.similarity, advice.mean_revenue
            )
        )
        insight.explanation = advice.explanation
        insight.factors.CopyFrom(_factors(best, answer.created_at))
    return network_service_pb2.EnhanceInsightResponse(
        enhancement_id=str(answer.enhancement_id),
        enhanced_insight=insight,
        no_match_reason=_NO_MATCH[answer.no_match],
        closest_miss=_closest(answer.closest)
        if answer.closest and answer.closest.published
        else None,
        anonymization=_report(answer.anonymization),
    )


def feed_filter(request: network_service_pb2.StreamEmergingPatternsRequest) -> FeedFilter:
    """Read the filters of a StreamEmergingPatternsRequest."""
    return FeedFilter(
        pattern_type=request.pattern_type,
        business_category=request.business_category,
        min_accounts=request.min_accounts,
        min_similarity=request.min_similarity,
        min_total_potential_value=request.min_total_potential_value,
        window=request.window.ToTimedelta() if request.HasField("window") else None,
    )


def feed_message(
    message: Message, resume_token: str
) -> network_service_pb2.StreamEmergingPatternsResponse:
    """Write one message of the stream."""
    response = network_service_pb2.StreamEmergingPatternsResponse(resume_token=resume_token)
    match message:
        case Changed(change, cluster):
            response.emerging_pattern.CopyFrom(_emerging(change, cluster))
        case SnapshotComplete(count, expired):
            response.snapshot_complete.count = count
            response.snapshot_complete.resume_token_expired = expired
            response.snapshot_complete.SetInParent()
        case Heartbeat(server_time):
            response.heartbeat.server_time.FromDatetime(server_time)
    return response


def pattern_filter(request: network_service_pb2.ListPatternsRequest) -> PatternFilter:
    """Read the filters of a ListPatternsRequest."""
    return PatternFilter(
        pattern_type=request.pattern_type,
        business_category=request.business_category,
        min_success_rate=request.min_success_rate,
    )


def cursor(request: network_service_pb2.ListPatternsRequest) -> Cursor | None:
    """Read a page token. Raises InvalidInput when it is none of ours or of another listing."""
    if not request.page_token:
        return None
    try:
        packed = base64.urlsafe_b64decode(request.page_token.encode())
        score, pattern_id, filters = _CURSOR.unpack(packed)
    except (binascii.Error, struct.error, ValueError) as error:
        raise InvalidInput("page_token", "not a token of this listing") from error
    if filters != _filters_digest(pattern_filter(request)) or not math.isfinite(score):
        raise InvalidInput("page_token", "use a token with the filters that it came with")
    return Cursor(score, UUID(bytes=pattern_id))


def listing(
    page: Page, where: PatternFilter, rule: PublicationRule
) -> network_service_pb2.ListPatternsResponse:
    """Write a ListPatternsResponse."""
    token = b""
    if page.next:
        token = base64.urlsafe_b64encode(
            _CURSOR.pack(page.next.lower_bound, page.next.pattern_id.bytes, _filters_digest(where))
        )
    return network_service_pb2.ListPatternsResponse(
        patterns=[pattern(item, rule) for item in page.patterns],
        next_page_token=token.decode(),
    )


def pattern(known: Pattern, rule: PublicationRule) -> pattern_pb2.Pattern:
    """Write a Pattern."""
    message = pattern_pb2.Pattern(
        pattern_id=str(known.pattern_id),
        pattern_type=known.scope.pattern_type,
        business_category=known.scope.business_category,
        conditions=_struct(known.conditions),
        action=known.action,
        proven_script=known.proven_script(rule),
        evidence=_evidence(
            known.evidence, known.lower_bound, 0.0, rule.mean_revenue(known.evidence)
        ),
        embedding_model=known.scope.embedding_model,
        author_claim=None if known.claim is None else _author_claim(known.claim),
    )
    if known.first_discovered:
        message.first_discovered_time.FromDatetime(known.first_discovered)
    if known.last_validated:
        message.last_validated_time.FromDatetime(known.last_validated)
    return message


def _author_claim(claim: Claim) -> pattern_pb2.AuthorClaim:
    message = pattern_pb2.AuthorClaim(
        follow_up_action=claim.follow_up_action,
        success_rate=claim.success_rate,
        learned_from=claim.learned_from,
        monthly_revenue_dollars=claim.monthly_revenue_dollars,
        adoption_rate=claim.adoption_rate,
        rating_improvement=claim.rating_improvement,
        improvement_factor=claim.improvement_factor,
    )
    if claim.improvement_days is not None:
        message.improvement_period.FromTimedelta(timedelta(days=claim.improvement_days))
    return message


def pattern_history(
    history: History, rule: PublicationRule
) -> network_service_pb2.GetPatternResponse:
    """Write a GetPatternResponse with all that is known of a pattern."""
    response = network_service_pb2.GetPatternResponse
    return response(
        pattern=pattern(history.pattern, rule),
        scripts=[
            response.Script(
                template=script.template,
                evidence=_evidence(script.evidence, script.evidence.lower_bound(), 0.0, None),
            )
            for script in history.scripts
        ],
        history=[
            response.Period(
                start_time=_timestamp(period.start),
                end_time=_timestamp(period.end),
                occurrence_count=period.trials,
                success_count=period.successes,
            )
            for period in history.periods
        ],
    )


def json_object(message: Struct, field: str) -> Mapping[str, JsonValue]:
    """Read what an account knows. Raises InvalidInput for what is too large, deep or infinite."""
    if message.ByteSize() > MAX_CONDITIONS_BYTES:
        raise InvalidInput(field, f"at most {MAX_CONDITIONS_BYTES} bytes")
    try:
        values: dict[str, JsonValue] = MessageToDict(message) if message.fields else {}
    except ValueError as error:  # JSON has no NaN and no infinity
        raise InvalidInput(field, "numbers must be finite") from error
    for key, value in values.items():
        _check_value(key, field)
        _check_value(value, field, MAX_CONDITIONS_DEPTH)
    return values


def optional_time(message: Timestamp, field: str, *, given: bool) -> datetime | None:
    """Read a timestamp that may be left out."""
    return _time(message, field) if given else None


_CURSOR = struct.Struct(">d16s8s")

_DISPOSITIONS = {
    Disposition.CREATED: network_service_pb2.CapturePatternResponse.DISPOSITION_CREATED,
    Disposition.MERGED: network_service_pb2.CapturePatternResponse.DISPOSITION_MERGED,
    Disposition.WITHHELD: network_service_pb2.CapturePatternResponse.DISPOSITION_WITHHELD,
}

_Enhanced = network_service_pb2.EnhanceInsightResponse
_NO_MATCH = {
    None: _Enhanced.NO_MATCH_REASON_UNSPECIFIED,
    NoMatch.NO_PATTERNS: _Enhanced.NO_MATCH_REASON_NO_PATTERNS,
    NoMatch.NOTHING_SIMILAR: _Enhanced.NO_MATCH_REASON_NOTHING_SIMILAR,
    NoMatch.TOO_FEW_ACCOUNTS: _Enhanced.NO_MATCH_REASON_TOO_FEW_ACCOUNTS,
    NoMatch.TOO_FEW_OCCURRENCES: _Enhanced.NO_MATCH_REASON_TOO_FEW_OCCURRENCES,
    NoMatch.SUCCESS_RATE_TOO_LOW: _Enhanced.NO_MATCH_REASON_SUCCESS_RATE_TOO_LOW,
    NoMatch.ONE_ACCOUNT_DOMINATES: _Enhanced.NO_MATCH_REASON_ONE_ACCOUNT_DOMINATES,
    NoMatch.HOLDOUT: _Enhanced.NO_MATCH_REASON_HOLDOUT,
}

_CHANGES = {
    Change.NEW: emerging_pb2.EmergingPattern.CHANGE_NEW,
    Change.UPDATED: emerging_pb2.EmergingPattern.CHANGE_UPDATED,
    Change.PROMOTED: emerging_pb2.EmergingPattern.CHANGE_PROMOTED,
    Change.FADED: emerging_pb2.EmergingPattern.CHANGE_FADED,
}


def insight(message: insight_pb2.Insight) -> Insight:
    """Read an Insight. Raises InvalidInput for what its rules cannot express."""
    return Insight(
        insight_id=message.insight_id,
        type=message.type,
        business_category=message.business_category,
        conditions=json_object(message.conditions, "insight.conditions"),
        action=_text(message.action, "insight.action"),
        script=_text(message.script, "insight.script"),
        confidence=message.confidence,
        dollar_value=message.dollar_value,
        potential_value=message.potential_value,
        observed_time=_time(message.observed_time, "insight.observed_time")
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


def _check_value(value: JsonValue, field: str, depth: int = 1) -> None:
    """Refuse what a database cannot hold: control characters, deep nests."""
    if depth < 1:
        raise InvalidInput(field, f"nested deeper than {MAX_CONDITIONS_DEPTH} levels")
    match value:
        case str():
            _text(value, field)
        case list():
            for item in value:
                _check_value(item, field, depth - 1)
        case dict():
            for key, item in value.items():
                _text(key, field)
                _check_value(item, field, depth - 1)


def _text(value: str, field: str) -> str:
    if _CONTROL.search(value):
        raise InvalidInput(field, "must not contain control characters")
    return value


def _time(message: Timestamp, field: str) -> datetime:
    try:
        time = message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(field, "not a valid timestamp") from error
    if time < _EARLIEST:
        raise InvalidInput(field, "before the year 2000: seconds since 1970 are expected")
    return time


def _timestamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


def _struct(values: Mapping[str, JsonValue]) -> Struct:
    message = Struct()
    message.update(dict(values))
    return message


def _anonymized(insight: AnonymizedInsight, insight_id: str) -> insight_pb2.Insight:
    return insight_pb2.Insight(
        insight_id=insight_id,
        type=insight.type,
        business_category=insight.business_category,
        conditions=_struct(insight.conditions),
        action=insight.action,
        script=insight.script,
        confidence=insight.confidence,
        dollar_value=insight.dollar_value,
        potential_value=insight.potential_value,
    )


def _evidence(
    evidence: Evidence, lower_bound: float, similarity: float, mean_revenue: float | None
) -> pattern_pb2.Evidence:
    return pattern_pb2.Evidence(
        occurrence_count=evidence.trials,
        account_count=evidence.accounts,
        success_count=evidence.successes,
        success_rate=evidence.success_rate,
        lower_bound=lower_bound,
        similarity=similarity,
        mean_revenue_impact=mean_revenue,
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
        factors.age.FromTimedelta(max(now - known.last_validated, timedelta(0)))
    return factors


def _closest(miss: Miss) -> network_service_pb2.EnhanceInsightResponse.ClosestMiss:
    evidence = miss.candidate.pattern.evidence
    return network_service_pb2.EnhanceInsightResponse.ClosestMiss(
        similarity=miss.candidate.similarity,
        success_rate=evidence.success_rate,
        occurrence_count=evidence.trials,
    )


def _report(report: AnonymizationReport) -> insight_pb2.AnonymizationReport:
    return insight_pb2.AnonymizationReport(
        masked=dict(report.masked),
        dropped=[
            insight_pb2.DroppedField(field=drop.field, reason=drop.reason)
            for drop in report.dropped
        ],
    )


def _emerging(change: Change, cluster: EmergingPattern) -> emerging_pb2.EmergingPattern:
    promoted = cluster.promoted_pattern_id
    return emerging_pb2.EmergingPattern(
        emerging_pattern_id=str(cluster.emerging_pattern_id),
        change=_CHANGES[change],
        pattern_type=cluster.pattern_type,
        business_categories=cluster.business_categories,
        common_pattern=cluster.common_pattern,
        account_count=cluster.account_count,
        sighting_count=cluster.sighting_count,
        mean_similarity=cluster.mean_similarity,
        mean_confidence=cluster.mean_confidence,
        total_potential_value=cluster.total_potential_value,
        first_seen_time=_timestamp(cluster.first_seen_time),
        last_seen_time=_timestamp(cluster.last_seen_time),
        promoted_pattern_id=str(promoted) if promoted else "",
        growth_rate=cluster.growth_rate,
        novelty=cluster.novelty,
        label=cluster.label,
    )


def _filters_digest(where: PatternFilter) -> bytes:
    """Eight bytes that tell listings with different filters apart."""
    name = f"{where.pattern_type}\0{where.business_category}\0{where.min_success_rate!r}"
    return hashlib.blake2b(name.encode(), digest_size=8).digest()
