"""The composition root: what a server is made of, and how its parts are joined."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cached_property, partial
from random import Random
from uuid import uuid4

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.kinds import Kind, lanes
from keeper_grpc.catalog.load import Catalog
from keeper_grpc.composition.access import Access
from keeper_grpc.composition.limits import identity_limits
from keeper_grpc.composition.shared import counting_of, make_anonymizer, qualification
from keeper_grpc.domain.access.identity import UNAUTHENTICATED
from keeper_grpc.domain.access.meter import Meter
from keeper_grpc.domain.advice.exploration import Exploration
from keeper_grpc.domain.emerging.model import Emergence, Proven
from keeper_grpc.domain.emerging.novelty import NoveltyScale
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.models.detector import DetectorInUse
from keeper_grpc.models.in_use import ModelInUse, OnModelInUse
from keeper_grpc.privacy.approved import KAccountWords
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.privacy.remembering import RememberingAnonymizer
from keeper_grpc.rpc.interceptors.admission import Durations
from keeper_grpc.rpc.interceptors.authentication import Authentication
from keeper_grpc.rpc.interceptors.authorization import Authorization
from keeper_grpc.rpc.interceptors.identity_limits import IdentityLimits
from keeper_grpc.rpc.server import Guards, Ports, Server
from keeper_grpc.rpc.servicer import Admin, NetworkLearning
from keeper_grpc.rpc.streams.admission import QuestionAdmission
from keeper_grpc.rpc.streams.emerging import EmergingStream
from keeper_grpc.rpc.streams.enhance import EnhanceStream
from keeper_grpc.rpc.streams.in_turn import SuggestInTurn
from keeper_grpc.rpc.streams.metrics import MetricsStream
from keeper_grpc.rpc.streams.moves import MovesStream
from keeper_grpc.rpc.unaccepted import Unaccepted
from keeper_grpc.settings import Settings
from keeper_grpc.storage.accounts.audit import PostgresAudit
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.accounts.qualification import PostgresQualification
from keeper_grpc.storage.accounts.remembered import RememberedAccounts
from keeper_grpc.storage.accounts.tombstones import PostgresTombstones
from keeper_grpc.storage.accounts.unknown_words import PostgresWords
from keeper_grpc.storage.advice.candidates import PostgresCandidates
from keeper_grpc.storage.advice.enhancements import PostgresEnhancements
from keeper_grpc.storage.advice.learned_triggers import PostgresTriggers
from keeper_grpc.storage.advice.outcomes import PostgresOutcomes
from keeper_grpc.storage.advice.published.following import FollowPublished
from keeper_grpc.storage.advice.published.handed_out import PublishedAdvice
from keeper_grpc.storage.advice.published.memory import PublishedMemory
from keeper_grpc.storage.advice.published.moves import PublishedMoves
from keeper_grpc.storage.advice.published.patterns import ReadPatterns
from keeper_grpc.storage.advice.published.reads import PublishedCandidates
from keeper_grpc.storage.advice.reactions import PostgresReactions
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.storage.emerging.feed import PostgresEmergingFeed
from keeper_grpc.storage.emerging.retention import PostgresRetention
from keeper_grpc.storage.evidence.lifts import PostgresLifts
from keeper_grpc.storage.evidence.priors import PostgresPriors
from keeper_grpc.storage.evidence.stale import PostgresStalePatterns
from keeper_grpc.storage.metrics.account_value import PostgresAccountValue
from keeper_grpc.storage.metrics.inputs import PostgresMetrics
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.patterns.authored import PostgresAuthored
from keeper_grpc.storage.patterns.groups import PostgresGroups
from keeper_grpc.storage.patterns.places_memory import PlacesMemory
from keeper_grpc.storage.patterns.read import PostgresPatterns
from keeper_grpc.storage.patterns.withdrawal import PostgresWithdrawal
from keeper_grpc.storage.readiness import Readiness
from keeper_grpc.storage.replica import Replica
from keeper_grpc.storage.retention.aged import aged_rows
from keeper_grpc.storage.retention.questions import OldQuestions
from keeper_grpc.storage.retention.sizes import PostgresSizes
from keeper_grpc.storage.retention.vectors import SpareVectors
from keeper_grpc.storage.retention.words import RareWords
from keeper_grpc.telemetry.measured import (
    MeasuredAnonymizer,
    MeasuredCapture,
    MeasuredEnhance,
    MeasuredReaction,
)
from keeper_grpc.telemetry.telemetry import Telemetry
from keeper_grpc.usecases.accounts.approve_words import ApproveWords
from keeper_grpc.usecases.accounts.audit import AuditLog
from keeper_grpc.usecases.accounts.forget import ForgetAccount
from keeper_grpc.usecases.accounts.qualify import QualifyAccounts
from keeper_grpc.usecases.accounts.register import RegisterAccount
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.accounts.speak_for import SpeakFor
from keeper_grpc.usecases.accounts.tombstones import TrimTombstones
from keeper_grpc.usecases.accounts.update import UpdateAccount
from keeper_grpc.usecases.advice.enhance import EnhanceInsight
from keeper_grpc.usecases.advice.enhancement_writer import EnhancementWriter
from keeper_grpc.usecases.advice.generate_task import GenerateTask
from keeper_grpc.usecases.advice.learn_triggers import LearnTriggers
from keeper_grpc.usecases.advice.moves_feed import MovesFeed
from keeper_grpc.usecases.advice.preview import PreviewInsight
from keeper_grpc.usecases.advice.report_outcome import ReportOutcome
from keeper_grpc.usecases.advice.report_reaction import ReportReaction
from keeper_grpc.usecases.advice.revise_outcome import ReviseOutcome
from keeper_grpc.usecases.advice.suggest import SuggestMoves
from keeper_grpc.usecases.emerging.detector import DetectEmerging, DetectorTiming
from keeper_grpc.usecases.emerging.feed import EmergingFeed, FeedTiming
from keeper_grpc.usecases.emerging.retention import TrimEvents
from keeper_grpc.usecases.evidence.learn_lifts import LearnLifts
from keeper_grpc.usecases.evidence.learn_priors import LearnPriors
from keeper_grpc.usecases.evidence.refresh import RefreshEvidence
from keeper_grpc.usecases.metrics.account_value import GetAccountValue
from keeper_grpc.usecases.metrics.feed import MetricsFeed
from keeper_grpc.usecases.metrics.fold import FoldMeasures
from keeper_grpc.usecases.metrics.network_metrics import GetNetworkMetrics
from keeper_grpc.usecases.metrics.report import MetricsReports
from keeper_grpc.usecases.metrics.report_cache import ReportCache
from keeper_grpc.usecases.patterns.capture import CapturePattern
from keeper_grpc.usecases.patterns.maintain import Maintain
from keeper_grpc.usecases.patterns.read import PublishedPatterns
from keeper_grpc.usecases.patterns.scope_group import WriteGroup
from keeper_grpc.usecases.patterns.scope_writer import GROUPS_AT_ONCE, ScopeWriter
from keeper_grpc.usecases.patterns.seed import SeedCatalog
from keeper_grpc.usecases.patterns.support import GetPatternSupport
from keeper_grpc.usecases.patterns.withdraw import Withdraw
from keeper_grpc.usecases.ports import Clock
from keeper_grpc.usecases.retention.keep_bounds import KeepBounds
from keeper_grpc.usecases.retention.measure_sizes import MeasureSizes
from keeper_grpc.usecases.stream_lifetime import StreamTiming

READINESS_INTERVAL = 2.0
"""Seconds between checks of the database: a probe that comes every few seconds sees an outage at its next turn."""

SIZES_INTERVAL = timedelta(minutes=5)
"""How often the tables' sizes are looked up: they change slowly, and the look costs a statement."""

