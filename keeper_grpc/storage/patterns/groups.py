"""The one transaction of a group of captures and reports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import asyncpg

from keeper_grpc.domain.errors import AccountBeingForgotten
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.group import Asking, GroupWrites, Known
from keeper_grpc.domain.patterns.held_places import PlacesInMemory
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Scope
from keeper_grpc.domain.patterns.placing import Places
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.storage.accounts.unknown_words import record_words
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.emerging.sightings import write_sightings
from keeper_grpc.storage.locks import Entered, enter_scopes
from keeper_grpc.storage.patterns.creating import create_patterns
from keeper_grpc.storage.patterns.known import find_known
from keeper_grpc.storage.patterns.ledger import Counts, count_observations, write_observations
from keeper_grpc.storage.patterns.nearest import nearest, positions
from keeper_grpc.storage.patterns.places_memory import PlacesMemory
from keeper_grpc.storage.patterns.shards import Shards
from keeper_grpc.storage.patterns.told import see_for_each
from keeper_grpc.storage.patterns.versions import touch


class PostgresGroups:
    """Begins the transactions of usecases/patterns/scope_group.py. Where patterns lie comes from `memory` if it is held."""

    def __init__(
        self, database: Database, counting: Counting, memory: PlacesMemory | None = None
    ) -> None:
        self._database = database
        self._counting = counting
        self._memory = memory or PlacesMemory(database, limit=0)
        self._shards = Shards()

    def home(self, scope: Scope) -> int | None:
        """The scope's shard, where tables are spread and it is known by now."""
        return self._shards.of(scope)

    @asynccontextmanager
    async def group(self) -> AsyncIterator[PostgresGroup]:
        """A transaction that commits at the end of the block unless that raises."""
        held: dict[Scope, PlacesInMemory] = {}
        committed = False
        try:
            async with self._database.transaction() as connection:
                yield PostgresGroup(connection, self._counting, self._memory, self._shards, held)
            committed = True
        except asyncpg.ForeignKeyViolationError as error:
            # The accounts are held and patterns are kept, so this is an account that was never there.
            raise AccountBeingForgotten from error
        finally:
            self._memory.leave(held, committed=committed)


class PostgresGroup:
    """One group's reads and writes; see the use case for what each promises. `held` is for its scopes in memory."""

    def __init__(
        self,
        connection: Connection,
        counting: Counting,
        memory: PlacesMemory,
        shards: Shards,
        held: dict[Scope, PlacesInMemory],
    ) -> None:
        self._connection = connection
        self._counting = counting
        self._memory = memory
        self._shards = shards
        self._held = held
        self._entered: Mapping[Scope, Entered] = {}
        self._counts = Counts()

    async def enter(self, scopes: Sequence[Scope]) -> Mapping[Scope, bool]:
        self._entered = await enter_scopes(self._connection, scopes)
        await self._shards.learn(self._connection, scopes, self._entered.keys())
        return {scope: one.is_current for scope, one in self._entered.items()}

    async def known(self, asking: Asking) -> Known:
        return await find_known(self._connection, asking)

    async def places(
        self, asked: Mapping[Scope, Sequence[Vectors]]
    ) -> Mapping[Scope, Places | PlacesInMemory]:
        self._held.update(await self._memory.enter(self._connection, self._entered, asked))
        searched = {scope: own for scope, own in asked.items() if scope not in self._held}
        found = await nearest(self._connection, searched)
        return self._held | {scope: Places(own, found[scope]) for scope, own in searched.items()}

    async def positions(self, keys: Collection[PatternKey]) -> Mapping[UUID, Position]:
        return await positions(self._connection, keys)

    async def count(self, writes: GroupWrites) -> None:
        moved = dict(writes.positions)
        created = {
            key: (observation, moved.pop(key))
            for pattern_id, observation in writes.created.items()
            if (key := PatternKey(observation.scope.scope_id, pattern_id))
        }
        await create_patterns(self._connection, created)
        counts = await count_observations(
            self._connection, writes.observations, self._counting, moved
        )
        # Also of a pattern whose outcomes all wait: whoever knows where patterns lie has to learn of it.
        self._counts = replace(counts, changed=counts.changed | created.keys())

    async def write(self, writes: GroupWrites) -> None:
        await record_words(self._connection, writes.words)
        await write_observations(
            self._connection, writes.observations, self._counts.begun, self._counting.step
        )
        # After the accounts, as ForgetAccount takes them.
        await write_sightings(self._connection, writes.seen)
        self._memory.write(self._held, await self._touch())

    async def _touch(self) -> Mapping[int, int]:
        return await touch(self._connection, self._counts.changed, self._counts.reworded)

    async def patterns(
        self, shown: Collection[tuple[PatternKey, str]]
    ) -> Mapping[tuple[PatternKey, str], Pattern]:
        return await see_for_each(self._connection, shown, self._counting.rule)
