"""Patterns with a trigger: from memory where it may answer, else from the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.published import PublishedScope, View
from keeper_grpc.domain.advice.ranking import Candidate
from keeper_grpc.domain.authored.suggestions import StoredTrigger
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.storage.advice.published.memory import PublishedMemory
from keeper_grpc.storage.advice.suggestions import PostgresMoves
from keeper_grpc.storage.database import Database


class PublishedMoves(PostgresMoves):
    """The MoveStore of usecases/advice/suggest.py. What is not in memory, of a scope that is, may not be suggested."""

    def __init__(
        self,
        database: Database,
        memory: PublishedMemory,
        *,
        half_life: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(database, half_life=half_life, clock=clock)
        self._memory = memory
        self._known: dict[int, Scope] = {}
        """Scopes in which patterns have authored triggers: as many as the catalog has."""

    async def triggers(self, business_category: str) -> Sequence[StoredTrigger]:
        """As PostgresMoves."""
        found = await super().triggers(business_category)
        self._known |= {one.key.scope_id: one.scope for one in found}
        return found

    async def candidates_without(
        self,
        account: Account,
        keys: Sequence[PatternKey],
        conditions: Mapping[str, JsonValue],
        rule: PublicationRule,
    ) -> Mapping[UUID, Candidate]:
        """As PostgresMoves, of those that may be advised."""
        scopes = await self._held({key.scope_id for key in keys})
        if scopes is not None:
            view = View.of(account.owner_key, conditions, rule, self._now_weight())
            found = _seen(scopes, keys, view)
            if found is not None:
                return found
        return await super().candidates_without(account, keys, conditions, rule)

    async def _held(self, scope_ids: Iterable[int]) -> Mapping[int, PublishedScope] | None:
        """The patterns of these scopes; None where one of them is not in memory."""
        found = {}
        for scope_id in scope_ids:
            scope = self._memory.held(scope_id) or self._known.get(scope_id)
            patterns = None if scope is None else await self._memory.fresh(scope)
            if patterns is None:
                return None
            found[scope_id] = patterns
        return found


def _seen(
    scopes: Mapping[int, PublishedScope], keys: Sequence[PatternKey], view: View
) -> Mapping[UUID, Candidate] | None:
    """The candidates; None where the words of one are not kept, whoever asks: the time must not tell who said them."""
    found = {}
    for key in keys:
        stored = scopes[key.scope_id].stored(key.pattern_id)
        if stored is None:
            continue
        if stored.wordings is None:
            return None
        published = scopes[key.scope_id].candidate(key.pattern_id, view)
        if published is not None:
            found[key.pattern_id] = published.at(1.0)
            continue
        found[key.pattern_id] = Candidate(
            stored.seen_by(view.owner, view.rule, view.now_weight),
            1.0,
            stored.situation(view.entire, view.facts, view.owner, view.rule, view.now_weight),
        )
    return found
