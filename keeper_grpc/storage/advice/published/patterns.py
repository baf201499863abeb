"""Patterns for readers: from memory where it may answer, else from the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.advice.published import PublishedScope, View
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.listing import Cursor, PatternFilter
from keeper_grpc.domain.patterns.pattern import Pattern
from keeper_grpc.storage.advice.published.memory import PublishedMemory
from keeper_grpc.storage.patterns.read import PostgresPatterns
from keeper_grpc.storage.patterns.view import NO_VIEWER
from keeper_grpc.storage.replica import Reads


class ReadPatterns(PostgresPatterns):
    """The PatternStore of usecases/patterns/read.py. What is published is read from memory where its scope is held.

    A pattern that is withheld is looked for in the database, as one that does not exist is: the time that a refusal takes
    does not tell which it was.
    """

    def __init__(
        self,
        database: Reads,
        memory: PublishedMemory,
        *,
        half_life: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(database, half_life=half_life, clock=clock)
        self._memory = memory

    async def find_pattern(self, pattern_id: UUID, rule: PublicationRule) -> Pattern | None:
        """As PostgresPatterns."""
        scope = self._memory.scope_of(pattern_id)
        patterns = None if scope is None else await self._memory.fresh(scope)
        candidate = None if patterns is None else patterns.candidate(pattern_id, self._view(rule))
        return (
            await super().find_pattern(pattern_id, rule) if candidate is None else candidate.pattern
        )

    async def list_patterns(
        self, where: PatternFilter, rule: PublicationRule, after: Cursor | None, limit: int
    ) -> Sequence[Pattern]:
        """As PostgresPatterns, whose indexes say which patterns they are, and where.

        What is in memory may be of another version than that place, and what is read afterwards may be gone. The next
        page begins where this one ends, so then all is read again in one transaction.
        """
        listed = await self.list_places(where, rule, after, limit)
        scopes = await self._held({each.key.scope_id for each in listed})
        view = self._view(rule)
        found: dict[UUID, Pattern] = {}
        for each in listed:
            scope_id, pattern_id = each.key
            patterns = scopes.get(scope_id)
            candidate = None if patterns is None else patterns.candidate(pattern_id, view)
            if candidate is not None and _place(candidate.pattern, rule) == each.lower_bound:
                found[pattern_id] = candidate.pattern
        missing = [each.key for each in listed if each.key.pattern_id not in found]
        if missing:
            found |= await self.find_patterns(missing, rule)
        if any(_place(found.get(each.key.pattern_id), rule) != each.lower_bound for each in listed):
            return await super().list_patterns(where, rule, after, limit)
        return [found[each.key.pattern_id] for each in listed]

    async def _held(self, scope_ids: Iterable[int]) -> Mapping[int, PublishedScope]:
        """Those of these scopes that are in memory. A list loads none: it may be of all."""
        scopes = [scope for each in scope_ids if (scope := self._memory.held(each)) is not None]
        found = {scope.scope_id: await self._memory.fresh(scope) for scope in scopes}
        return {scope_id: patterns for scope_id, patterns in found.items() if patterns is not None}

    def _view(self, rule: PublicationRule) -> View:
        """That of all who contributed nothing, and of no situation."""
        return View(NO_VIEWER, "", (), rule, self._now_weight())


def _place(pattern: Pattern | None, rule: PublicationRule) -> float | None:
    """The lower bound by which a pattern is listed; None where it is not."""
    if pattern is None:
        return None
    if not pattern.withheld(rule):
        return pattern.lower_bound
    return 0.0 if pattern.authored and not pattern.retired else None
