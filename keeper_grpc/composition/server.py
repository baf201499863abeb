"""The server: each call's use case, joined with what guards it and what measures it."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from uuid import uuid4

from keeper_grpc.admission.kinds import Kind
from keeper_grpc.composition.limits import identity_limits
from keeper_grpc.composition.parts import Parts
from keeper_grpc.domain.access.identity import UNAUTHENTICATED
from keeper_grpc.domain.advice.exploration import Exploration
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.models.in_use import OnModelInUse
from keeper_grpc.rpc.interceptors.admission import Durations
from keeper_grpc.rpc.interceptors.authentication import Authentication
from keeper_grpc.rpc.interceptors.authorization import Authorization
from keeper_grpc.rpc.interceptors.identity_limits import IdentityLimits
from keeper_grpc.rpc.server import Guards, Ports, Server
from keeper_grpc.rpc.servicer import Admin, NetworkLearning
from keeper_grpc.rpc.streams.admission import QuestionAdmission
from keeper_grpc.rpc.streams.emerging import EmergingStream
from keeper_grpc.rpc.streams.enhance import EnhanceStream
from keeper_grpc.rpc.streams.metrics import MetricsStream
from keeper_grpc.rpc.streams.moves import MovesStream
from keeper_grpc.storage.accounts.audit import PostgresAudit
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.advice.published.handed_out import PublishedAdvice
from keeper_grpc.storage.advice.reactions import PostgresReactions
from keeper_grpc.storage.emerging.feed import PostgresEmergingFeed
from keeper_grpc.storage.metrics.account_value import PostgresAccountValue
from keeper_grpc.storage.metrics.inputs import PostgresMetrics
from keeper_grpc.storage.patterns.read import PostgresPatterns
from keeper_grpc.storage.patterns.withdrawal import PostgresWithdrawal
from keeper_grpc.storage.readiness import Readiness
from keeper_grpc.telemetry.measured import (
    MeasuredCapture,
    MeasuredEnhance,
    MeasuredReaction,
)
from keeper_grpc.usecases.accounts.audit import AuditLog
from keeper_grpc.usecases.accounts.forget import ForgetAccount
from keeper_grpc.usecases.accounts.register import RegisterAccount
from keeper_grpc.usecases.accounts.update import UpdateAccount
from keeper_grpc.usecases.advice.enhance import EnhanceInsight
from keeper_grpc.usecases.advice.generate_task import GenerateTask
from keeper_grpc.usecases.advice.preview import PreviewInsight
from keeper_grpc.usecases.advice.report_outcome import ReportOutcome
from keeper_grpc.usecases.advice.report_reaction import ReportReaction
from keeper_grpc.usecases.emerging.feed import EmergingFeed, FeedTiming
from keeper_grpc.usecases.metrics.account_value import GetAccountValue
from keeper_grpc.usecases.metrics.feed import MetricsFeed
from keeper_grpc.usecases.metrics.network_metrics import GetNetworkMetrics
from keeper_grpc.usecases.metrics.report import MetricsReports
from keeper_grpc.usecases.metrics.report_cache import ReportCache
from keeper_grpc.usecases.patterns.capture import CapturePattern
from keeper_grpc.usecases.patterns.read import PublishedPatterns
from keeper_grpc.usecases.patterns.support import GetPatternSupport
from keeper_grpc.usecases.patterns.withdraw import Withdraw

READINESS_INTERVAL = 2.0
"""Seconds between checks of the database: a probe that comes every few seconds sees an outage at its next turn."""


class ServerParts:
    """Makes the server, and those of its parts that others need, too."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def enhance(self) -> MeasuredEnhance:
        def on(embedder: CachedEmbedder) -> EnhanceInsight:
            return EnhanceInsight(
                patterns=self._parts.candidates,
                enhancements=self._parts.records,
                holdout=self._parts.settings.holdout_share,
                exploration=Exploration(
                    script_share=self._parts.settings.script_exploration,
                    pattern_share=self._parts.settings.pattern_exploration,
                    most_loss=self._parts.settings.exploration_loss,
                ),
                without_embedder=self._parts.settings.enhance_without_embedder,
                accounts=self._parts.accounts,
                anonymizer=self._parts.anonymizer,
                embedder=embedder,
                rule=self._parts.rule,
                clock=self._parts.clock,
                new_id=uuid4,
            )

        return MeasuredEnhance(
            OnModelInUse(self._parts.models, on), self._parts.telemetry.instruments
        )

    def enhance_stream(self, enhance: MeasuredEnhance) -> EnhanceStream:
        return EnhanceStream(
            enhance=enhance,
            in_flight=self._parts.settings.stream_in_flight,
            max_duration=self._parts.settings.max_call_duration.total_seconds(),
            admit=QuestionAdmission(
                self._parts.access.authenticator, self._parts.speak_for, self._parts.meter
            ),
            on_answer=self._parts.telemetry.instruments.question_answered,
            spans=self._parts.telemetry.spans,
            gate=self._parts.gate,
        )

    def capture(self) -> MeasuredCapture:
        def on(embedder: CachedEmbedder) -> CapturePattern:
            return CapturePattern(
                writer=self._parts.writer,
                accounts=self._parts.accounts,
                anonymizer=self._parts.anonymizer,
                embedder=embedder,
                clock=self._parts.clock,
            )

        return MeasuredCapture(
            OnModelInUse(self._parts.models, on), self._parts.telemetry.instruments
        )

    def metrics(self) -> MetricsReports:
        return MetricsReports(
            store=PostgresMetrics(self._parts.pool, self._parts.replica),
            rule=self._parts.rule,
            clock=self._parts.clock,
        )

    def metrics_feed(self, metrics: MetricsReports) -> MetricsFeed:
        return MetricsFeed(
            reports=ReportCache(
                metrics=metrics, store=PostgresMetrics(self._parts.pool, self._parts.replica)
            ),
            timing=self._parts.stream_timing,
            clock=self._parts.clock,
            rng=Random(),  # noqa: S311 - spreads the ends of streams, no secrets
        )

    def server(
        self,
        *,
        feed: EmergingFeed,
        enhance: MeasuredEnhance,
        enhance_stream: EnhanceStream,
        metrics: MetricsReports,
        metrics_feed: MetricsFeed,
        ports: Ports,
    ) -> Server:
        # Whoever reads after an operator's change, or after an account was forgotten, sees it.
        present = self._parts.replica.then_present
        return Server(
            network=NetworkLearning(
                capture=self.capture(),
                enhance=enhance,
                enhance_stream=enhance_stream,
                preview=OnModelInUse(self._parts.models, self._preview_on),
                report=OnModelInUse(self._parts.models, self._report_on),
                react=MeasuredReaction(
                    ReportReaction(
                        accounts=self._parts.accounts,
                        store=PostgresReactions(self._parts.pool, self._parts.counting.step),
                        clock=self._parts.clock,
                    ),
                    self._parts.telemetry.instruments,
                ),
                task=GenerateTask(
                    accounts=self._parts.accounts,
                    anonymizer=self._parts.anonymizer,
                    store=PublishedAdvice(
                        self._parts.pool,
                        self._parts.published,
                        self._parts.outcomes,
                        self._parts.rule,
                    ),
                    rule=self._parts.rule,
                    clock=self._parts.clock,
                ),
                suggest=self._parts.suggest,
                moves_stream=MovesStream(
                    self._parts.moves,
                    self._parts.rule,
                    QuestionAdmission(
                        self._parts.access.authenticator,
                        self._parts.speak_for,
                        self._parts.meter,
                        rpc="StreamMoves",
                    ),
                ),
                emerging_stream=EmergingStream(feed),
                metrics=GetNetworkMetrics(
                    metrics=metrics,
                    store=PostgresMetrics(self._parts.pool, self._parts.replica),
                    clock=self._parts.clock,
                ),
                metrics_stream=MetricsStream(metrics_feed),
                account_value=GetAccountValue(
                    accounts=self._parts.accounts,
                    store=PostgresAccountValue(self._parts.pool),
                    rule=self._parts.rule,
                    clock=self._parts.clock,
                ),
                patterns=PublishedPatterns(store=self._parts.patterns, rule=self._parts.rule),
                rule=self._parts.rule,
                fingerprint=self._parts.pseudonyms.fingerprints,
            ),
            admin=Admin(
                register=present(
                    RegisterAccount(
                        accounts=self._parts.accounts,
                        pseudonyms=self._parts.pseudonyms,
                        store=self._parts.remembered_accounts,
                        qualify=self._parts.qualify,
                        clock=self._parts.clock,
                        new_id=uuid4,
                    )
                ),
                update=present(
                    UpdateAccount(
                        accounts=self._parts.accounts,
                        pseudonyms=self._parts.pseudonyms,
                        store=self._parts.remembered_accounts,
                        refresh=self._parts.refresh,
                        clock=self._parts.clock,
                        new_id=uuid4,
                    )
                ),
                forget=present(OnModelInUse(self._parts.models, self._forget_on)),
                withdraw=present(
                    Withdraw(
                        store=PostgresWithdrawal(self._parts.pool),
                        clock=self._parts.clock,
                        new_id=uuid4,
                    )
                ),
                support=GetPatternSupport(
                    store=PostgresPatterns(
                        self._parts.pool,
                        half_life=self._parts.settings.evidence_half_life,
                        clock=self._parts.clock,
                    ),
                    rule=self._parts.rule,
                ),
                audit=AuditLog(PostgresAudit(self._parts.pool)),
            ),
            # The embedder has answered at the start.
            ready=Readiness(self._parts.pool),
            guards=self._guards(),
            ports=ports,
            reflection=self._parts.settings.reflection,
            gate=self._parts.gate,
            unaccepted=self._parts.unaccepted,
            durations=self._durations(),
            readiness_interval=READINESS_INTERVAL,
            on_end=self._parts.telemetry.instruments.call_ended,
            spans=self._parts.telemetry.spans,
        )

    def _guards(self) -> Guards:
        limits = identity_limits(self._parts.settings)
        return Guards(
            Authentication(
                self._parts.access.authenticator,
                reflection=self._parts.settings.reflection,
                unauthenticated=replace(UNAUTHENTICATED, limits=limits),
            ),
            IdentityLimits(self._parts.meter),
            Authorization(self._parts.speak_for),
        )

    def _durations(self) -> Durations:
        question = self._parts.settings.question_deadline.total_seconds()
        read = self._parts.settings.read_deadline.total_seconds()
        return Durations(
            self._parts.settings.max_call_duration.total_seconds(),
            {Kind.QUESTION: question, Kind.READ: read, Kind.REPORT: read},
        )

    def feed(self) -> EmergingFeed:
        return EmergingFeed(
            store=PostgresEmergingFeed(self._parts.pool, self._parts.replica),
            timing=FeedTiming(
                heartbeat=self._parts.settings.stream_heartbeat,
                max_age=self._parts.settings.stream_max_age,
                stall=self._parts.settings.stream_stall,
            ),
            buffer=self._parts.settings.stream_buffer,
            clock=self._parts.clock,
            rng=Random(),  # noqa: S311 - spreads the ends of streams, no secrets
        )

    def _preview_on(self, embedder: CachedEmbedder) -> PreviewInsight:
        return PreviewInsight(
            anonymizer=self._parts.anonymizer,
            embedder=embedder.uncached,
            patterns=self._parts.candidates,
            rule=self._parts.rule,
            clock=self._parts.clock,
            new_id=uuid4,
        )

    def _report_on(self, embedder: CachedEmbedder) -> ReportOutcome:
        return ReportOutcome(
            accounts=self._parts.accounts,
            embedder=embedder,
            store=self._parts.outcomes,
            writer=self._parts.writer,
            clock=self._parts.clock,
        )

    def _forget_on(self, embedder: CachedEmbedder) -> ForgetAccount:
        return ForgetAccount(
            pseudonyms=self._parts.pseudonyms,
            embedder=embedder,
            store=PostgresForgetting(self._parts.pool, self._parts.remembered_accounts),
            memory=self._parts.candidates,
            rule=self._parts.rule,
            tombstone_retention=self._parts.settings.tombstone_retention,
            clock=self._parts.clock,
            new_id=uuid4,
        )
