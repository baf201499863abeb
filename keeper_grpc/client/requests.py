"""The requests of NetworkLearningService, from what callers have at hand."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import DismissalReason, Reaction
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers, Insight, Outcome


def capture(  # noqa: PLR0917 - in the order of the clients' methods
    account_id: str,
    insight: Insight,
    outcome: Outcome,
    identifiers: Identifiers | None,
    occurred_time: datetime | None,
    request_id: str | None,
    enhancement_id: str,
) -> network.CapturePatternRequest:
    """With a request_id of its own, unless the caller has one."""
    return network.CapturePatternRequest(
        request_id=request_id or str(uuid.uuid4()),
        account_id=account_id,
        insight=insight,
        outcome=outcome,
        identifiers=identifiers,
        occurred_time=timestamp(occurred_time),
        enhancement_id=enhancement_id,
    )


def questions(
    account_id: str,
    insights: Iterable[Insight],
    identifiers: Identifiers | None,
    min_success_rate: float | None,
    min_occurrences: int | None,
) -> list[network.EnhanceInsightRequest]:
    """One for each insight."""
    return [
        network.EnhanceInsightRequest(
            account_id=account_id,
            insight=insight,
            identifiers=identifiers,
            min_success_rate=min_success_rate,
            min_occurrences=min_occurrences,
        )
        for insight in insights
    ]


def outcome_report(
    account_id: str,
    outcome: Outcome,
    occurred_time: datetime | None,
    request_id: str | None,
    *,
    enhancement_id: str | None = None,
    capture_request_id: str | None = None,
) -> network.ReportOutcomeRequest:
    """Of an enhancement, or of a capture whose outcome was an interim one."""
    request = network.ReportOutcomeRequest(
        request_id=request_id or str(uuid.uuid4()),
        account_id=account_id,
        outcome=outcome,
        occurred_time=timestamp(occurred_time),
    )
    if enhancement_id is not None:
        request.enhancement_id = enhancement_id
    if capture_request_id is not None:
        request.capture_request_id = capture_request_id
    return request


def reaction_report(
    account_id: str,
    enhancement_id: str,
    reaction: Reaction.ValueType,
    reason: DismissalReason.ValueType,
    request_id: str | None,
) -> network.ReportReactionRequest:
    """With a request_id of its own, unless the caller has one."""
    return network.ReportReactionRequest(
        request_id=request_id or str(uuid.uuid4()),
        account_id=account_id,
        enhancement_id=enhancement_id,
        reaction=reaction,
        reason=reason,
    )


def occasion(
    account_id: str, facts: Mapping[str, Any], business_category: str, max_moves: int
) -> network.SuggestMovesRequest:
    """`facts` is JSON-like, with the names that triggers use."""
    packed = Struct()
    packed.update(dict(facts))
    return network.SuggestMovesRequest(
        account_id=account_id,
        business_category=business_category,
        facts=packed,
        max_moves=max_moves,
    )


async def moves(
    account_id: str, business_category: str, facts: AsyncIterable[Mapping[str, Any]]
) -> AsyncIterator[network.StreamMovesRequest]:
    """One for each change of the facts, as it comes."""
    async for changed in facts:
        yield _change(account_id, business_category, changed)


def moves_of(
    account_id: str, business_category: str, facts: Iterable[Mapping[str, Any]]
) -> Iterator[network.StreamMovesRequest]:
    """The same of synchronous code. gRPC reads them in a thread of its own."""
    return (_change(account_id, business_category, changed) for changed in facts)


def _change(
    account_id: str, business_category: str, changed: Mapping[str, Any]
) -> network.StreamMovesRequest:
    request = network.StreamMovesRequest(account_id=account_id, business_category=business_category)
    request.facts.update(dict(changed))
    return request


def task(
    account_id: str, source: str | Insight, identifiers: Identifiers | None
) -> network.GenerateTaskRequest:
    """From an enhancement's id, or from an insight."""
    request = network.GenerateTaskRequest(account_id=account_id, identifiers=identifiers)
    if isinstance(source, str):
        request.enhancement_id = source
    else:
        request.insight.CopyFrom(source)
    return request


def emerging(  # noqa: PLR0917 - in the order of the clients' methods
    pattern_type: str,
    business_category: str,
    min_accounts: int,
    min_similarity: float,
    min_total_potential_value: float,
    window: timedelta | None,
    resume_token: str,
) -> network.StreamEmergingPatternsRequest:
    """The subscription of a watch."""
    return network.StreamEmergingPatternsRequest(
        pattern_type=pattern_type,
        business_category=business_category,
        min_accounts=min_accounts,
        min_similarity=min_similarity,
        min_total_potential_value=min_total_potential_value,
        window=duration(window),
        resume_token=resume_token,
    )


def timestamp(time: datetime | None) -> Timestamp | None:
    """None stays None."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def duration(span: timedelta | None) -> Duration | None:
    """None stays None."""
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message
