"""What calls and the work beside them share: memories, writers, accounts, the gate."""

from __future__ import annotations

from functools import partial
from random import Random
from uuid import uuid4

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.kinds import lanes
from keeper_grpc.catalog.load import Catalog
from keeper_grpc.composition.access import Access
from keeper_grpc.composition.shared import counting_of, make_anonymizer, qualification
from keeper_grpc.domain.access.meter import Meter
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.models.in_use import ModelInUse
from keeper_grpc.privacy.approved import KAccountWords
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.privacy.remembering import RememberingAnonymizer
from keeper_grpc.rpc.streams.in_turn import SuggestInTurn
from keeper_grpc.rpc.unaccepted import Unaccepted
from keeper_grpc.settings import Settings
from keeper_grpc.storage.accounts.qualification import PostgresQualification
from keeper_grpc.storage.accounts.remembered import RememberedAccounts
from keeper_grpc.storage.advice.candidates import PostgresCandidates
from keeper_grpc.storage.advice.enhancements import PostgresEnhancements
from keeper_grpc.storage.advice.outcomes import PostgresOutcomes
from keeper_grpc.storage.advice.published.memory import PublishedMemory
from keeper_grpc.storage.advice.published.moves import PublishedMoves
from keeper_grpc.storage.advice.published.patterns import ReadPatterns
from keeper_grpc.storage.advice.published.reads import PublishedCandidates
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.stale import PostgresStalePatterns
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.patterns.groups import PostgresGroups
from keeper_grpc.storage.patterns.places_memory import PlacesMemory
from keeper_grpc.storage.replica import Replica
from keeper_grpc.telemetry.measured import (
    MeasuredAnonymizer,
)
from keeper_grpc.telemetry.telemetry import Telemetry
from keeper_grpc.usecases.accounts.qualify import QualifyAccounts
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.accounts.speak_for import SpeakFor
from keeper_grpc.usecases.advice.enhancement_writer import EnhancementWriter
from keeper_grpc.usecases.advice.moves_feed import MovesFeed
from keeper_grpc.usecases.advice.revise_outcome import ReviseOutcome
from keeper_grpc.usecases.advice.suggest import SuggestMoves
from keeper_grpc.usecases.evidence.refresh import RefreshEvidence
from keeper_grpc.usecases.patterns.scope_group import WriteGroup
from keeper_grpc.usecases.patterns.scope_writer import GROUPS_AT_ONCE, ScopeWriter
from keeper_grpc.usecases.ports import Clock
from keeper_grpc.usecases.stream_lifetime import StreamTiming


class Parts:
    """Made once for a serving process; each from those that it needs."""

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
        self.access = access
        self.settings = settings
        self.pool = pool
        self.replica = replica
        self.models = models
        self.clock = clock
        self.telemetry = telemetry
        self.unaccepted = Unaccepted()
        self.gate = Gate(
            # A database that does not answer one report does not answer those that wait behind it.
            lanes(shared_failures=(StorageUnavailable,)),
            ahead=self.unaccepted,
            on_wait=telemetry.instruments.waited_for_turn,
        )
        self.pseudonyms = pseudonyms
        self.approved_words = KAccountWords(self.pseudonyms.word_hash)
        self.remembering_anonymizer = RememberingAnonymizer(
            make_anonymizer(
                settings, catalog, approved=self.approved_words, hash_word=self.pseudonyms.word_hash
            ),
            self.approved_words,
        )
        self.anonymizer = MeasuredAnonymizer(self.remembering_anonymizer, telemetry.instruments)
        self.counting = counting_of(settings)
        self.rule = self.counting.rule
        self.indexes = PostgresAnnIndexes(pool)
        self.published = PublishedMemory(
            pool, k=self.rule.k, limit=settings.published_memory * 2**20
        )
        pool.on_change(self.published.committed)
        self.places = PlacesMemory(pool, limit=settings.places_memory * 2**20)
        pool.on_change(self.places.committed)
        self.candidates = PublishedCandidates(
            self.published,
            PostgresCandidates(
                pool, self.indexes, half_life=settings.evidence_half_life, clock=clock
            ),
            pool,
            self.indexes,
            half_life=settings.evidence_half_life,
            clock=clock,
        )
        self.patterns = ReadPatterns(
            replica, self.published, half_life=settings.evidence_half_life, clock=clock
        )
        self.outcomes = PostgresOutcomes(pool, self.counting)
        self.remembered_accounts = RememberedAccounts(pool)
        """A second of memory; `run` it as a task."""
        self.accounts = AccountResolver(
            pseudonyms=self.pseudonyms,
            anonymizer=self.anonymizer,
            store=self.remembered_accounts,
            qualification=qualification(settings),
            clock=self.clock,
        )
        self.speak_for = SpeakFor(pseudonyms=self.pseudonyms, store=self.remembered_accounts)
        self.meter = Meter()
        self.writer = ScopeWriter(
            WriteGroup(
                store=PostgresGroups(pool, self.counting, self.places),
                rule=self.rule,
                new_id=uuid4,
            ),
            ReviseOutcome(self.outcomes, self.rule),
            # Half of the pool stays for all other calls.
            at_once=min(GROUPS_AT_ONCE, settings.pool_size // 2),
            on_wait=partial(telemetry.instruments.waited_for_writer, "scopes"),
        )
        self.records = EnhancementWriter(
            PostgresEnhancements(pool),
            on_wait=partial(telemetry.instruments.waited_for_writer, "enhancements"),
        )
        self.suggest = SuggestMoves(
            accounts=self.accounts,
            anonymizer=self.anonymizer,
            store=PublishedMoves(
                pool, self.published, half_life=settings.evidence_half_life, clock=clock
            ),
            rule=self.rule,
        )
        self.stream_timing = StreamTiming(
            heartbeat=settings.stream_heartbeat,
            stall=settings.stream_stall,
            max_age=settings.stream_max_age,
        )
        self.moves = MovesFeed(
            suggest=SuggestInTurn(
                self.suggest, self.gate, settings.question_deadline.total_seconds()
            ),
            timing=self.stream_timing,
            clock=clock,
            rng=Random(),  # noqa: S311 - spreads the ends of streams, no secrets
        )
        self.refresh = RefreshEvidence(PostgresStalePatterns(pool, self.counting))
        self.qualify = QualifyAccounts(
            store=PostgresQualification(pool),
            refresh=self.refresh,
            rule=qualification(settings),
            clock=self.clock,
            interval=settings.qualification_interval,
        )

    async def close_memories(self) -> None:
        """End the loads that are under way."""
        await self.published.aclose()
        await self.places.aclose()

    async def close_writers(self) -> None:
        """Wait until all that calls handed over is written, also of callers that went away."""
        await self.writer.close()
        await self.records.close()
