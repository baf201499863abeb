"""What the tests of the feedback loop have in common: teach, ask, report."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from keeper_grpc.gen.keeper.network.v1 import adoption_pb2, insight_pb2, network_service_pb2
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service

TOWEL = "Offer a warm towel"


async def teach(
    service: Service, topic: str, outcomes: Sequence[str], action: str = TOWEL, **fields: Any
) -> str:
    """Capture outcomes of one new account for each item, "++-" for two successes and a failure.

    Returns the pattern's id.
    """
    for seen in outcomes:
        account = new_account()
        for outcome in seen:
            stored = await service.capture(
                capture(topic, action, account=account, success=outcome == "+", **fields)
            )
    return stored.pattern_id


async def ask(
    service: Service, topic: str, account: str, action: str = TOWEL, **fields: Any
) -> network_service_pb2.EnhanceInsightResponse:
    """Have an account's insight enhanced."""
    return await service.network.EnhanceInsight(question(topic, action, account=account, **fields))


def report(
    account: str,
    enhancement_id: str,
    *,
    success: bool = True,
    request_id: str | None = None,
    occurred: datetime | None = None,
    **outcome: Any,
) -> network_service_pb2.ReportOutcomeRequest:
    """A valid report, with a new request_id unless given."""
    request = network_service_pb2.ReportOutcomeRequest(
        request_id=request_id or str(uuid.uuid4()),
        account_id=account,
        enhancement_id=enhancement_id,
        outcome=insight_pb2.Outcome(success=success, **outcome),
    )
    if occurred:
        request.occurred_time.FromDatetime(occurred)
    return request


def react(
    account: str, enhancement_id: str, reaction: str, *, reason: str = "UNSPECIFIED"
) -> network_service_pb2.ReportReactionRequest:
    """A valid reaction, "SHOWN" or so, with a new request_id."""
    return network_service_pb2.ReportReactionRequest(
        request_id=str(uuid.uuid4()),
        account_id=account,
        enhancement_id=enhancement_id,
        reaction=adoption_pb2.Reaction.Value(f"REACTION_{reaction}"),
        reason=adoption_pb2.DismissalReason.Value(f"DISMISSAL_REASON_{reason}"),
    )
