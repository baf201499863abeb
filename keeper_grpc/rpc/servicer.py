"""The handlers: read the request, call the use case, write the response."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import UUID

import grpc

from keeper_grpc.domain.accounts.forgetting import Forgotten
from keeper_grpc.domain.advice.enhancement import Enhancement
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceServicer
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
    NetworkLearningServiceServicer,
)
from keeper_grpc.rpc.caller import caller
from keeper_grpc.rpc.convert import (
    account_value,
    admin,
    feedback,
    insights,
    metrics,
    patterns,
    suggestions,
)
from keeper_grpc.rpc.streams.emerging import EmergingStream
from keeper_grpc.rpc.streams.enhance import EnhanceStream
from keeper_grpc.rpc.streams.metrics import MetricsStream
from keeper_grpc.rpc.streams.moves import MovesStream
from keeper_grpc.usecases.accounts.audit import AuditLog
from keeper_grpc.usecases.accounts.register import Registration
from keeper_grpc.usecases.accounts.update import Correction
from keeper_grpc.usecases.advice.enhance import Question
from keeper_grpc.usecases.advice.generate_task import GenerateTask
from keeper_grpc.usecases.advice.preview import Preview
from keeper_grpc.usecases.advice.report_outcome import OutcomeReport, Reported
from keeper_grpc.usecases.advice.report_reaction import ReactionReport
from keeper_grpc.usecases.advice.suggest import SuggestMoves
from keeper_grpc.usecases.metrics.account_value import GetAccountValue
from keeper_grpc.usecases.metrics.network_metrics import GetNetworkMetrics
from keeper_grpc.usecases.patterns.capture import Capture, Captured
from keeper_grpc.usecases.patterns.read import PublishedPatterns
from keeper_grpc.usecases.patterns.support import GetPatternSupport
from keeper_grpc.usecases.patterns.withdraw import Withdrawal

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


AskedT_contra = TypeVar("AskedT_contra", contravariant=True)
DoneT_co = TypeVar("DoneT_co", covariant=True)


class Operates(Protocol[AskedT_contra, DoneT_co]):
    """A use case of an operator, who is named in the audit log as `actor`."""

    def __call__(self, asked: AskedT_contra, /, *, actor: str) -> Awaitable[DoneT_co]: ...


class NetworkLearning(NetworkLearningServiceServicer):
    """NetworkLearningService. The proto and the use case document each call.

    `fingerprint` makes the keyed hashes that distinguish a retry from a reused request_id.
    """

    def __init__(
        self,
        *,
        capture: Callable[[Capture], Awaitable[Captured]],
        enhance: Callable[[Question], Awaitable[Enhancement]],
        enhance_stream: EnhanceStream,
        preview: Callable[[Insight, Identifiers, float | None, int | None], Awaitable[Preview]],
        report: Callable[[OutcomeReport], Awaitable[Reported]],
        react: Callable[[ReactionReport], Awaitable[bool]],
        suggest: SuggestMoves,
        moves_stream: MovesStream,
        task: GenerateTask,
        emerging_stream: EmergingStream,
        metrics: GetNetworkMetrics,
        metrics_stream: MetricsStream,
        account_value: GetAccountValue,
        patterns: PublishedPatterns,
        rule: PublicationRule,
        fingerprint: Callable[[bytes], tuple[bytes, ...]],
    ) -> None:
        self._capture = capture
        self._enhance = enhance
        self._enhance_stream = enhance_stream
        self._preview = preview
        self._report = report
        self._react = react
        self._suggest = suggest
        self._moves_stream = moves_stream
        self._task = task
        self._emerging_stream = emerging_stream
        self._metrics = metrics
        self._metrics_stream = metrics_stream
        self._account_value = account_value
        self._patterns = patterns
        self._rule = rule
        self._fingerprint = fingerprint

    async def CapturePattern(
        self, request: network.CapturePatternRequest, context: Context
    ) -> network.CapturePatternResponse:
        """Add one (insight, outcome) to the network."""
        fingerprints = self._fingerprint(request.SerializeToString(deterministic=True))
        answer = await self._capture(insights.capture(request, fingerprints))
        return insights.captured(answer, self._rule)

    async def EnhanceInsight(
        self, request: network.EnhanceInsightRequest, context: Context
    ) -> network.EnhanceInsightResponse:
        """Ask what other accounts know about an insight."""
        answer = await self._enhance(insights.question(request))
        return insights.enhanced(answer, request.insight.insight_id)

    # The handler writes to the context instead of yielding, so that a cancellation reaches all its tasks
    # at once. An async generator that waits at a yield would be cancelled only when it is collected.
    async def EnhanceInsights(  # type: ignore[override]  # the stub knows generators only
        self, questions: AsyncIterable[network.EnhanceInsightsRequest], context: Context
    ) -> None:
        """Ask about many insights over one stream."""
        await self._enhance_stream.serve(questions, context.write)

    async def PreviewInsight(
        self, request: network.PreviewInsightRequest, context: Context
    ) -> network.PreviewInsightResponse:
        """Show how an insight would be answered."""
        found = await self._preview(*insights.preview(request))
        return insights.previewed(found)

    async def ReportOutcome(
        self, request: network.ReportOutcomeRequest, context: Context
    ) -> network.ReportOutcomeResponse:
        """Report the outcome of an enhancement."""
        fingerprints = self._fingerprint(request.SerializeToString(deterministic=True))
        answer = await self._report(feedback.report(request, fingerprints))
        return feedback.reported(answer)

    async def ReportReaction(
        self, request: network.ReportReactionRequest, context: Context
    ) -> network.ReportReactionResponse:
        """Report what an account did with an enhancement."""
        fingerprints = self._fingerprint(request.SerializeToString(deterministic=True))
        replayed = await self._react(feedback.reaction(request, fingerprints))
        return network.ReportReactionResponse(replayed=replayed)

    async def SuggestMoves(
        self, request: network.SuggestMovesRequest, context: Context
    ) -> network.SuggestMovesResponse:
        """Suggest what to do now, from facts."""
        moves = await self._suggest(suggestions.occasion(request))
        return suggestions.suggested(moves, self._rule)

    async def StreamMoves(  # type: ignore[override]  # the stub knows generators only
        self, messages: AsyncIterable[network.StreamMovesRequest], context: Context
    ) -> None:
        """Stream moves as their triggers begin and cease to hold."""
        await self._moves_stream.serve(messages, context)

    async def GenerateTask(
        self, request: network.GenerateTaskRequest, context: Context
    ) -> network.GenerateTaskResponse:
        """Turn an enhancement, or a plain insight, into a task for people."""
        return feedback.task(await self._task(feedback.order(request)))

    async def StreamEmergingPatterns(  # type: ignore[override]  # the stub knows generators only
        self, request: network.StreamEmergingPatternsRequest, context: Context
    ) -> None:
        """Stream emerging patterns."""
        await self._emerging_stream.serve(request, context)

    async def GetNetworkMetrics(
        self, request: network.GetNetworkMetricsRequest, context: Context
    ) -> network.GetNetworkMetricsResponse:
        """Return the network's metrics and KPIs."""
        found = await self._metrics(metrics.window(request), request.business_category)
        return metrics.report(found)

    async def StreamNetworkMetrics(  # type: ignore[override]  # the stub knows generators only
        self, request: network.StreamNetworkMetricsRequest, context: Context
    ) -> None:
        """Stream the network's metrics and KPIs after every change."""
        await self._metrics_stream.serve(request, context)

    async def GetAccountValue(
        self, request: network.GetAccountValueRequest, context: Context
    ) -> network.GetAccountValueResponse:
        """Return what the network is worth to one account."""
        found = await self._account_value(request.account_id, metrics.window(request))
        return account_value.value(found)

    async def GetPattern(
        self, request: network.GetPatternRequest, context: Context
    ) -> network.GetPatternResponse:
        """Return one published pattern."""
        if request.include_history:
            history = await self._patterns.history(UUID(request.pattern_id))
            return patterns.pattern_history(history, self._rule)
        return patterns.shown(await self._patterns.get(UUID(request.pattern_id)), self._rule)

    async def ListPatterns(
        self, request: network.ListPatternsRequest, context: Context
    ) -> network.ListPatternsResponse:
        """List published patterns."""
        where = patterns.pattern_filter(request)
        page = await self._patterns.page(where, patterns.cursor(request), request.page_size)
        return patterns.listing(page, where, self._rule)


