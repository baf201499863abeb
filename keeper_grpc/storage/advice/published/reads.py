"""Candidates from memory where it may answer, else from the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from keeper_grpc.domain.advice.authored import StoredAuthored
from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.published import View, WordsNotKept, elsewhere
from keeper_grpc.domain.advice.ranking import Candidate, Requirements
from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.storage.advice.candidates import PostgresCandidates
from keeper_grpc.storage.advice.published.memory import PublishedMemory
from keeper_grpc.storage.advice.transfers import Transfers, read_transfers, transfer_without
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes

MEMORY, DATABASE, INDEX = "memory", "database", "index"
"""What answered: patterns in memory, an exact search in the database, or one by an approximate index."""


class PublishedCandidates:
    """The store of usecases/advice/enhance.py; see there for what each method promises."""

    def __init__(
        self,
        memory: PublishedMemory,
        stored: PostgresCandidates,
        database: Database,
        indexes: PostgresAnnIndexes,
        *,
        half_life: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._memory = memory
        self._stored = stored
        self._database = database
        self._indexes = indexes
        self._half_life = half_life
        self._clock = clock
        self._transfers: dict[int, tuple[int, Transfers]] = {}
        self.answers: Counter[str] = Counter({MEMORY: 0, DATABASE: 0, INDEX: 0})

    async def candidates(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        source = DATABASE
        if self._indexes.covers(asked.scope):
            source = INDEX
        elif (patterns := await self._memory.fresh(asked.scope)) is not None:
            try:
                found = patterns.candidates(
                    asked, self._view(asked, requirements.rule), requirements, limit
                )
            except WordsNotKept:
                pass
            else:
                self.answers[MEMORY] += 1
                return found
        self.answers[source] += 1
        return await self._stored.candidates(asked, requirements, limit)

    async def candidates_elsewhere(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        others = await self._memory.fresh_elsewhere(asked.scope)
        if others is not None:
            transfers = await self._known_transfers(asked) if any(others.values()) else {}
            rule = requirements.rule
            scopes = [
                (
                    patterns,
                    transfer_without(transfers.get(category, {}), asked.owner_key, rule).discount,
                )
                for category, patterns in others.items()
            ]
            try:
                found = elsewhere(scopes, asked, self._view(asked, rule), requirements, limit)
            except WordsNotKept:
                pass
            else:
                self.answers[MEMORY] += 1
                return found
        self.answers[DATABASE] += 1
        return await self._stored.candidates_elsewhere(asked, requirements, limit)

    async def authored(self, asked: Asked, rule: PublicationRule) -> Sequence[StoredAuthored]:
        patterns = await self._memory.fresh(asked.scope)
        if patterns is not None:
            try:
                found = patterns.authored(asked, self._view(asked, rule))
            except WordsNotKept:
                pass
            else:
                self.answers[MEMORY] += 1
                return found
        self.answers[DATABASE] += 1
        return await self._stored.authored(asked, rule)

    def outdated(self) -> None:
        self._memory.doubt()

    async def caught_up(self) -> None:
        """Return when nothing is in memory that was other before what this process has committed by now."""
        self._transfers.clear()
        await self._memory.caught_up()

    def _view(self, asked: Asked, rule: PublicationRule) -> View:
        now_weight = recency_weight(self._clock(), self._half_life)
        return View.of(asked.owner_key, asked.conditions, rule, now_weight)

    async def _known_transfers(self, asked: Asked) -> Transfers:
        """Read again when anything of the type has changed: what is reported of advice changes a pattern."""
        scope_id = asked.scope.scope_id
        version = self._memory.version_of(asked.scope.pattern_type)
        kept = self._transfers.get(scope_id)
        if kept is not None and kept[0] == version:
            return kept[1]
        async with self._database.connection() as connection:
            read = await read_transfers(connection, asked.scope)
        self._transfers[scope_id] = (version, read)
        return read