TRIGGER_INTERVAL = timedelta(minutes=10)
"""How often triggers are learned. They change as fast as evidence does: in days."""

WORDS_INTERVAL = timedelta(minutes=5)
"""How often the words that k accounts use are read: a new brand takes weeks to reach k, not minutes."""


class ServerParts:
    """Makes the parts of one serving process, each from those that it needs."""

    def __init__(
        self,
        settings: Settings,
        pool: Database,
        models: ModelInUse,
        *,
        access: Access,
        pseudonyms: Pseudonyms,
        catalog: Catalog,
        clock: Clock,
        telemetry: Telemetry,
        replica: Replica,
    ) -> None:
        self._access = access
        self._settings = settings
        self._pool = pool
        self._replica = replica
        self._models = models
        self._clock = clock
        self._telemetry = telemetry
        self._unaccepted = Unaccepted()
        self.gate = Gate(
            # A database that does not answer one report does not answer those that wait behind it.
            lanes(shared_failures=(StorageUnavailable,)),
            ahead=self._unaccepted,
            on_wait=telemetry.instruments.waited_for_turn,
        )
        self._pseudonyms = pseudonyms
        self._words = KAccountWords(self._pseudonyms.word_hash)
        self.remembering_anonymizer = RememberingAnonymizer(
            make_anonymizer(
                settings, catalog, approved=self._words, hash_word=self._pseudonyms.word_hash
            ),
            self._words,
        )
        self._anonymizer = MeasuredAnonymizer(self.remembering_anonymizer, telemetry.instruments)
        self._counting = counting_of(settings)
        self._rule = self._counting.rule
        self._indexes = PostgresAnnIndexes(pool)
        self.published = PublishedMemory(
            pool, k=self._rule.k, limit=settings.published_memory * 2**20
        )
        pool.on_change(self.published.committed)
        self.places = PlacesMemory(pool, limit=settings.places_memory * 2**20)
        pool.on_change(self.places.committed)
        self.candidates = PublishedCandidates(
            self.published,
            PostgresCandidates(
                pool, self._indexes, half_life=settings.evidence_half_life, clock=clock
            ),
            pool,
            self._indexes,
            half_life=settings.evidence_half_life,
            clock=clock,
        )
        self._patterns = ReadPatterns(
            replica, self.published, half_life=settings.evidence_half_life, clock=clock
        )
        self._outcomes = PostgresOutcomes(pool, self._counting)
        self.remembered_accounts = RememberedAccounts(pool)
        """A second of memory; `run` it as a task."""
        self._accounts = AccountResolver(
            pseudonyms=self._pseudonyms,
            anonymizer=self._anonymizer,
            store=self.remembered_accounts,
            qualification=qualification(settings),
            clock=self._clock,
        )
        self._speak_for = SpeakFor(pseudonyms=self._pseudonyms, store=self.remembered_accounts)
        self._meter = Meter()
        self.writer = ScopeWriter(
            WriteGroup(
                store=PostgresGroups(pool, self._counting, self.places),
                rule=self._rule,
                new_id=uuid4,
            ),
            ReviseOutcome(self._outcomes, self._rule),
            # Half of the pool stays for all other calls.
            at_once=min(GROUPS_AT_ONCE, settings.pool_size // 2),
            on_wait=partial(telemetry.instruments.waited_for_writer, "scopes"),
        )
        self.records = EnhancementWriter(
            PostgresEnhancements(pool),
            on_wait=partial(telemetry.instruments.waited_for_writer, "enhancements"),
        )
        self._suggest = SuggestMoves(
            accounts=self._accounts,
            anonymizer=self._anonymizer,
            store=PublishedMoves(
                pool, self.published, half_life=settings.evidence_half_life, clock=clock
            ),
            rule=self._rule,
        )
        self._stream_timing = StreamTiming(
            heartbeat=settings.stream_heartbeat,
            stall=settings.stream_stall,
            max_age=settings.stream_max_age,
        )
        self.moves = MovesFeed(
            suggest=SuggestInTurn(
                self._suggest, self.gate, settings.question_deadline.total_seconds()
            ),
            timing=self._stream_timing,
            clock=clock,
            rng=Random(),  # noqa: S311 - spreads the ends of streams, no secrets
        )
        self._refresh = RefreshEvidence(PostgresStalePatterns(pool, self._counting))
        self._qualify = QualifyAccounts(
            store=PostgresQualification(pool),
            refresh=self._refresh,
            rule=qualification(settings),
            clock=self._clock,
            interval=settings.qualification_interval,
        )

    def enhance(self) -> MeasuredEnhance:
        def on(embedder: CachedEmbedder) -> EnhanceInsight:
            return EnhanceInsight(
                patterns=self.candidates,
                enhancements=self.records,
                holdout=self._settings.holdout_share,
                exploration=Exploration(
                    script_share=self._settings.script_exploration,
                    pattern_share=self._settings.pattern_exploration,
                    most_loss=self._settings.exploration_loss,
                ),
                without_embedder=self._settings.enhance_without_embedder,
                accounts=self._accounts,
                anonymizer=self._anonymizer,
                embedder=embedder,
                rule=self._rule,
                clock=self._clock,
                new_id=uuid4,
            )

        return MeasuredEnhance(OnModelInUse(self._models, on), self._telemetry.instruments)

    def following(self) -> FollowPublished:
        return FollowPublished(self._pool, self.published, self.places)

    def enhance_stream(self, enhance: MeasuredEnhance) -> EnhanceStream:
        return EnhanceStream(
            enhance=enhance,
            in_flight=self._settings.stream_in_flight,
            max_duration=self._settings.max_call_duration.total_seconds(),
            admit=QuestionAdmission(self._access.authenticator, self._speak_for, self._meter),
            on_answer=self._telemetry.instruments.question_answered,
            spans=self._telemetry.spans,
            gate=self.gate,
        )

    def capture(self) -> MeasuredCapture:
        def on(embedder: CachedEmbedder) -> CapturePattern:
            return CapturePattern(
                writer=self.writer,
                accounts=self._accounts,
                anonymizer=self._anonymizer,
                embedder=embedder,
                clock=self._clock,
            )

        return MeasuredCapture(OnModelInUse(self._models, on), self._telemetry.instruments)

    async def close_memories(self) -> None:
        """End the loads that are under way."""
        await self.published.aclose()
        await self.places.aclose()

    async def close_writers(self) -> None:
        """Wait until all that calls handed over is written, also of callers that went away."""
        await self.writer.close()
        await self.records.close()

    def seeding(self) -> SeedCatalog:
        return SeedCatalog(
            anonymizer=self._anonymizer,
            embedder=self._models.current,
            store=PostgresAuthored(self._pool, self._rule),
            clock=self._clock,
            new_id=uuid4,
        )

    def metrics(self) -> MetricsReports:
        return MetricsReports(
            store=PostgresMetrics(self._pool, self._replica), rule=self._rule, clock=self._clock
        )

    def folding(self) -> FoldMeasures:
        return FoldMeasures(PostgresMetrics(self._pool))

    def metrics_feed(self, metrics: MetricsReports) -> MetricsFeed:
        return MetricsFeed(
            reports=ReportCache(metrics=metrics, store=PostgresMetrics(self._pool, self._replica)),
            timing=self._stream_timing,
            clock=self._clock,
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
        present = self._replica.then_present
        return Server(
            network=NetworkLearning(
                capture=self.capture(),
                enhance=enhance,
                enhance_stream=enhance_stream,
                preview=OnModelInUse(self._models, self._preview_on),
                report=OnModelInUse(self._models, self._report_on),
                react=MeasuredReaction(
                    ReportReaction(
                        accounts=self._accounts,
                        store=PostgresReactions(self._pool, self._counting.step),
                        clock=self._clock,
                    ),
                    self._telemetry.instruments,
                ),
                task=GenerateTask(
                    accounts=self._accounts,
                    anonymizer=self._anonymizer,
                    store=PublishedAdvice(self._pool, self.published, self._outcomes, self._rule),
                    rule=self._rule,
                    clock=self._clock,
                ),
                suggest=self._suggest,
                moves_stream=MovesStream(
                    self.moves,
                    self._rule,
                    QuestionAdmission(
                        self._access.authenticator,
                        self._speak_for,
                        self._meter,
                        rpc="StreamMoves",
                    ),
                ),
                emerging_stream=EmergingStream(feed),
                metrics=GetNetworkMetrics(
                    metrics=metrics,
                    store=PostgresMetrics(self._pool, self._replica),
                    clock=self._clock,
                ),
                metrics_stream=MetricsStream(metrics_feed),
                account_value=GetAccountValue(
                    accounts=self._accounts,
                    store=PostgresAccountValue(self._pool),
                    rule=self._rule,
                    clock=self._clock,
                ),
                patterns=PublishedPatterns(store=self._patterns, rule=self._rule),
                rule=self._rule,
                fingerprint=self._pseudonyms.fingerprints,
            ),
            admin=Admin(
                register=present(
                    RegisterAccount(
                        accounts=self._accounts,
                        pseudonyms=self._pseudonyms,
                        store=self.remembered_accounts,
                        qualify=self._qualify,
                        clock=self._clock,
                        new_id=uuid4,
                    )
                ),
                update=present(
                    UpdateAccount(
                        accounts=self._accounts,
                        pseudonyms=self._pseudonyms,
                        store=self.remembered_accounts,
                        refresh=self._refresh,
                        clock=self._clock,
                        new_id=uuid4,
                    )
                ),
                forget=present(OnModelInUse(self._models, self._forget_on)),
                withdraw=present(
                    Withdraw(store=PostgresWithdrawal(self._pool), clock=self._clock, new_id=uuid4)
                ),
                support=GetPatternSupport(
                    store=PostgresPatterns(
                        self._pool, half_life=self._settings.evidence_half_life, clock=self._clock
                    ),
                    rule=self._rule,
                ),
                audit=AuditLog(PostgresAudit(self._pool)),
            ),
            # The embedder has answered at the start.
            ready=Readiness(self._pool),
            guards=self._guards(),
            ports=ports,
            reflection=self._settings.reflection,
            gate=self.gate,
            unaccepted=self._unaccepted,
            durations=self._durations(),
            readiness_interval=READINESS_INTERVAL,
            on_end=self._telemetry.instruments.call_ended,
            spans=self._telemetry.spans,
        )

    def _guards(self) -> Guards:
        limits = identity_limits(self._settings)
        return Guards(
            Authentication(
                self._access.authenticator,
                reflection=self._settings.reflection,
                unauthenticated=replace(UNAUTHENTICATED, limits=limits),
            ),
            IdentityLimits(self._meter),
            Authorization(self._speak_for),
        )

    def _durations(self) -> Durations:
        question = self._settings.question_deadline.total_seconds()
        read = self._settings.read_deadline.total_seconds()
        return Durations(
            self._settings.max_call_duration.total_seconds(),
            {Kind.QUESTION: question, Kind.READ: read, Kind.REPORT: read},
        )

    def feed(self) -> EmergingFeed:
        return EmergingFeed(
            store=PostgresEmergingFeed(self._pool, self._replica),
            timing=FeedTiming(
                heartbeat=self._settings.stream_heartbeat,
                max_age=self._settings.stream_max_age,
                stall=self._settings.stream_stall,
            ),
            buffer=self._settings.stream_buffer,
            clock=self._clock,
            rng=Random(),  # noqa: S311 - spreads the ends of streams, no secrets
        )

    def detector(self) -> DetectorInUse:
        return DetectorInUse(self._models, self._detector_on)

    def _detector_on(self, embedder: CachedEmbedder) -> DetectEmerging:
        settings, thresholds = self._settings, embedder.thresholds
        wanted = settings.emerging_min_similarity
        return DetectEmerging(
            store=PostgresDetection(self._pool, embedder.model),
            cluster_threshold=thresholds.cluster,
            emergence=Emergence(
                # Never below k, because what emerges is published.
                min_accounts=max(settings.emerging_min_accounts, settings.min_accounts),
                min_similarity=thresholds.cluster if wanted is None else wanted,
            ),
            proven=Proven(
                min_similarity=thresholds.merge,
                min_lower_bound=settings.proven_lower_bound,
                k=settings.min_accounts,
            ),
            k=settings.min_accounts,
            embedder=embedder,
            scale=NoveltyScale.of(thresholds),
            timing=DetectorTiming(
                window=settings.emerging_window, full_pass=settings.emerging_full_pass
            ),
            clock=self._clock,
            new_id=uuid4,
        )

    def priors(self) -> LearnPriors:
        return LearnPriors(
            store=PostgresPriors(
                self._pool, half_life=self._settings.evidence_half_life, clock=self._clock
            ),
            rule=self._rule,
            interval=self._settings.prior_interval,
        )

    def lifts(self) -> LearnLifts:
        return LearnLifts(
            store=PostgresLifts(self._pool),
            rule=self._rule,
            interval=self._settings.prior_interval,
        )

    def triggers(self) -> LearnTriggers:
        return LearnTriggers(
            store=PostgresTriggers(self._pool),
            rule=self._rule,
            interval=TRIGGER_INTERVAL,
            clock=self._clock,
        )

    def words(self) -> ApproveWords:
        return ApproveWords(
            store=PostgresWords(self._pool),
            approved=self._words,
            k=self._settings.min_accounts,
            manual=self._settings.word_approval == "manual",
            interval=WORDS_INTERVAL,
        )

    def qualification(self) -> QualifyAccounts:
        return self._qualify

    def tombstones(self) -> TrimTombstones:
        return TrimTombstones(
            store=PostgresTombstones(self._pool),
            clock=self._clock,
            interval=self._settings.maintenance_interval,
        )

    def maintenance(self) -> Maintain:
        return Maintain(
            store=self._indexes,
            scope_size=self._settings.ann_scope_size,
            interval=self._settings.maintenance_interval,
        )

    @cached_property
    def bounds(self) -> KeepBounds:
        settings = self._settings
        return KeepBounds(
            (
                OldQuestions(self._pool, settings.enhancement_retention),
                *aged_rows(
                    self._pool,
                    requests=settings.request_retention,
                    audit=settings.audit_retention,
                ),
                RareWords(self._pool, settings.word_retention, settings.min_accounts),
                SpareVectors(self._pool, settings.embedding_store_size),
            ),
            interval=settings.maintenance_interval,
            clock=self._clock,
        )

    @cached_property
    def sizes(self) -> MeasureSizes:
        return MeasureSizes(PostgresSizes(self._pool), interval=SIZES_INTERVAL)

    def retention(self) -> TrimEvents:
        return TrimEvents(
            store=PostgresRetention(self._pool),
            retention=self._settings.event_retention,
            interval=self._settings.maintenance_interval,
            clock=self._clock,
        )

    def _preview_on(self, embedder: CachedEmbedder) -> PreviewInsight:
        return PreviewInsight(
            anonymizer=self._anonymizer,
            embedder=embedder.uncached,
            patterns=self.candidates,
            rule=self._rule,
            clock=self._clock,
            new_id=uuid4,
        )

    def _report_on(self, embedder: CachedEmbedder) -> ReportOutcome:
        return ReportOutcome(
            accounts=self._accounts,
            embedder=embedder,
            store=self._outcomes,
            writer=self.writer,
            clock=self._clock,
        )

    def _forget_on(self, embedder: CachedEmbedder) -> ForgetAccount:
        return ForgetAccount(
            pseudonyms=self._pseudonyms,
            embedder=embedder,
            store=PostgresForgetting(self._pool, self.remembered_accounts),
            memory=self.candidates,
            rule=self._rule,
            tombstone_retention=self._settings.tombstone_retention,
            clock=self._clock,
            new_id=uuid4,
        )
