"""The feedback loop: advice becomes a task, its outcome becomes evidence for the next account."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from keeper_grpc.demo.failure import DemoFailed
from keeper_grpc.demo.show import Show
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import GetPatternSupportRequest
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightRequest,
    EnhanceInsightResponse,
    GenerateTaskRequest,
    ReportOutcomeRequest,
)

if TYPE_CHECKING:  # exist in the stub files only
    from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

NEXT_ACCOUNT = "acct-spa-next"
"""A second newcomer, which asks the same after the first one has reported."""


async def close_the_loop(
    network: NetworkLearningServiceAsyncStub,
    admin: AdminServiceAsyncStub,
    question: EnhanceInsightRequest,
    advice: EnhanceInsightResponse,
    show: Show,
    *,
    timeout: float,  # noqa: ASYNC109 - gRPC's own, for each call
) -> None:
    """Make the advice a task, report its success, and check that it is evidence, of which the next account is told.

    Raises DemoFailed when the report is not in the evidence, and AioRpcError.
    """
    made = await network.GenerateTask(
        GenerateTaskRequest(account_id=question.account_id, enhancement_id=advice.enhancement_id),
        timeout=timeout,
    )
    show.line(f'as a task: "{made.task.title}" ({made.task.confidence_label})')
    if made.task.script_note:
        show.line(f"  {made.task.script_note}")
    pattern = GetPatternSupportRequest(pattern_id=advice.enhanced_insight.pattern_id)
    before = await admin.GetPatternSupport(pattern, timeout=timeout)
    report = ReportOutcomeRequest(
        request_id=str(uuid.uuid4()),
        account_id=question.account_id,
        enhancement_id=advice.enhancement_id,
        outcome=Outcome(success=True, revenue_impact=95, customer_retained=True),
    )
    await network.ReportOutcome(report, timeout=timeout)
    again = await network.ReportOutcome(report, timeout=timeout)
    if not again.replayed:
        raise DemoFailed("a retried report was counted again")
    following = EnhanceInsightRequest()
    following.CopyFrom(question)
    following.account_id = NEXT_ACCOUNT
    following.insight.business_category = "spa"
    told = await network.EnhanceInsight(following, timeout=timeout)
    # Callers are told counts in steps, and those of the situation that decides: operators see who supports a pattern.
    after = await admin.GetPatternSupport(pattern, timeout=timeout)
    show.line(
        f"it worked, and was reported (twice, counted once): {after.owner_count} accounts support the pattern "
        f"instead of {before.owner_count}"
    )
    if after.owner_count != before.owner_count + 1:
        raise DemoFailed("the reported outcome is not in the evidence")
    if not told.enhanced_insight.network_enhanced:
        raise DemoFailed("what worked is not told to the next account")
    show.line(f"{NEXT_ACCOUNT} is told: {told.enhanced_insight.network_context}")
