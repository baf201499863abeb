"""What a serving process does beside its calls: at its start, and by time."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from uuid import uuid4

from keeper_grpc.composition.parts import Parts
from keeper_grpc.domain.emerging.model import Emergence, Proven
from keeper_grpc.domain.emerging.novelty import NoveltyScale
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.models.detector import DetectorInUse
from keeper_grpc.storage.accounts.tombstones import PostgresTombstones
from keeper_grpc.storage.accounts.unknown_words import PostgresWords
from keeper_grpc.storage.advice.learned_triggers import PostgresTriggers
from keeper_grpc.storage.advice.published.following import FollowPublished
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.storage.emerging.retention import PostgresRetention
from keeper_grpc.storage.evidence.lifts import PostgresLifts
from keeper_grpc.storage.evidence.priors import PostgresPriors
from keeper_grpc.storage.metrics.inputs import PostgresMetrics
from keeper_grpc.storage.patterns.authored import PostgresAuthored
from keeper_grpc.storage.retention.aged import aged_rows
from keeper_grpc.storage.retention.questions import OldQuestions
from keeper_grpc.storage.retention.sizes import PostgresSizes
from keeper_grpc.storage.retention.vectors import SpareVectors
from keeper_grpc.storage.retention.words import RareWords
from keeper_grpc.usecases.accounts.approve_words import ApproveWords
from keeper_grpc.usecases.accounts.tombstones import TrimTombstones
from keeper_grpc.usecases.advice.learn_triggers import LearnTriggers
from keeper_grpc.usecases.emerging.detector import DetectEmerging, DetectorTiming
from keeper_grpc.usecases.emerging.retention import TrimEvents
from keeper_grpc.usecases.evidence.learn_lifts import LearnLifts
from keeper_grpc.usecases.evidence.learn_priors import LearnPriors
from keeper_grpc.usecases.metrics.fold import FoldMeasures
from keeper_grpc.usecases.patterns.maintain import Maintain
from keeper_grpc.usecases.patterns.seed import SeedCatalog
from keeper_grpc.usecases.retention.keep_bounds import KeepBounds
from keeper_grpc.usecases.retention.measure_sizes import MeasureSizes

SIZES_INTERVAL = timedelta(minutes=5)
"""How often the tables' sizes are looked up: they change slowly, and the look costs a statement."""

TRIGGER_INTERVAL = timedelta(minutes=10)
"""How often triggers are learned. They change as fast as evidence does: in days."""

WORDS_INTERVAL = timedelta(minutes=5)
"""How often the words that k accounts use are read: a new brand takes weeks to reach k, not minutes."""


class Background:
    """Makes each piece of that work. Nothing here runs by itself."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def seeding(self) -> SeedCatalog:
        return SeedCatalog(
            anonymizer=self._parts.anonymizer,
            embedder=self._parts.models.current,
            store=PostgresAuthored(self._parts.pool, self._parts.rule),
            clock=self._parts.clock,
            new_id=uuid4,
        )

    def following(self) -> FollowPublished:
        return FollowPublished(self._parts.pool, self._parts.published, self._parts.places)

    def folding(self) -> FoldMeasures:
        return FoldMeasures(PostgresMetrics(self._parts.pool))

    def detector(self) -> DetectorInUse:
        return DetectorInUse(self._parts.models, self._detector_on)

    def _detector_on(self, embedder: CachedEmbedder) -> DetectEmerging:
        settings, thresholds = self._parts.settings, embedder.thresholds
        wanted = settings.emerging_min_similarity
        return DetectEmerging(
            store=PostgresDetection(self._parts.pool, embedder.model),
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
            clock=self._parts.clock,
            new_id=uuid4,
        )

    def priors(self) -> LearnPriors:
        return LearnPriors(
            store=PostgresPriors(
                self._parts.pool,
                half_life=self._parts.settings.evidence_half_life,
                clock=self._parts.clock,
            ),
            rule=self._parts.rule,
            interval=self._parts.settings.prior_interval,
        )

    def lifts(self) -> LearnLifts:
        return LearnLifts(
            store=PostgresLifts(self._parts.pool),
            rule=self._parts.rule,
            interval=self._parts.settings.prior_interval,
        )

    def triggers(self) -> LearnTriggers:
        return LearnTriggers(
            store=PostgresTriggers(self._parts.pool),
            rule=self._parts.rule,
            interval=TRIGGER_INTERVAL,
            clock=self._parts.clock,
        )

    def words(self) -> ApproveWords:
        return ApproveWords(
            store=PostgresWords(self._parts.pool),
            approved=self._parts.approved_words,
            k=self._parts.settings.min_accounts,
            manual=self._parts.settings.word_approval == "manual",
            interval=WORDS_INTERVAL,
        )

    def tombstones(self) -> TrimTombstones:
        return TrimTombstones(
            store=PostgresTombstones(self._parts.pool),
            clock=self._parts.clock,
            interval=self._parts.settings.maintenance_interval,
        )

    def maintenance(self) -> Maintain:
        return Maintain(
            store=self._parts.indexes,
            scope_size=self._parts.settings.ann_scope_size,
            interval=self._parts.settings.maintenance_interval,
        )

    @cached_property
    def bounds(self) -> KeepBounds:
        settings = self._parts.settings
        return KeepBounds(
            (
                OldQuestions(self._parts.pool, settings.enhancement_retention),
                *aged_rows(
                    self._parts.pool,
                    requests=settings.request_retention,
                    audit=settings.audit_retention,
                ),
                RareWords(self._parts.pool, settings.word_retention, settings.min_accounts),
                SpareVectors(self._parts.pool, settings.embedding_store_size),
            ),
            interval=settings.maintenance_interval,
            clock=self._parts.clock,
        )

    @cached_property
    def sizes(self) -> MeasureSizes:
        return MeasureSizes(PostgresSizes(self._parts.pool), interval=SIZES_INTERVAL)

    def retention(self) -> TrimEvents:
        return TrimEvents(
            store=PostgresRetention(self._parts.pool),
            retention=self._parts.settings.event_retention,
            interval=self._parts.settings.maintenance_interval,
            clock=self._parts.clock,
        )
