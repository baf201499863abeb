"""GetPattern and ListPatterns between protos and the domain."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import struct
from datetime import timedelta
from uuid import UUID

from keeper_grpc.domain.errors import InvalidInput
from keeper_grpc.domain.evidence.evidence import Evidence
from keeper_grpc.domain.evidence.guardrails import Harm
from keeper_grpc.domain.evidence.priors import Source
from keeper_grpc.domain.evidence.publication import PublicationRule, shown_time
from keeper_grpc.domain.patterns.by_fact import FactEvidence
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.listing import Cursor, PatternFilter
from keeper_grpc.domain.patterns.pattern import Pattern
from keeper_grpc.gen.keeper.network.v1 import (
    network_service_pb2,
    pattern_pb2,
)
from keeper_grpc.rpc.convert import adoption, fields, learned_triggers
from keeper_grpc.usecases.patterns.read import History, Page, Shown

_CURSOR = struct.Struct(">d16s8s")


def pattern_filter(request: network_service_pb2.ListPatternsRequest) -> PatternFilter:
    """Read the filters of a ListPatternsRequest."""
    return PatternFilter(
        pattern_type=request.pattern_type,
        business_category=request.business_category,
        min_success_rate=request.min_success_rate,
        search=" ".join(fields.read_text(request.search, "search").split()),
    )


def cursor(request: network_service_pb2.ListPatternsRequest) -> Cursor | None:
    """Read a page token. Raises InvalidInput for one that this service did not write, or of another listing."""
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
        conditions=fields.write_struct(known.conditions),
        action=known.action,
        proven_script=known.proven_script(rule),
        evidence=evidence_message(
            known.evidence, known.lower_bound, 0.0, rule.revenue(known.evidence)
        ),
        embedding_model=known.scope.embedding_model,
        crossed_guardrails=[_GUARDRAILS[harm] for harm in known.crossed],
        author_claim=None if known.claim is None else author_claim(known.claim),
        prior=pattern_pb2.Prior(
            successes=known.prior.successes,
            failures=known.prior.failures,
            source=_SOURCES[known.prior_source],
            pattern_count=known.prior_patterns,
        ),
        cautious_prior=pattern_pb2.Prior(
            successes=known.cautious.successes, failures=known.cautious.failures
        ),
        state=pattern_pb2.Pattern.STATE_FADING
        if known.fading
        else pattern_pb2.Pattern.STATE_ACTIVE,
    )
    if known.first_discovered:
        message.first_discovered_time.FromDatetime(shown_time(known.first_discovered))
    if known.last_validated:
        message.last_validated_time.FromDatetime(shown_time(known.last_validated))
    return message


def shown(found: Shown, rule: PublicationRule) -> network_service_pb2.GetPatternResponse:
    """Write a GetPatternResponse."""
    return network_service_pb2.GetPatternResponse(
        pattern=pattern(found.pattern, rule), adoption=adoption.message(found.adoption)
    )


def pattern_history(
    history: History, rule: PublicationRule
) -> network_service_pb2.GetPatternResponse:
    """Write a GetPatternResponse with the pattern's scripts and history."""
    response = network_service_pb2.GetPatternResponse
    return response(
        pattern=pattern(history.pattern, rule),
        scripts=[
            response.Script(
                template=script.template,
                evidence=evidence_message(
                    script.evidence, history.pattern.script_bound(script), 0.0, None
                ),
                adoption=adoption.message(history.script_adoption.get(script.template)),
            )
            for script in history.scripts
        ],
        history=[
            response.Period(
                start_time=fields.write_time(period.start),
                end_time=fields.write_time(period.end),
                occurrence_count=period.trials,
                success_count=period.successes,
            )
            for period in history.periods
        ],
        adoption=adoption.message(history.adoption),
        facts=[_fact(fact, history.pattern) for fact in history.facts],
        authored_trigger=history.authored_trigger,
        learned_triggers=map(learned_triggers.message, history.learned_triggers),
    )


def _fact(fact: FactEvidence, known: Pattern) -> network_service_pb2.GetPatternResponse.Fact:
    message = network_service_pb2.GetPatternResponse.Fact(
        key=fact.key,
        evidence=evidence_message(
            fact.evidence, fact.evidence.lower_bound(known.cautious), 0.0, None
        ),
    )
    message.value.CopyFrom(fields.write_struct({"value": fact.value}).fields["value"])
    return message


def evidence_message(
    evidence: Evidence, lower_bound: float, similarity: float, typical_revenue: float | None
) -> pattern_pb2.Evidence:
    """Write Evidence. `similarity` is 0 where there was no question."""
    return pattern_pb2.Evidence(
        occurrence_count=evidence.trials,
        account_count=evidence.accounts,
        success_count=evidence.successes,
        success_rate=evidence.success_rate,
        lower_bound=lower_bound,
        similarity=similarity,
        mean_revenue_impact=typical_revenue,
    )


def author_claim(claim: Claim) -> pattern_pb2.AuthorClaim:
    """Write an AuthorClaim."""
    message = pattern_pb2.AuthorClaim(
        follow_up_action=claim.follow_up_action,
        success_rate=claim.success_rate,
        learned_from=claim.learned_from,
        monthly_revenue_dollars=claim.monthly_revenue_dollars,
        adoption_rate=claim.adoption_rate,
        rating_improvement=claim.rating_improvement,
        improvement_factor=claim.improvement_factor,
        reason=claim.reason,
        guardrails=claim.guardrails,
    )
    if claim.improvement_days is not None:
        message.improvement_period.FromTimedelta(timedelta(days=claim.improvement_days))
    return message


def _filters_digest(where: PatternFilter) -> bytes:
    """Eight bytes that differ for listings with different filters."""
    name = f"{where.pattern_type}\0{where.business_category}\0{where.min_success_rate!r}\0{where.search}"
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


_GUARDRAILS = {harm: pattern_pb2.Pattern.Guardrail.Value(f"GUARDRAIL_{harm.name}") for harm in Harm}

_SOURCES = {
    Source.CATEGORY: pattern_pb2.Prior.SOURCE_CATEGORY,
    Source.TYPE: pattern_pb2.Prior.SOURCE_TYPE,
    Source.NETWORK: pattern_pb2.Prior.SOURCE_NETWORK,
    Source.DEFAULT: pattern_pb2.Prior.SOURCE_DEFAULT,
    Source.AUTHOR: pattern_pb2.Prior.SOURCE_AUTHOR,
}
