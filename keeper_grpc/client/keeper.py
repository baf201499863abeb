"""KeeperClient: the API's calls, with account and request_id filled in and with retries."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import grpc

from keeper_grpc.client import requests
from keeper_grpc.client.channel import Metadata, Options
from keeper_grpc.client.connection import Connection
from keeper_grpc.client.credentials import Credentials
from keeper_grpc.client.errors import from_call
from keeper_grpc.client.operating import Operating
from keeper_grpc.client.retries import Retries
from keeper_grpc.client.tournament import TOURNAMENT_TIMEOUT, Tournament, play
from keeper_grpc.client.watch import EmergingEvent, watch
from keeper_grpc.client.watch_metrics import MetricsEvent, watch_metrics
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import DismissalReason, Reaction
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers, Insight, Outcome
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern


class KeeperClient(Operating):
    """A client of one network, which tasks may share. It may be made anywhere, also at a module's level: the first
    call opens the connection.

    `timeout` is in seconds and covers a call with all its retries. Every method raises
    KeeperClientError, or CredentialsUnusable. `credentials` say how to connect (TLS, certificate, token; None is clear
    text); `options` are gRPC channel arguments, `metadata` goes with every call, `interceptors` are gRPC's.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 10.0,
        retries: Retries | None = None,
        credentials: Credentials | grpc.ChannelCredentials | None = None,
        options: Options = (),
        metadata: Metadata = (),
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        self._connection = Connection(
            target,
            timeout=timeout,
            retries=retries or Retries(),
            credentials=credentials,
            options=options,
            metadata=metadata,
            interceptors=interceptors,
        )

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
        await self._connection.aclose()

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
        request = requests.capture(
            account_id, insight, outcome, identifiers, occurred_time, request_id, enhancement_id
        )
        return await self._connection.call(self._connection.network.CapturePattern, request)

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
        (request,) = requests.questions(
            account_id, [insight], identifiers, min_success_rate, min_occurrences
        )
        return await self._connection.call(self._connection.network.EnhanceInsight, request)

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
        asked = requests.questions(
            account_id, insights, identifiers, min_success_rate, min_occurrences
        )
        if not asked:
            return Tournament([], [])
        opened = self._connection.network
        return await play(
            asked,
            lambda questions, seconds: opened.EnhanceInsights(
                questions, timeout=seconds, metadata=self._connection.metadata
            ),
            self._connection.retries,
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
        return await self._connection.call(self._connection.network.PreviewInsight, request)

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
        request = requests.outcome_report(
            account_id, outcome, occurred_time, request_id, enhancement_id=enhancement_id
        )
        return await self._connection.call(self._connection.network.ReportOutcome, request)

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
        request = requests.outcome_report(
            account_id, outcome, occurred_time, request_id, capture_request_id=capture_request_id
        )
        return await self._connection.call(self._connection.network.ReportOutcome, request)

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
        request = requests.reaction_report(account_id, enhancement_id, reaction, reason, request_id)
        return await self._connection.call(self._connection.network.ReportReaction, request)

    async def suggest_moves(
        self,
        account_id: str,
        facts: Mapping[str, Any],
        *,
        business_category: str = "",
        max_moves: int = 0,
    ) -> Sequence[network.Move]:
        """Moves that apply now, most promising first. `facts` is JSON-like, with the names that triggers use."""
        request = requests.occasion(account_id, facts, business_category, max_moves)
        answer = await self._connection.call(self._connection.network.SuggestMoves, request)
        return answer.moves

    async def stream_moves(
        self, account_id: str, business_category: str, facts: AsyncIterable[Mapping[str, Any]]
    ) -> AsyncGenerator[network.StreamMovesResponse]:
        """Moves as their triggers begin and cease to hold: first those that hold with the first of the `facts`.

        Each of the `facts` after the first is what changed; None takes a fact away. The stream goes on when there are
        no more. It ends with an error at its maximum age, and when the server drains: open it again with all facts,
        because nobody keeps them. Raises KeeperClientError.
        """
        call = self._connection.network.StreamMoves(
            requests.moves(account_id, business_category, facts), metadata=self._connection.metadata
        )
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise from_call(error) from error
        finally:
            call.cancel()

    async def generate_task(
        self, account_id: str, source: str | Insight, *, identifiers: Identifiers | None = None
    ) -> network.Task:
        """Make a task for people, from an enhancement's id or from an insight that was not enhanced."""
        request = requests.task(account_id, source, identifiers)
        return (await self._connection.call(self._connection.network.GenerateTask, request)).task

    async def get_pattern(self, pattern_id: str) -> Pattern:
        """One published pattern. Raises NotFound."""
        request = network.GetPatternRequest(pattern_id=pattern_id)
        return (await self._connection.call(self._connection.network.GetPattern, request)).pattern

    async def get_pattern_history(self, pattern_id: str) -> network.GetPatternResponse:
        """One published pattern with its scripts and its evidence over time. Raises NotFound."""
        request = network.GetPatternRequest(pattern_id=pattern_id, include_history=True)
        return await self._connection.call(self._connection.network.GetPattern, request)

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
            page = await self._connection.call(self._connection.network.ListPatterns, request)
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
        min_total_potential_value: float = 0.0,
        window: timedelta | None = None,
        resume_token: str = "",
    ) -> AsyncGenerator[EmergingEvent]:
        """Follow the emerging patterns: a snapshot, then every change, without end.

        The watch resumes after restarts and cut-offs of the server, without repeated or lost changes, and
        yields `Interrupted` while the server cannot be reached. To resume after the caller's own restart,
        keep the last `resume_token` and pass it here.
        """
        request = requests.emerging(
            pattern_type,
            business_category,
            min_accounts,
            min_similarity,
            min_total_potential_value,
            window,
            resume_token,
        )
        opened = self._connection.network
        events = watch(
            lambda wanted: opened.StreamEmergingPatterns(
                wanted, metadata=self._connection.metadata
            ),
            request,
            self._connection.retries,
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def network_metrics(
        self, *, window: timedelta | None = None, business_category: str = ""
    ) -> network.GetNetworkMetricsResponse:
        """The network's metrics and KPIs. `window` ends now; None is 30 days."""
        request = network.GetNetworkMetricsRequest(
            window=requests.duration(window), business_category=business_category
        )
        return await self._connection.call(self._connection.network.GetNetworkMetrics, request)

    async def account_value(
        self, account_id: str, *, window: timedelta | None = None, token: str = ""
    ) -> network.GetAccountValueResponse:
        """What the network is worth to one account, and what it gave. `window` ends now; None is 30 days.

        `token`: the bearer token of whoever asks, for a client that asks for others and has none of its own. Raises
        CredentialsUnusable where anybody could read it on its way.
        """
        request = network.GetAccountValueRequest(
            account_id=account_id, window=requests.duration(window)
        )
        return await self._connection.call(
            self._connection.network.GetAccountValue, request, token=token
        )

    async def watch_network_metrics(
        self, *, window: timedelta | None = None, business_category: str = ""
    ) -> AsyncGenerator[MetricsEvent]:
        """Follow the network's metrics and KPIs: a report at once, and again whenever it changed.

        The watch continues after restarts of the server, and yields `Interrupted` while it cannot be
        reached.
        """
        request = network.StreamNetworkMetricsRequest(
            window=requests.duration(window), business_category=business_category
        )
        opened = self._connection.network
        events = watch_metrics(
            lambda wanted: opened.StreamNetworkMetrics(wanted, metadata=self._connection.metadata),
            request,
            self._connection.retries,
        )
        async with aclosing(events):
            async for event in events:
                yield event