class Admin(AdminServiceServicer):
    """AdminService."""

    def __init__(
        self,
        *,
        register: Operates[Registration, bool],
        update: Operates[Correction, UUID | None],
        forget: Operates[str, tuple[Forgotten, UUID | None]],
        withdraw: Operates[Withdrawal, UUID | None],
        support: GetPatternSupport,
        audit: AuditLog,
    ) -> None:
        self._register = register
        self._update = update
        self._forget = forget
        self._withdraw = withdraw
        self._support = support
        self._audit = audit

    async def RegisterAccount(
        self, request: admin_service_pb2.RegisterAccountRequest, context: Context
    ) -> admin_service_pb2.RegisterAccountResponse:
        """Register an account."""
        created = await self._register(admin.registration(request), actor=_actor())
        return admin_service_pb2.RegisterAccountResponse(created=created)

    async def UpdateAccount(
        self, request: admin_service_pb2.UpdateAccountRequest, context: Context
    ) -> admin_service_pb2.UpdateAccountResponse:
        """Correct an account's category or owner."""
        return admin.updated(await self._update(admin.correction(request), actor=_actor()))

    async def ForgetAccount(
        self, request: admin_service_pb2.ForgetAccountRequest, context: Context
    ) -> admin_service_pb2.ForgetAccountResponse:
        """Remove everything that came from an account."""
        done, event_id = await self._forget(request.account_id, actor=_actor())
        return admin.forgotten(done, event_id)

    async def RetirePattern(
        self, request: admin_service_pb2.RetirePatternRequest, context: Context
    ) -> admin_service_pb2.RetirePatternResponse:
        """Withdraw a pattern, or undo that."""
        event_id = await self._withdraw(admin.retirement(request), actor=_actor())
        return admin_service_pb2.RetirePatternResponse(
            changed=event_id is not None, audit_event_id=str(event_id or "")
        )

    async def WithdrawScript(
        self, request: admin_service_pb2.WithdrawScriptRequest, context: Context
    ) -> admin_service_pb2.WithdrawScriptResponse:
        """Withdraw one script of a pattern, or undo that."""
        event_id = await self._withdraw(admin.script_withdrawal(request), actor=_actor())
        return admin_service_pb2.WithdrawScriptResponse(
            changed=event_id is not None, audit_event_id=str(event_id or "")
        )

    async def GetPatternSupport(
        self, request: admin_service_pb2.GetPatternSupportRequest, context: Context
    ) -> admin_service_pb2.GetPatternSupportResponse:
        """Count who stands behind a pattern."""
        return admin.supported(await self._support(UUID(request.pattern_id)))

    async def ListAuditEvents(
        self, request: admin_service_pb2.ListAuditEventsRequest, context: Context
    ) -> admin_service_pb2.ListAuditEventsResponse:
        """List audit events."""
        events, after = await self._audit.page(admin.audit_cursor(request), request.page_size)
        return admin.audit_page(events, after)


def _actor() -> str:
    """The name that the audit log keeps."""
    return caller().identity.name
