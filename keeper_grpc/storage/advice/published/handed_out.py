"""What an account was advised, for a task: its pattern from memory where it may answer, else from the database."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey
from keeper_grpc.storage.advice.outcomes import PostgresOutcomes, find_given
from keeper_grpc.storage.advice.published.memory import PublishedMemory
from keeper_grpc.storage.database import Database


class PublishedAdvice:
    """The HandedOutStore of usecases/advice/generate_task.py."""

    def __init__(
        self,
        database: Database,
        memory: PublishedMemory,
        stored: PostgresOutcomes,
        rule: PublicationRule,
    ) -> None:
        self._database = database
        self._memory = memory
        self._stored = stored
        self._rule = rule

    async def handed_out(self, account: Account, enhancement_id: UUID) -> HandedOut | None:
        """As PostgresOutcomes."""
        async with self._database.connection() as connection:
            given = await find_given(connection, account.key, enhancement_id)
        if given is None:
            return None
        if given.advised is None:
            return given.handed_out
        pattern = await self._pattern(given.advised, account.owner_key)
        if pattern is None:
            return await self._stored.handed_out(account, enhancement_id)
        return replace(given.handed_out, pattern=pattern)

    async def _pattern(self, key: PatternKey, owner: str) -> Pattern | None:
        scope = self._memory.held(key.scope_id)
        patterns = None if scope is None else await self._memory.fresh(scope)
        stored = None if patterns is None else patterns.stored(key.pattern_id)
        if stored is None or not stored.words_kept_for(owner):
            return None
        return stored.seen_by(owner, self._rule, None)
