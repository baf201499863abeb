"""ReportOutcome, ReportReaction and GenerateTask between protos and the domain."""

from __future__ import annotations

from uuid import UUID

from keeper_grpc.domain.advice.reaction import DismissalReason, Reaction
from keeper_grpc.domain.advice.tasks import Task
from keeper_grpc.domain.errors import InvalidInput
from keeper_grpc.domain.observation import CaptureRequest
from keeper_grpc.gen.keeper.network.v1 import adoption_pb2, network_service_pb2
from keeper_grpc.rpc.convert import fields, insights
from keeper_grpc.usecases.advice.generate_task import Order
from keeper_grpc.usecases.advice.report_outcome import OutcomeReport, Reported
from keeper_grpc.usecases.advice.report_reaction import ReactionReport


def report(
    request: network_service_pb2.ReportOutcomeRequest, fingerprints: tuple[bytes, ...]
) -> OutcomeReport:
    """Read a ReportOutcomeRequest. Raises InvalidInput for what its rules cannot express."""
    return OutcomeReport(
        request_id=UUID(request.request_id),
        account_id=request.account_id,
        source=CaptureRequest(UUID(request.capture_request_id))
        if request.WhichOneof("source") == "capture_request_id"
        else UUID(request.enhancement_id),
        outcome=insights.outcome(request.outcome),
        occurred_time=fields.optional_time(
            request.occurred_time, "occurred_time", given=request.HasField("occurred_time")
        ),
        fingerprints=fingerprints,
    )


def reported(answer: Reported) -> network_service_pb2.ReportOutcomeResponse:
    """Write a ReportOutcomeResponse."""
    return network_service_pb2.ReportOutcomeResponse(
        pattern_id=str(answer.pattern_id) if answer.pattern_id else "",
        replayed=answer.replayed,
    )


def reaction(
    request: network_service_pb2.ReportReactionRequest, fingerprints: tuple[bytes, ...]
) -> ReactionReport:
    """Read a ReportReactionRequest. Raises InvalidInput for what its rules cannot express."""
    reported, reason = _REACTIONS[request.reaction], _REASONS.get(request.reason)
    if reason is not None and reported is not Reaction.DISMISSED:
        raise InvalidInput("reason", "only with REACTION_DISMISSED")
    return ReactionReport(
        request_id=UUID(request.request_id),
        account_id=request.account_id,
        enhancement_id=UUID(request.enhancement_id),
        reaction=reported,
        reason=reason,
        fingerprints=fingerprints,
    )


_REACTIONS = {
    adoption_pb2.Reaction.Value(f"REACTION_{reaction.name}"): reaction for reaction in Reaction
}
_REASONS = {
    adoption_pb2.DismissalReason.Value(f"DISMISSAL_REASON_{reason.name}"): reason
    for reason in DismissalReason
}


def order(request: network_service_pb2.GenerateTaskRequest) -> Order:
    """Read a GenerateTaskRequest. Raises InvalidInput for what its rules cannot express."""
    return Order(
        account_id=request.account_id,
        source=UUID(request.enhancement_id)
        if request.WhichOneof("source") == "enhancement_id"
        else insights.insight(request.insight),
        identifiers=insights.identifiers(request.identifiers),
    )


def task(answer: Task) -> network_service_pb2.GenerateTaskResponse:
    """Write a GenerateTaskResponse."""
    message = network_service_pb2.Task(
        title=answer.title,
        steps=answer.steps,
        confidence_label=answer.confidence_label,
        success_probability=answer.success_probability,
        script=answer.script,
        script_note=answer.script_note,
    )
    message.due_time.FromDatetime(answer.due_time)
    return network_service_pb2.GenerateTaskResponse(task=message)
