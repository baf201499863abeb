"""The composition root: the only place where parts are made and joined."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import uuid4

import structlog

from keeper_grpc.catalog.load import Catalog, load_catalog
from keeper_grpc.domain.emerging import Emergence, Proven
from keeper_grpc.domain.pattern import AuthoredPattern
from keeper_grpc.domain.publication import PublicationRule
from keeper_grpc.domain.triggers import parse_trigger
from keeper_grpc.domain.uplift import Uplift
from keeper_grpc.embedding.batching import BatchingEmbedder
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.embedding.embedder import Embedder
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.embedding.onnx import OnnxEmbedder
from keeper_grpc.embedding.openai import OpenAIEmbedder
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.privacy.approved import KAccountWords
from keeper_grpc.privacy.key_file import load_or_create
from keeper_grpc.privacy.pseudonyms import Pseudonyms
from keeper_grpc.rpc.emerging_stream import EmergingStream
from keeper_grpc.rpc.enhance_stream import EnhanceStream
from keeper_grpc.rpc.server import Server
from keeper_grpc.rpc.servicer import Admin, NetworkLearning
from keeper_grpc.settings import Settings, SettingsInvalid
from keeper_grpc.storage.accounts import PostgresAccounts
from keeper_grpc.storage.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.audit import PostgresAudit
from keeper_grpc.storage.authored import PostgresAuthored
from keeper_grpc.storage.candidates import PostgresCandidates
from keeper_grpc.storage.captures import PostgresCaptures
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedded import EmbeddedPostgres
from keeper_grpc.storage.emerging_detection import PostgresDetection
from keeper_grpc.storage.emerging_feed import PostgresEmergingFeed
from keeper_grpc.storage.emerging_retention import PostgresRetention
from keeper_grpc.storage.enhancements import PostgresEnhancements
from keeper_grpc.storage.forgetting import PostgresForgetting
from keeper_grpc.storage.migrate import is_current, migrate
from keeper_grpc.storage.moves import PostgresMoves
from keeper_grpc.storage.patterns import PostgresPatterns
from keeper_grpc.storage.preflight import DatabaseUnreachable
from keeper_grpc.storage.rebuild import PostgresRebuild
from keeper_grpc.storage.reports import PostgresReports
from keeper_grpc.storage.turns import ScopeTurns
from keeper_grpc.storage.uplift import PostgresUplift
from keeper_grpc.storage.vectors import PostgresVectors
from keeper_grpc.storage.words import PostgresWords
from keeper_grpc.usecases.accounts import Accounts
from keeper_grpc.usecases.approve_words import ApproveWords
from keeper_grpc.usecases.audit import AuditLog
from keeper_grpc.usecases.capture import CapturePattern
from keeper_grpc.usecases.catalog import PatternCatalog
from keeper_grpc.usecases.detect_emerging import DetectEmerging, DetectorTiming
from keeper_grpc.usecases.emerging_feed import EmergingFeed, FeedTiming
from keeper_grpc.usecases.enhance import EnhanceInsight
from keeper_grpc.usecases.forget import ForgetAccount
from keeper_grpc.usecases.generate_task import GenerateTask
from keeper_grpc.usecases.maintain import Maintain
from keeper_grpc.usecases.rebuild import RebuildEvidence, RebuildResult
from keeper_grpc.usecases.report_outcome import ReportOutcome
from keeper_grpc.usecases.seed import SeedCatalog, SeedResult
from keeper_grpc.usecases.suggest import SuggestMoves
from keeper_grpc.usecases.trim_events import TrimEvents

log = structlog.get_logger()

READINESS_INTERVAL = 2.0
"""Seconds between looks at the database: a probe every few seconds sees an outage at its next turn."""

WORDS_INTERVAL = timedelta(minutes=5)
"""Between looks for words that k accounts use: a new brand takes weeks to reach k, not minutes."""

CANCEL_AGAIN = 0.5
"""Seconds after which a background task that has not ended is cancelled once more."""

RETRY_INTERVAL = 0.5
"""Seconds between attempts to reach the database at the start."""


class App:
    """A running service.

    `failed` is set when one of its background loops died of a defect: it is then no longer whole, and
    should be drained and started anew.
    """

    def __init__(
        self,
        server: Server,
        streams: Sequence[EmergingFeed | EnhanceStream],
        drain_grace: float,
        failed: asyncio.Event,
    ) -> None:
        self.failed = failed
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
async def database(settings: Settings) -> AsyncIterator[str]:
    """The DSN of a migrated database: the bundled one unless the settings name another."""
    async with AsyncExitStack() as stack:
        if settings.database_url is None:
            postgres = EmbeddedPostgres(settings.data_dir)
            dsn = await postgres.start()
            stack.push_async_callback(postgres.stop)
        else:
            dsn = settings.database_url.get_secret_value()
        applied = await _migrate_when_reachable(dsn, settings.startup_timeout.total_seconds())
        if applied:
            log.info("migrations_applied", names=applied)
        yield dsn


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[App]:
    """Start the service, and close everything in the opposite order at the end.

    Raises what stops a start, with a line for the operator: SettingsInvalid, EmbeddedPostgresError,
    DatabaseUnfit, MigrationError, EvidenceStale, ModelUnusable, KeyFileInvalid, RuntimeError (port taken).
    """
    if settings.database_url is not None or settings.pseudonym_keys is not None:
        # Only a generated key needs the data directory; a wrong one should not wait for a database.
        _pseudonyms(settings)
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database(settings))
        pool = await _pool(settings, dsn)
        stack.push_async_callback(pool.close)
        await PostgresRebuild(pool).agree(settings.evidence_half_life)
        embedder = await _embedder(settings, pool)
        stack.push_async_callback(embedder.aclose)
        # Calls nothing at a price later: the vector of this text is cached for good.
        await embedder.embed(["ready"])
        parts = _Parts(settings, pool, embedder, load_catalog())
        words = parts.words()
        await words()
        feed = parts.feed()
        enhance = parts.enhance()
        enhance_stream = parts.enhance_stream(enhance)
        server = parts.server(feed, enhance, enhance_stream)
        failed = asyncio.Event()
        for name, loop in (
            ("feed", feed.run()),
            ("detector", parts.detector().run()),
            ("maintenance", parts.maintenance().run()),
            ("retention", parts.retention().run()),
            ("words", words.run()),
        ):
            task = asyncio.create_task(loop, name=name)
            task.add_done_callback(partial(_report_death, failed))
            stack.push_async_callback(_cancel, task)
        await server.start()
        app = App(server, (feed, enhance_stream), settings.drain_grace.total_seconds(), failed)
        stack.push_async_callback(app.drain)
        yield app


async def seed(settings: Settings) -> SeedResult:
    """Seed the catalog into the database that the settings name."""
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database(settings))
        pool = await _pool(settings, dsn)
        stack.push_async_callback(pool.close)
        embedder = await _embedder(settings, pool)
        stack.push_async_callback(embedder.aclose)
        catalog = load_catalog()
        use_case = SeedCatalog(
            anonymizer=_anonymizer(settings, catalog),
            embedder=embedder,
            store=PostgresAuthored(pool),
            clock=_now,
            new_id=uuid4,
        )
        return await use_case(_authored(catalog))


async def rebuild(settings: Settings) -> RebuildResult:
    """Recount the evidence in the database that the settings name."""
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database(settings))
        pool = await _pool(settings, dsn)
        stack.push_async_callback(pool.close)
        use_case = RebuildEvidence(
            store=PostgresRebuild(pool), half_life=settings.evidence_half_life
        )
        return await use_case()


async def uplift(settings: Settings) -> Mapping[tuple[str, str], Uplift]:
    """What advice is worth, by category and type, in the database that the settings name."""
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database(settings))
        pool = await _pool(settings, dsn)
        stack.push_async_callback(pool.close)
        return await PostgresUplift(pool).uplift()


class _Parts:
    """The parts of one process, joined."""

    def __init__(
        self, settings: Settings, pool: Database, embedder: Embedder, catalog: Catalog
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._embedder = embedder
        self._pseudonyms = _pseudonyms(settings)
        self._words = KAccountWords(self._pseudonyms.word_hash)
        self._anonymizer = _anonymizer(
            settings, catalog, approved=self._words, hash_word=self._pseudonyms.word_hash
        )
        self._rule = PublicationRule(settings.min_accounts)
        self._indexes = PostgresAnnIndexes(pool)
        self._patterns = PostgresPatterns(pool)
        self._reports = PostgresReports(pool, settings.evidence_half_life)
        self._accounts = Accounts(
            pseudonyms=self._pseudonyms,
            anonymizer=self._anonymizer,
            store=PostgresAccounts(pool),
            clock=_now,
        )

        # What the use cases that read an insight have in common.
        self._shared: dict[str, Any] = {
            "accounts": self._accounts,
            "anonymizer": self._anonymizer,
            "embedder": self._embedder,
            "rule": self._rule,
            "clock": _now,
            "new_id": uuid4,
        }

    def enhance(self) -> EnhanceInsight:
        return EnhanceInsight(
            patterns=PostgresCandidates(
                self._pool,
                self._indexes,
                half_life=self._settings.evidence_half_life,
                clock=_now,
            ),
            enhancements=PostgresEnhancements(self._pool),
            holdout=self._settings.holdout_share,
            exploration=self._settings.script_exploration,
            rng=Random(),  # noqa: S311 - draws wordings, not secrets
            **self._shared,
        )

    def enhance_stream(self, enhance: EnhanceInsight) -> EnhanceStream:
        return EnhanceStream(
            enhance=enhance,
            in_flight=self._settings.stream_in_flight,
            max_duration=self._settings.max_call_duration.total_seconds(),
        )

    def server(
        self, feed: EmergingFeed, enhance: EnhanceInsight, enhance_stream: EnhanceStream
    ) -> Server:
        return Server(
            network=NetworkLearning(
                capture=CapturePattern(
                    store=PostgresCaptures(
                        self._pool,
                        self._settings.evidence_half_life,
                        # Half of the pool stays for everyone else.
                        ScopeTurns(self._settings.pool_size // 2),
                    ),
                    **self._shared,
                ),
                enhance=enhance,
                enhance_stream=enhance_stream,
                report=ReportOutcome(
                    accounts=self._accounts,
                    embedder=self._embedder,
                    store=self._reports,
                    clock=_now,
                    new_id=uuid4,
                ),
                task=GenerateTask(
                    accounts=self._accounts,
                    anonymizer=self._anonymizer,
                    store=self._reports,
                    rule=self._rule,
                    clock=_now,
                ),
                suggest=SuggestMoves(
                    accounts=self._accounts,
                    embedder=self._embedder,
                    store=PostgresMoves(self._pool),
                    rule=self._rule,
                ),
                emerging_stream=EmergingStream(feed),
                catalog=PatternCatalog(store=self._patterns, rule=self._rule),
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
                    clock=_now,
                    new_id=uuid4,
                ),
                audit=AuditLog(PostgresAudit(self._pool)),
            ),
            ready=self._ready,
            address=f"{self._settings.host}:{self._settings.port}",
            max_call_duration=self._settings.max_call_duration.total_seconds(),
            readiness_interval=READINESS_INTERVAL,
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
            clock=_now,
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
            timing=DetectorTiming(
                window=settings.emerging_window, full_pass=settings.emerging_full_pass
            ),
            clock=_now,
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
            clock=_now,
        )

    async def _ready(self) -> bool:
        """The embedder answered at the start; what can go away since is the database."""
        return await self._pool.answers(is_current)


async def _migrate_when_reachable(dsn: str, patience: float) -> list[str]:
    """Migrate; a database that is still starting is waited for."""
    give_up = time.monotonic() + patience
    while True:
        try:
            return await migrate(dsn)
        except DatabaseUnreachable as error:
            if time.monotonic() > give_up:
                raise
            log.warning("waiting_for_database", reason=str(error))
            await asyncio.sleep(RETRY_INTERVAL)


async def _pool(settings: Settings, dsn: str) -> Database:
    return await Database.open(
        dsn,
        pool_size=settings.pool_size,
        acquire_timeout=settings.acquire_timeout.total_seconds(),
        statement_timeout=settings.statement_timeout.total_seconds(),
    )


async def _embedder(settings: Settings, pool: Database) -> Embedder:
    return CachedEmbedder(
        await _model(settings), PostgresVectors(pool), max_entries=settings.embedding_cache_size
    )


async def _model(settings: Settings) -> Embedder:
    key = settings.openai_api_key
    if settings.embedder == "openai" and key is None:
        raise SettingsInvalid("KEEPER_OPENAI_API_KEY: required when KEEPER_EMBEDDER is openai")
    if key is not None and settings.embedder != "local":
        return BatchingEmbedder(
            OpenAIEmbedder(
                api_key=key.get_secret_value(),
                base_url=settings.openai_base_url,
                attempt_timeout=settings.openai_attempt_timeout.total_seconds(),
                total_timeout=settings.openai_total_timeout.total_seconds(),
                max_retries=settings.openai_max_retries,
                concurrency=settings.openai_concurrency,
            ),
            max_in_flight=settings.openai_concurrency,
        )
    if settings.local_model_dir is not None:
        return await asyncio.to_thread(OnnxEmbedder, settings.local_model_dir)
    return await asyncio.to_thread(LocalEmbedder)


def _anonymizer(settings: Settings, catalog: Catalog, **words: Any) -> Anonymizer:
    extra = [key.strip() for key in settings.shared_keys.split(",") if key.strip()]
    return Anonymizer.default(catalog.service_names, shared_keys=extra, **words)


def _pseudonyms(settings: Settings) -> Pseudonyms:
    keys = settings.pseudonym_key_map()
    if keys is None:
        if settings.database_url is not None:
            # Two processes with a key each would count every account twice.
            raise SettingsInvalid(
                "KEEPER_PSEUDONYM_KEYS: required with KEEPER_DATABASE_URL; "
                "make one with `echo main:$(openssl rand -base64 32)`"
            )
        keys = load_or_create(settings.data_dir)
    try:
        return Pseudonyms(keys, next(iter(keys)))
    except ValueError as error:
        raise SettingsInvalid(f"KEEPER_PSEUDONYM_KEYS: {error}") from error


def _authored(catalog: Catalog) -> Sequence[AuthoredPattern]:
    return [
        AuthoredPattern(
            key=pattern.key,
            version=pattern.version,
            pattern_type=pattern.pattern_type,
            business_category=category,
            conditions=pattern.conditions,
            action=pattern.action,
            script=pattern.script,
            prior=pattern.prior.as_prior(),
            trigger=parse_trigger(pattern.trigger),
            learned_from=pattern.learned_from,
        )
        for pattern in catalog.patterns
        for category in pattern.business_categories
    ]


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


def _now() -> datetime:
    return datetime.now(UTC)
