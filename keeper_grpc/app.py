"""The composition root: the only place where parts are made and joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import uuid4

import structlog

from keeper_grpc.catalog.load import Catalog, load_catalog
from keeper_grpc.domain.emerging.model import Emergence, Proven
from keeper_grpc.domain.errors import EmbedderUnavailable, StorageUnavailable
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.parts import authored_patterns, make_anonymizer, make_embedder, open_pool, utc_now
from keeper_grpc.privacy.approved import KAccountWords
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.pseudonym_keys import make_pseudonyms
from keeper_grpc.rpc.server import Server
from keeper_grpc.rpc.servicer import Admin, NetworkLearning
from keeper_grpc.rpc.streams.emerging import EmergingStream
from keeper_grpc.rpc.streams.enhance import EnhanceStream
from keeper_grpc.rpc.streams.metrics import MetricsStream
from keeper_grpc.settings import Settings
from keeper_grpc.start_checks import given_pseudonyms
from keeper_grpc.storage.accounts.accounts import PostgresAccounts
from keeper_grpc.storage.accounts.audit import PostgresAudit
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.accounts.unknown_words import PostgresWords
from keeper_grpc.storage.advice.candidates import PostgresCandidates
from keeper_grpc.storage.advice.enhancements import PostgresEnhancements
from keeper_grpc.storage.advice.outcomes import PostgresReports
from keeper_grpc.storage.advice.suggestions import PostgresMoves
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.storage.emerging.feed import PostgresEmergingFeed
from keeper_grpc.storage.emerging.retention import PostgresRetention
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from keeper_grpc.storage.metrics.inputs import PostgresMetrics
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.patterns.authored import PostgresAuthored
from keeper_grpc.storage.patterns.captures import PostgresCaptures
from keeper_grpc.storage.patterns.read import PostgresPatterns
from keeper_grpc.storage.schema.migrate import is_current
from keeper_grpc.storage.scope_turns import ScopeTurns
from keeper_grpc.telemetry.exporting import open_telemetry
from keeper_grpc.telemetry.measured import MeasuredAnonymizer, MeasuredCapture, MeasuredEnhance
from keeper_grpc.telemetry.telemetry import Telemetry
from keeper_grpc.telemetry.watched import (
    watch_cache,
    watch_detector,
    watch_feeds,
    watch_pool,
    watch_server,
)
from keeper_grpc.usecases.accounts.approve_words import ApproveWords
from keeper_grpc.usecases.accounts.audit import AuditLog
from keeper_grpc.usecases.accounts.forget import ForgetAccount
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.advice.enhance import EnhanceInsight
from keeper_grpc.usecases.advice.generate_task import GenerateTask
from keeper_grpc.usecases.advice.report_outcome import ReportOutcome
from keeper_grpc.usecases.advice.suggest import SuggestMoves
from keeper_grpc.usecases.emerging.detector import DetectEmerging, DetectorTiming
from keeper_grpc.usecases.emerging.feed import EmergingFeed, FeedTiming
from keeper_grpc.usecases.emerging.retention import TrimEvents
from keeper_grpc.usecases.metrics.feed import MetricsFeed
from keeper_grpc.usecases.metrics.fold import FoldMeasures
from keeper_grpc.usecases.metrics.report import NetworkMetrics
from keeper_grpc.usecases.metrics.report_cache import ReportCache
from keeper_grpc.usecases.patterns.capture import CapturePattern
from keeper_grpc.usecases.patterns.maintain import Maintain
from keeper_grpc.usecases.patterns.read import PublishedPatterns
from keeper_grpc.usecases.patterns.seed import SeedCatalog
from keeper_grpc.usecases.ports import Clock
from keeper_grpc.usecases.stream_lifetime import StreamTiming

log = structlog.get_logger()

READINESS_INTERVAL = 2.0
"""Seconds between looks at the database: a probe every few seconds sees an outage at its next turn."""

WORDS_INTERVAL = timedelta(minutes=5)
"""Between looks for words that k accounts use: a new brand takes weeks to reach k, not minutes."""

CANCEL_AGAIN = 0.5
"""Seconds after which a background task that has not ended is cancelled once more."""


class App:
    """A running service.

    `failed` is set when one of its background loops died of a defect: it is then no longer whole, and
    should be drained and started anew. `metrics_port` is where Prometheus connects to, if it may.
    """

    def __init__(
        self,
        server: Server,
        streams: Sequence[EmergingFeed | EnhanceStream | MetricsFeed],
        drain_grace: float,
        failed: asyncio.Event,
        metrics_port: int | None,
    ) -> None:
        self.failed = failed
        self.metrics_port = metrics_port
        self._server = server
        self._streams = streams
        self._drain_grace = drain_grace

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return self._server.port

    async def drain(self) -> None:
        """Become not ready, end the streams, let calls in flight finish."""
        await self._server.announce_drain()
        for stream in self._streams:
            stream.drain()
        await self._server.stop(self._drain_grace)


@asynccontextmanager
async def application(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[App]:
    """Start the service, and close everything in the opposite order at the end.

    `clock` is what the service takes for the time; a simulation passes its own.

    Raises what stops a start, with a line for the operator: SettingsInvalid, EmbeddedPostgresError,
    DatabaseUnfit, MigrationError, EvidenceStale, ModelUnusable, KeyFileInvalid, PseudonymKeysUnfit,
    TelemetryUnusable, RuntimeError (port taken).
    """
    # Keys that cannot be read should not wait for a database.
    given_pseudonyms(settings)
    async with AsyncExitStack() as stack:
        telemetry = await stack.enter_async_context(
            open_telemetry(settings.metrics_host, settings.metrics_port)
        )
        pool = await stack.enter_async_context(open_pool(settings, telemetry))
        # Before anything is written.
        pseudonyms = await make_pseudonyms(settings, pool)
        await PostgresRebuild(pool).agree(settings.evidence_half_life)
        embedder = await make_embedder(settings, pool, telemetry)
        stack.push_async_callback(embedder.aclose)
        # Calls nothing at a price later: the vector of this text is cached for good.
        await embedder.embed(["ready"])
        catalog = load_catalog()
        parts = _Parts(
            settings,
            pool,
            embedder,
            pseudonyms=pseudonyms,
            catalog=catalog,
            clock=clock,
            telemetry=telemetry,
        )
        if settings.seed_catalog:
            await _seed(parts.seeding(), catalog)
        words = parts.words()
        await words()
        feed = parts.feed()
        enhance = parts.enhance()
        enhance_stream = parts.enhance_stream(enhance)
        metrics = NetworkMetrics(
            store=PostgresMetrics(pool), rule=PublicationRule(settings.min_accounts), clock=clock
        )
        metrics_feed = parts.metrics_feed(metrics)
        server = parts.server(feed, enhance, enhance_stream, metrics, metrics_feed)
        detector = parts.detector()
        watch_pool(telemetry.instruments, pool)
        watch_cache(telemetry.instruments, embedder)
        watch_feeds(telemetry.instruments, feed, metrics_feed)
        watch_detector(telemetry.instruments, detector)
        watch_server(telemetry.instruments, server)
        failed = asyncio.Event()
        for name, loop in (
            ("feed", feed.run()),
            ("detector", detector.run()),
            ("maintenance", parts.maintenance().run()),
            ("retention", parts.retention().run()),
            ("words", words.run()),
            ("measures", FoldMeasures(PostgresMetrics(pool)).run()),
        ):
            task = asyncio.create_task(loop, name=name)
            task.add_done_callback(partial(_report_death, failed))
            stack.push_async_callback(_cancel, task)
        await server.start()
        app = App(
            server,
            (feed, enhance_stream, metrics_feed),
            settings.drain_grace.total_seconds(),
            failed,
            telemetry.metrics_port,
        )
        stack.push_async_callback(app.drain)
        yield app


class _Parts:
    """The parts of one process, joined."""

    def __init__(
        self,
        settings: Settings,
        pool: Database,
        embedder: CachedEmbedder,
        *,
        pseudonyms: Pseudonyms,
        catalog: Catalog,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._embedder = embedder
        self._clock = clock
        self._telemetry = telemetry
        self._pseudonyms = pseudonyms
        self._words = KAccountWords(self._pseudonyms.word_hash)
        self._anonymizer = MeasuredAnonymizer(
            make_anonymizer(
                settings, catalog, approved=self._words, hash_word=self._pseudonyms.word_hash
            ),
            telemetry.instruments,
        )
        self._rule = PublicationRule(settings.min_accounts)
        self._indexes = PostgresAnnIndexes(pool)
        self._patterns = PostgresPatterns(pool)
        self._reports = PostgresReports(pool, settings.evidence_half_life)
        self._accounts = AccountResolver(
            pseudonyms=self._pseudonyms,
            anonymizer=self._anonymizer,
            store=PostgresAccounts(pool),
            clock=self._clock,
        )

        # What the use cases that read an insight have in common.
        self._shared: dict[str, Any] = {
            "accounts": self._accounts,
            "anonymizer": self._anonymizer,
            "embedder": self._embedder,
            "rule": self._rule,
            "clock": self._clock,
            "new_id": uuid4,
        }

    def enhance(self) -> MeasuredEnhance:
        enhance = EnhanceInsight(
            patterns=PostgresCandidates(
                self._pool,
                self._indexes,
                half_life=self._settings.evidence_half_life,
                clock=self._clock,
            ),
            enhancements=PostgresEnhancements(self._pool),
            holdout=self._settings.holdout_share,
            exploration=self._settings.script_exploration,
            rng=Random(),  # noqa: S311 - draws wordings, not secrets
            **self._shared,
        )
        return MeasuredEnhance(enhance, self._telemetry.instruments)

    def enhance_stream(self, enhance: MeasuredEnhance) -> EnhanceStream:
        return EnhanceStream(
            enhance=enhance,
            in_flight=self._settings.stream_in_flight,
            max_duration=self._settings.max_call_duration.total_seconds(),
            on_answer=self._telemetry.instruments.question_answered,
            spans=self._telemetry.spans,
        )

    def capture(self) -> MeasuredCapture:
        capture = CapturePattern(
            store=PostgresCaptures(
                self._pool,
                self._settings.evidence_half_life,
                # Half of the pool stays for everyone else.
                ScopeTurns(self._settings.pool_size // 2),
            ),
            **self._shared,
        )
        return MeasuredCapture(capture, self._telemetry.instruments)

    def seeding(self) -> SeedCatalog:
        return SeedCatalog(
            anonymizer=self._anonymizer,
            embedder=self._embedder,
            store=PostgresAuthored(self._pool),
            clock=self._clock,
            new_id=uuid4,
        )

    def metrics_feed(self, metrics: NetworkMetrics) -> MetricsFeed:
        return MetricsFeed(
            reports=ReportCache(metrics=metrics, store=PostgresMetrics(self._pool)),
            timing=StreamTiming(
                heartbeat=self._settings.stream_heartbeat,
                stall=self._settings.stream_stall,
                max_age=self._settings.stream_max_age,
            ),
            clock=self._clock,
            rng=Random(),  # noqa: S311 - parts streams, no secrets
        )

    def server(
        self,
        feed: EmergingFeed,
        enhance: MeasuredEnhance,
        enhance_stream: EnhanceStream,
        metrics: NetworkMetrics,
        metrics_feed: MetricsFeed,
    ) -> Server:
        return Server(
            network=NetworkLearning(
                capture=self.capture(),
                enhance=enhance,
                enhance_stream=enhance_stream,
                report=ReportOutcome(
                    accounts=self._accounts,
                    embedder=self._embedder,
                    store=self._reports,
                    clock=self._clock,
                    new_id=uuid4,
                ),
                task=GenerateTask(
                    accounts=self._accounts,
                    anonymizer=self._anonymizer,
                    store=self._reports,
                    rule=self._rule,
                    clock=self._clock,
                ),
                suggest=SuggestMoves(
                    accounts=self._accounts,
                    embedder=self._embedder,
                    store=PostgresMoves(self._pool),
                    rule=self._rule,
                ),
                emerging_stream=EmergingStream(feed),
                metrics=metrics,
                metrics_stream=MetricsStream(metrics_feed),
                patterns=PublishedPatterns(store=self._patterns, rule=self._rule),
                rule=self._rule,
                fingerprint=self._pseudonyms.fingerprints,
            ),
            admin=Admin(
                accounts=self._accounts,
                forget=ForgetAccount(
                    pseudonyms=self._pseudonyms,
                    embedder=self._embedder,
                    store=PostgresForgetting(self._pool),
                    rule=self._rule,
                    clock=self._clock,
                    new_id=uuid4,
                ),
                audit=AuditLog(PostgresAudit(self._pool)),
            ),
            ready=self._ready,
            address=f"{self._settings.host}:{self._settings.port}",
            max_call_duration=self._settings.max_call_duration.total_seconds(),
            readiness_interval=READINESS_INTERVAL,
            on_end=self._telemetry.instruments.call_ended,
            spans=self._telemetry.spans,
        )

    def feed(self) -> EmergingFeed:
        return EmergingFeed(
            store=PostgresEmergingFeed(self._pool),
            timing=FeedTiming(
                heartbeat=self._settings.stream_heartbeat,
                max_age=self._settings.stream_max_age,
                stall=self._settings.stream_stall,
            ),
            buffer=self._settings.stream_buffer,
            clock=self._clock,
            rng=Random(),  # noqa: S311 - parts streams, no secrets
        )

    def detector(self) -> DetectEmerging:
        settings, thresholds = self._settings, self._embedder.thresholds
        wanted = settings.emerging_min_similarity
        return DetectEmerging(
            store=PostgresDetection(self._pool, self._embedder.model),
            cluster_threshold=thresholds.cluster,
            emergence=Emergence(
                # Never below k: what emerges is published.
                min_accounts=max(settings.emerging_min_accounts, settings.min_accounts),
                min_similarity=thresholds.cluster if wanted is None else wanted,
            ),
            proven=Proven(
                min_similarity=thresholds.merge,
                min_lower_bound=settings.proven_lower_bound,
                min_accounts=settings.min_accounts,
            ),
            k=settings.min_accounts,
            timing=DetectorTiming(
                window=settings.emerging_window, full_pass=settings.emerging_full_pass
            ),
            clock=self._clock,
            new_id=uuid4,
        )

    def words(self) -> ApproveWords:
        return ApproveWords(
            store=PostgresWords(self._pool),
            approved=self._words,
            k=self._settings.min_accounts,
            interval=WORDS_INTERVAL,
        )

    def maintenance(self) -> Maintain:
        return Maintain(
            store=self._indexes,
            scope_size=self._settings.ann_scope_size,
            interval=self._settings.maintenance_interval,
        )

    def retention(self) -> TrimEvents:
        return TrimEvents(
            store=PostgresRetention(self._pool),
            retention=self._settings.event_retention,
            interval=self._settings.maintenance_interval,
            clock=self._clock,
        )

    async def _ready(self) -> bool:
        """The embedder answered at the start; what can go away since is the database."""
        return await self._pool.answers(is_current)


async def _seed(seed: SeedCatalog, catalog: Catalog) -> None:
    """Seed the catalog once. A database that serves without it must not wait for an embedder."""
    try:
        result = await seed.once(catalog.version, authored_patterns(catalog))
    except (EmbedderUnavailable, StorageUnavailable) as error:
        log.warning("catalog_not_seeded", error=type(error).__name__, retry="at the next start")
        return
    if result is not None:
        log.info(
            "catalog_seeded",
            version=catalog.version,
            added=result.added,
            upgraded=result.upgraded,
            unchanged=result.unchanged,
        )


def _report_death(failed: asyncio.Event, task: asyncio.Task[None]) -> None:
    """A background loop never ends by itself: one that does is a defect, and must not be silent."""
    if not task.cancelled() and task.exception() is not None:
        log.error(
            "background_task_died", task=task.get_name(), error=type(task.exception()).__name__
        )
        failed.set()


async def _cancel(task: asyncio.Task[None]) -> None:
    """End a background task. A clean-up that meets a dead database swallows a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN)
