"""The feedback loop: advice becomes a task, its outcome becomes evidence for the next account."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from keeper_grpc.demo.failure import DemoFailed
from keeper_grpc.demo.show import Show
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightRequest,
    EnhanceInsightResponse,
    GenerateTaskRequest,
    ReportOutcomeRequest,
)

if TYPE_CHECKING:  # exists in the stub file only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

NEXT_ACCOUNT = "acct-spa-next"
"""A second newcomer, which asks the same after the first one has reported."""


async def close_the_loop(
    network: NetworkLearningServiceAsyncStub,
    question: EnhanceInsightRequest,
    advice: EnhanceInsightResponse,
    show: Show,
    *,
    timeout: float,  # noqa: ASYNC109 - gRPC's own, for each call
) -> None:
    """Make the advice a task, report its success, and check that the next account's evidence has it.

    Raises DemoFailed when the report is not in the evidence, and AioRpcError.
    """
    made = await network.GenerateTask(
        GenerateTaskRequest(account_id=question.account_id, enhancement_id=advice.enhancement_id),
        timeout=timeout,
    )
    show.line(f'as a task: "{made.task.title}" ({made.task.confidence_label})')
    if made.task.script_note:
        show.line(f"  {made.task.script_note}")
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
    before, after = advice.enhanced_insight.evidence, told.enhanced_insight.evidence
    show.line(
        f"it worked, and was reported (twice, counted once): {NEXT_ACCOUNT} is told "
        f"{after.success_count} of {after.occurrence_count} cases at {after.account_count} accounts "
        f"instead of {before.success_count} of {before.occurrence_count} at {before.account_count}"
    )
    # The cases are weights, which need not grow by one; who made them is counted.
    if after.account_count != before.account_count + 1:
        raise DemoFailed("the reported outcome is not in the evidence")
