"""KeeperClient: the API's calls, with account and request_id filled in and with retries."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from keeper_grpc.client.channel import Options, open_channel
from keeper_grpc.client.credentials import Credentials, CredentialsUnusable, carries_tokens
from keeper_grpc.client.errors import from_call
from keeper_grpc.client.retries import Retries, retried
from keeper_grpc.client.tournament import Tournament, play
from keeper_grpc.client.watch import EmergingEvent, watch
from keeper_grpc.client.watch_metrics import MetricsEvent, watch_metrics
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceStub
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import DismissalReason, Reaction
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers, Insight, Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

if TYPE_CHECKING:  # types of the stub files only
    from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

Request_contra = TypeVar("Request_contra", bound=Message, contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)

TOURNAMENT_TIMEOUT = 60.0
"""Seconds for a tournament of any size: one process embeds hundreds of new insights a second, so thousands
fit."""


class _Method(Protocol[Request_contra, Response_co]):
    """A unary method of a stub."""

    def __call__(
        self, request: Request_contra, /, *, timeout: float, metadata: tuple[tuple[str, str], ...]
    ) -> Awaitable[Response_co]: ...


class KeeperClient:
    """A client of one network. Create it within a running event loop; tasks may share it.

    `timeout` is in seconds and covers a call with all its retries. Every method raises
    KeeperClientError. `credentials` say how to connect (TLS, certificate, token; None is clear text); `options` are gRPC channel arguments.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 10.0,
        retries: Retries | None = None,
        credentials: Credentials | grpc.ChannelCredentials | None = None,
        options: Options = (),
    ) -> None:
        self._channel = open_channel(target, credentials, options)
        self._carries_tokens = carries_tokens(target, credentials)
        self._network: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(self._channel)
        self._admin: AdminServiceAsyncStub = AdminServiceStub(self._channel)
        self._timeout = timeout
        self._retries = retries or Retries()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the connection, and with it every call and watch."""
        await self._channel.close()

    async def register_account(
        self, account_id: str, business_category: str, *, joined_time: datetime | None = None
    ) -> bool:
        """Register an account; whether it was new to the network."""
        request = admin.RegisterAccountRequest(
            account_id=account_id,
            business_category=business_category,
            joined_time=_timestamp(joined_time),
        )
        return (await self._call(self._admin.RegisterAccount, request)).created

    async def capture(
        self,
        account_id: str,
        insight: Insight,
        outcome: Outcome,
        *,
        identifiers: Identifiers | None = None,
        occurred_time: datetime | None = None,
        request_id: str | None = None,
        enhancement_id: str = "",
    ) -> network.CapturePatternResponse:
        """Add one (insight, outcome). It counts once, however often it is sent.

        Pass a `request_id` (UUID) of your own to make this hold across crashes of the caller too. `enhancement_id` is
        that of an answer which was not followed: the outcome then counts for the proof of value.
        """
        request = network.CapturePatternRequest(
            request_id=request_id or str(uuid.uuid4()),
            account_id=account_id,
            insight=insight,
            outcome=outcome,
            identifiers=identifiers,
            occurred_time=_timestamp(occurred_time),
            enhancement_id=enhancement_id,
        )
        return await self._call(self._network.CapturePattern, request)

    async def enhance(
        self,
        account_id: str,
        insight: Insight,
        *,
        identifiers: Identifiers | None = None,
        min_success_rate: float | None = None,
        min_occurrences: int | None = None,
    ) -> network.EnhanceInsightResponse:
        """Ask what other accounts know about an insight.

        Where nothing proven fits, `enhanced_insight.authored_advice` may have what an author advises, untested here;
        `network_enhanced` is false then. It is not given to who asks for more than the default evidence.
        """
        request = network.EnhanceInsightRequest(
            account_id=account_id,
            insight=insight,
            identifiers=identifiers,
            min_success_rate=min_success_rate,
            min_occurrences=min_occurrences,
        )
        return await self._call(self._network.EnhanceInsight, request)

    async def tournament(
        self,
        account_id: str,
        insights: Iterable[Insight],
        *,
        identifiers: Identifiers | None = None,
        min_success_rate: float | None = None,
        min_occurrences: int | None = None,
        timeout: float = TOURNAMENT_TIMEOUT,  # noqa: ASYNC109 - the deadline travels to the server
    ) -> Tournament:
        """Enhance many insights, and rank them by the expected value of acting on each.

        Insights that could not be enhanced are in `failed`, each with its error; the others are ranked.
        Raises only when no insight got an answer.
        """
        requests = [
            network.EnhanceInsightRequest(
                account_id=account_id,
                insight=insight,
                identifiers=identifiers,
                min_success_rate=min_success_rate,
                min_occurrences=min_occurrences,
            )
            for insight in insights
        ]
        if not requests:
            return Tournament([], [])
        return await play(
            requests,
            lambda questions, seconds: self._network.EnhanceInsights(questions, timeout=seconds),
            self._retries,
            timeout,
        )

    async def preview(
        self,
        insight: Insight,
        *,
        identifiers: Identifiers | None = None,
        min_success_rate: float | None = None,
        min_occurrences: int | None = None,
    ) -> network.PreviewInsightResponse:
        """How an insight would be answered, step by step. Nobody asks, and nothing is stored."""
        request = network.PreviewInsightRequest(
            insight=insight,
            identifiers=identifiers,
            min_success_rate=min_success_rate,
            min_occurrences=min_occurrences,
        )
        return await self._call(self._network.PreviewInsight, request)

    async def report_outcome(
        self,
        account_id: str,
        enhancement_id: str,
        outcome: Outcome,
        *,
        occurred_time: datetime | None = None,
        request_id: str | None = None,
    ) -> network.ReportOutcomeResponse:
        """Report the outcome of an enhancement. It counts once; see `capture` for `request_id`.

        One that is not `final` may be reported again, and then counts as the last report says.
        """
        request = network.ReportOutcomeRequest(
            request_id=request_id or str(uuid.uuid4()),
            account_id=account_id,
            enhancement_id=enhancement_id,
            outcome=outcome,
            occurred_time=_timestamp(occurred_time),
        )
        return await self._call(self._network.ReportOutcome, request)

    async def revise_capture(
        self,
        account_id: str,
        capture_request_id: str,
        outcome: Outcome,
        *,
        occurred_time: datetime | None = None,
        request_id: str | None = None,
    ) -> network.ReportOutcomeResponse:
        """Replace the interim outcome of a capture, named by its request_id. See `capture` for `request_id`."""
        request = network.ReportOutcomeRequest(
            request_id=request_id or str(uuid.uuid4()),
            account_id=account_id,
            capture_request_id=capture_request_id,
            outcome=outcome,
            occurred_time=_timestamp(occurred_time),
        )
        return await self._call(self._network.ReportOutcome, request)

    async def report_reaction(
        self,
        account_id: str,
        enhancement_id: str,
        reaction: Reaction.ValueType,
        *,
        reason: DismissalReason.ValueType = DismissalReason.DISMISSAL_REASON_UNSPECIFIED,
        request_id: str | None = None,
    ) -> network.ReportReactionResponse:
        """Report what became of an enhancement: shown, accepted, dismissed or done. See `capture` for `request_id`."""
        request = network.ReportReactionRequest(
            request_id=request_id or str(uuid.uuid4()),
            account_id=account_id,
            enhancement_id=enhancement_id,
            reaction=reaction,
            reason=reason,
        )
        return await self._call(self._network.ReportReaction, request)

    async def suggest_moves(
        self,
        account_id: str,
        facts: Mapping[str, Any],
        *,
        business_category: str = "",
        max_moves: int = 0,
    ) -> Sequence[network.Move]:
        """Moves that apply now, most promising first. `facts` is JSON-like, with the names that triggers use."""
        packed = Struct()
        packed.update(dict(facts))
        request = network.SuggestMovesRequest(
            account_id=account_id,
            business_category=business_category,
            facts=packed,
            max_moves=max_moves,
        )
        return (await self._call(self._network.SuggestMoves, request)).moves

    async def stream_moves(
        self,
        account_id: str,
        business_category: str,
        facts: AsyncIterable[Mapping[str, Any]],
    ) -> AsyncGenerator[network.StreamMovesResponse]:
        """Moves as their triggers begin and cease to hold: first those that hold with the first of the `facts`.

        Each of the `facts` after the first is what changed; None takes a fact away. The stream goes on when there are
        no more. It ends with an error at its maximum age, and when the server drains: open it again with all facts,
        because nobody keeps them. Raises KeeperClientError.
        """
        call = self._network.StreamMoves(_moves_requests(account_id, business_category, facts))
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise from_call(error) from error
        finally:
            call.cancel()

    async def generate_task(
        self,
        account_id: str,
        source: str | Insight,
        *,
        identifiers: Identifiers | None = None,
    ) -> network.Task:
        """Make a task for people, from an enhancement's id or from an insight that was not enhanced."""
        request = network.GenerateTaskRequest(account_id=account_id, identifiers=identifiers)
        if isinstance(source, str):
            request.enhancement_id = source
        else:
            request.insight.CopyFrom(source)
        return (await self._call(self._network.GenerateTask, request)).task

    async def get_pattern(self, pattern_id: str) -> Pattern:
        """One published pattern. Raises NotFound."""
        request = network.GetPatternRequest(pattern_id=pattern_id)
        return (await self._call(self._network.GetPattern, request)).pattern

    async def list_patterns(
        self,
        *,
        pattern_type: str = "",
        business_category: str = "",
        min_success_rate: float = 0.0,
        search: str = "",
        page_size: int = 0,
    ) -> AsyncGenerator[Pattern]:
        """Published patterns, best lower bound first, fetched page by page as they are consumed.

        `search`: words that action and type must have, each in part or whole.
        """
        request = network.ListPatternsRequest(
            pattern_type=pattern_type,
            business_category=business_category,
            min_success_rate=min_success_rate,
            search=search,
            page_size=page_size,
        )
        while True:
            page = await self._call(self._network.ListPatterns, request)
            for pattern in page.patterns:
                yield pattern
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def watch_emerging(
        self,
        *,
        pattern_type: str = "",
        business_category: str = "",
        min_accounts: int = 0,
        min_similarity: float = 0.0,
        window: timedelta | None = None,
        resume_token: str = "",
    ) -> AsyncGenerator[EmergingEvent]:
        """Follow the emerging patterns: a snapshot, then every change, without end.

        The watch resumes after restarts and cut-offs of the server, without repeated or lost changes, and
        yields `Interrupted` while the server cannot be reached. To resume after the caller's own restart,
        keep the last `resume_token` and pass it here.
        """
        request = network.StreamEmergingPatternsRequest(
            pattern_type=pattern_type,
            business_category=business_category,
            min_accounts=min_accounts,
            min_similarity=min_similarity,
            window=_duration(window),
            resume_token=resume_token,
        )
        events = watch(self._network.StreamEmergingPatterns, request, self._retries)
        async with aclosing(events):
            async for event in events:
                yield event

    async def get_pattern_history(self, pattern_id: str) -> network.GetPatternResponse:
        """One published pattern with its scripts and its evidence over time. Raises NotFound."""
        request = network.GetPatternRequest(pattern_id=pattern_id, include_history=True)
        return await self._call(self._network.GetPattern, request)

    async def get_pattern_support(self, pattern_id: str) -> admin.GetPatternSupportResponse:
        """Who stands behind a pattern, published or not: counts for operators. Raises NotFound."""
        request = admin.GetPatternSupportRequest(pattern_id=pattern_id)
        return await self._call(self._admin.GetPatternSupport, request)

    async def list_audit_events(self, *, page_size: int = 0) -> Sequence[admin.AuditEvent]:
        """The newest actions of operators, at most `page_size` (0: 50)."""
        request = admin.ListAuditEventsRequest(page_size=page_size)
        return (await self._call(self._admin.ListAuditEvents, request)).audit_events

    async def network_metrics(
        self, *, window: timedelta | None = None, business_category: str = ""
    ) -> network.GetNetworkMetricsResponse:
        """The network's metrics and KPIs. `window` ends now; None is 30 days."""
        request = network.GetNetworkMetricsRequest(
            window=_duration(window), business_category=business_category
        )
        return await self._call(self._network.GetNetworkMetrics, request)

    async def account_value(
        self, account_id: str, *, window: timedelta | None = None, token: str = ""
    ) -> network.GetAccountValueResponse:
        """What the network is worth to one account, and what it gave. `window` ends now; None is 30 days.

        `token`: the bearer token of whoever asks, for a client that asks for others and has none of its own. Raises
        CredentialsUnusable where anybody could read it on its way.
        """
        if token and not self._carries_tokens:
            raise CredentialsUnusable("a token is sent over TLS only, but to this machine")
        request = network.GetAccountValueRequest(account_id=account_id, window=_duration(window))
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        return await self._call(self._network.GetAccountValue, request, metadata)

    async def watch_network_metrics(
        self, *, window: timedelta | None = None, business_category: str = ""
    ) -> AsyncGenerator[MetricsEvent]:
        """Follow the network's metrics and KPIs: a report at once, and again whenever it changed.

        The watch continues after restarts of the server, and yields `Interrupted` while it cannot be
        reached.
        """
        request = network.StreamNetworkMetricsRequest(
            window=_duration(window), business_category=business_category
        )
        events = watch_metrics(self._network.StreamNetworkMetrics, request, self._retries)
        async with aclosing(events):
            async for event in events:
                yield event

    async def _call(
        self,
        method: _Method[Request_contra, Response_co],
        request: Request_contra,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> Response_co:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        return await retried(
            lambda: method(
                request, timeout=max(0.0, deadline - loop.time()), metadata=tuple(metadata)
            ),
            self._retries,
            deadline,
        )


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message


async def _moves_requests(
    account_id: str, business_category: str, facts: AsyncIterable[Mapping[str, Any]]
) -> AsyncIterator[network.StreamMovesRequest]:
    async for changed in facts:
        request = network.StreamMovesRequest(
            account_id=account_id, business_category=business_category
        )
        request.facts.update(dict(changed))
        yield request
