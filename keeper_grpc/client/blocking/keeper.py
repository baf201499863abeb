"""SyncKeeperClient: what KeeperClient does, for synchronous code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import grpc

from keeper_grpc.client import requests
from keeper_grpc.client.blocking.connection import Clock, Connection, SystemClock
from keeper_grpc.client.blocking.operating import Operating
from keeper_grpc.client.blocking.tournament import play
from keeper_grpc.client.blocking.watch import watch, watch_metrics
from keeper_grpc.client.channel import BlockingInterceptor, Metadata, Options
from keeper_grpc.client.credentials import Credentials
from keeper_grpc.client.errors import from_blocking_call
from keeper_grpc.client.retries import Retries
from keeper_grpc.client.tournament import TOURNAMENT_TIMEOUT, Tournament
from keeper_grpc.client.watch import EmergingEvent
from keeper_grpc.client.watch_metrics import MetricsEvent
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import DismissalReason, Reaction
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers, Insight, Outcome
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern


class SyncKeeperClient(Operating):
    """A client of one network, which threads may share. It may be made anywhere, also at a module's level and before
    a fork: the first call of a process opens the connection.

    `timeout` is in seconds and covers a call with all its retries. Every method raises
    KeeperClientError, or CredentialsUnusable. `credentials` say how to connect (TLS, certificate, token; None is clear
    text); `options` are gRPC channel arguments, `metadata` goes with every call, `interceptors` are gRPC's. `channel` and `clock` are for tests: a channel that is
    there, and time that goes as it is told.
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
        interceptors: Sequence[BlockingInterceptor] = (),
        channel: grpc.Channel | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._connection = Connection(
            target,
            timeout=timeout,
            retries=retries or Retries(),
            credentials=credentials,
            options=options,
            metadata=metadata,
            interceptors=interceptors,
            channel=channel,
            clock=clock or SystemClock(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and with it every call and watch."""
        self._connection.close()

    def capture(
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
        return self._connection.call(self._connection.network.CapturePattern, request)

    def enhance(
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
        return self._connection.call(self._connection.network.EnhanceInsight, request)

    def tournament(
        self,
        account_id: str,
        insights: Iterable[Insight],
        *,
        identifiers: Identifiers | None = None,
        min_success_rate: float | None = None,
        min_occurrences: int | None = None,
        timeout: float = TOURNAMENT_TIMEOUT,
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
        return play(self._connection, asked, timeout)

    def preview(
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
        return self._connection.call(self._connection.network.PreviewInsight, request)

    def report_outcome(
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
        return self._connection.call(self._connection.network.ReportOutcome, request)

    def revise_capture(
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
        return self._connection.call(self._connection.network.ReportOutcome, request)

    def report_reaction(
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
        return self._connection.call(self._connection.network.ReportReaction, request)

    def suggest_moves(
        self,
        account_id: str,
        facts: Mapping[str, Any],
        *,
        business_category: str = "",
        max_moves: int = 0,
    ) -> Sequence[network.Move]:
        """Moves that apply now, most promising first. `facts` is JSON-like, with the names that triggers use."""
        request = requests.occasion(account_id, facts, business_category, max_moves)
        answer = self._connection.call(self._connection.network.SuggestMoves, request)
        return answer.moves

    def stream_moves(
        self, account_id: str, business_category: str, facts: Iterable[Mapping[str, Any]]
    ) -> Iterator[network.StreamMovesResponse]:
        """Moves as their triggers begin and cease to hold: first those that hold with the first of the `facts`.

        Each of the `facts` after the first is what changed; None takes a fact away. The stream goes on when there are
        no more. It ends with an error at its maximum age, and when the server drains: open it again with all facts,
        because nobody keeps them. Raises KeeperClientError.
        """
        call = self._connection.network.StreamMoves(
            requests.moves_of(account_id, business_category, facts),
            metadata=self._connection.metadata,
        )
        try:
            yield from call
        except grpc.RpcError as error:
            raise from_blocking_call(error) from error
        finally:
            call.cancel()

    def generate_task(
        self, account_id: str, source: str | Insight, *, identifiers: Identifiers | None = None
    ) -> network.Task:
        """Make a task for people, from an enhancement's id or from an insight that was not enhanced."""
        request = requests.task(account_id, source, identifiers)
        return self._connection.call(self._connection.network.GenerateTask, request).task

    def get_pattern(self, pattern_id: str) -> Pattern:
        """One published pattern. Raises NotFound."""
        request = network.GetPatternRequest(pattern_id=pattern_id)
        return self._connection.call(self._connection.network.GetPattern, request).pattern

    def get_pattern_history(self, pattern_id: str) -> network.GetPatternResponse:
        """One published pattern with its scripts and its evidence over time. Raises NotFound."""
        request = network.GetPatternRequest(pattern_id=pattern_id, include_history=True)
        return self._connection.call(self._connection.network.GetPattern, request)

    def list_patterns(
        self,
        *,
        pattern_type: str = "",
        business_category: str = "",
        min_success_rate: float = 0.0,
        search: str = "",
        page_size: int = 0,
    ) -> Iterator[Pattern]:
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
            page = self._connection.call(self._connection.network.ListPatterns, request)
            yield from page.patterns
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def watch_emerging(
        self,
        *,
        pattern_type: str = "",
        business_category: str = "",
        min_accounts: int = 0,
        min_similarity: float = 0.0,
        min_total_potential_value: float = 0.0,
        window: timedelta | None = None,
        resume_token: str = "",
    ) -> Iterator[EmergingEvent]:
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
        return watch(self._connection, request)

    def network_metrics(
        self, *, window: timedelta | None = None, business_category: str = ""
    ) -> network.GetNetworkMetricsResponse:
        """The network's metrics and KPIs. `window` ends now; None is 30 days."""
        request = network.GetNetworkMetricsRequest(
            window=requests.duration(window), business_category=business_category
        )
        return self._connection.call(self._connection.network.GetNetworkMetrics, request)

    def account_value(
        self, account_id: str, *, window: timedelta | None = None, token: str = ""
    ) -> network.GetAccountValueResponse:
        """What the network is worth to one account, and what it gave. `window` ends now; None is 30 days.

        `token`: the bearer token of whoever asks, for a client that asks for others and has none of its own. Raises
        CredentialsUnusable where anybody could read it on its way.
        """
        request = network.GetAccountValueRequest(
            account_id=account_id, window=requests.duration(window)
        )
        return self._connection.call(self._connection.network.GetAccountValue, request, token=token)

    def watch_network_metrics(
        self, *, window: timedelta | None = None, business_category: str = ""
    ) -> Iterator[MetricsEvent]:
        """Follow the network's metrics and KPIs: a report at once, and again whenever it changed.

        The watch continues after restarts of the server, and yields `Interrupted` while it cannot be
        reached.
        """
        request = network.StreamNetworkMetricsRequest(
            window=requests.duration(window), business_category=business_category
        )
        return watch_metrics(self._connection, request)
