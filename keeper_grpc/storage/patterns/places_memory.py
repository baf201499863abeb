"""Where the patterns of scopes lie, in the memory of their writer.

A scope is loaded when it is first written, in the background; until then the database is searched. Whoever owns the
scope compares the version that is held with the scope's: nothing that says where patterns lie changes without a new one
(versions.py), so equal versions mean that memory is right. What others changed is read again, pattern by pattern. Of
what another transaction changed nothing is kept until then, longer than the next look at the versions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from uuid import UUID

import numpy as np
import structlog

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.held_places import HeldPlaces, PlacesInMemory
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.domain.patterns.vector_block import SCANNED_WHOLE, with_room
from keeper_grpc.storage.advice.published.versions import ScopeVersion
from keeper_grpc.storage.database import Change, Connection, Database
from keeper_grpc.storage.locks import Entered
from keeper_grpc.storage.patterns.places_rows import (
    Placed,
    changed_ids,
    held_ids,
    read_changed,
    read_placed,
)
from keeper_grpc.storage.patterns.versions import until_raised_everywhere

log = structlog.get_logger()

AT_ONCE = 250
"""Patterns that one statement of a load reads."""

MOST_CHANGED = 500
"""Patterns that are read again while scopes are owned; where more have changed, all are loaded again."""

AGAIN = 60.0
"""Seconds for which a scope that memory had no room for, or that could not be loaded, is not loaded again."""

IN_USE = 10.0
"""Seconds since it was last written for which a scope makes no room for another."""


@dataclass(slots=True, eq=False)
class _Scope:
    """One scope, loaded or not. `held` is of the version `applied`; what changed up to `dropped` is not in it any more.

    With more patterns than `grown` it is loaded again, for directions that fit them.
    While a group is `busy` with it, `gone` are the patterns that others changed meanwhile; None in it stands for all.
    """

    scope: Scope
    used: float
    held: HeldPlaces | None = None
    applied: int = 0
    dropped: int = 0
    grown: float = inf
    busy: bool = False
    own: int = -1
    """The version that the group wrote, which is not another's change."""
    gone: set[UUID | None] = field(default_factory=set)
    loading: asyncio.Task[None] | None = None
    not_before: float = -inf

    def let_go(self) -> None:
        """Keep nothing of it."""
        self.held = None

    def drop(self, pattern_ids: frozenset[UUID] | None) -> None:
        """Keep nothing of these patterns; None is all."""
        if self.busy:
            self.gone |= {None} if pattern_ids is None else pattern_ids
        elif pattern_ids is None:
            self.let_go()
        elif self.held is not None:
            for each in pattern_ids:
                self.held.drop(each)


class PlacesMemory:
    """The scopes in memory. `limit` is in bytes; 0 keeps none."""

    def __init__(
        self, database: Database, *, limit: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._limit = limit
        self._now = now
        self._scopes: dict[int, _Scope] = {}
        self._one_load = asyncio.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes that the patterns take."""
        # A copy, because metrics are read in another thread.
        return sum(one.held.nbytes for one in tuple(self._scopes.values()) if one.held is not None)

    def held(self, scope: Scope) -> HeldPlaces | None:
        """What is held of the scope; None where it is not loaded."""
        one = self._scopes.get(scope.scope_id)
        return None if one is None else one.held

    async def enter(
        self,
        connection: Connection,
        entered: Mapping[Scope, Entered],
        asked: Mapping[Scope, Sequence[Vectors]],
    ) -> Mapping[Scope, PlacesInMemory]:
        """The places of those of the scopes, which the caller owns, that are held; others are loaded for the next time.

        The caller says what became of each by `leave`.
        """
        for scope, vectors in asked.items():
            one = self._scopes.get(scope.scope_id)
            if one is None:
                one = self._scopes[scope.scope_id] = _Scope(scope, self._now())
            one.used = self._now()
            if one.held is not None and (
                one.scope != scope
                or not entered[scope].reset_version <= one.applied <= entered[scope].version
                or not all(one.held.fits(each) for each in vectors)
            ):
                one.let_go()
            if one.held is None:
                self._load_soon(one, scope)
        await self._catch_up(connection, entered)
        found = {}
        for scope, vectors in asked.items():
            one = self._scopes[scope.scope_id]
            if one.held is not None:
                one.applied = one.dropped = entered[scope].version
                one.busy = True
                found[scope] = PlacesInMemory(one.held, len(vectors[0].sentence) if vectors else 0)
        return found

    async def _catch_up(self, connection: Connection, entered: Mapping[Scope, Entered]) -> None:
        """Read again what others changed in these scopes since it was held."""
        behind = {
            scope: one.applied
            for scope, now in entered.items()
            if (one := self._scopes.get(scope.scope_id)) is not None
            and one.held is not None
            and one.applied != now.version
        }
        if not behind:
            return
        changed = await read_changed(connection, behind, MOST_CHANGED)
        for scope in behind:
            if changed is None:
                self._scopes[scope.scope_id].let_go()
            else:
                _take_in(self._scopes[scope.scope_id], changed[scope])

    def write(self, places: Collection[Scope], versions: Mapping[int, int]) -> None:
        """Know the versions of the group's scopes that it is about to commit, of those that it changes."""
        for scope in places:
            self._scopes[scope.scope_id].own = versions.get(scope.scope_id, -1)

    def leave(self, places: Mapping[Scope, PlacesInMemory], *, committed: bool) -> None:
        """End what `enter` began. What was not committed is taken back."""
        for scope, own in places.items():
            one = self._scopes[scope.scope_id]
            if not committed:
                own.take_back()
            elif one.own == one.applied + 1:
                one.applied = one.dropped = one.own
            # Else another transaction changed something meanwhile: it is read before the next group.
            one.busy, one.own = False, -1
            gone, one.gone = one.gone, set()
            if None in gone or (one.held is not None and len(one.held) > one.grown):
                one.let_go()
            elif gone:
                one.drop(frozenset(each for each in gone if each is not None))
        self._make_room(0, None)

    def committed(self, changes: Sequence[Change]) -> None:
        """Keep nothing of what this process has just changed, but for what a group did, or has read already.

        A commit is told of a moment after the database shows it: what is held may be of that version by then, and what
        were dropped of it would be missing until its next change.
        """
        for change in changes:
            one = self._scopes.get(change.scope_id)
            if (
                one is not None
                and change.version > one.applied
                and not (one.busy and change.version == one.own)
            ):
                one.drop(change.pattern_ids)

    async def seen(self, connection: Connection, versions: Sequence[ScopeVersion]) -> None:
        """Keep nothing of what other processes changed. Raises StorageUnavailable."""
        behind = []
        for version in versions:
            one = self._scopes.get(version.scope_id)
            if one is None or one.held is None or one.busy:
                continue
            if version.reset_version > one.applied:
                one.let_go()
            elif version.version > one.dropped:
                behind.append((one, version))
        if behind:
            await until_raised_everywhere(connection, [version.scope_id for _, version in behind])
        for one, version in behind:
            changed = await changed_ids(connection, version.scope_id, one.dropped)
            if not one.busy and version.version > one.dropped:
                one.drop(frozenset(changed))
                one.dropped = version.version

    async def until_loaded(self) -> None:
        """Wait for the loads that are under way."""
        await asyncio.gather(*self._loads(), return_exceptions=True)

    async def aclose(self) -> None:
        """End the loads that are under way."""
        for task in self._loads():
            task.cancel()
        await self.until_loaded()

    def _loads(self) -> Sequence[asyncio.Task[None]]:
        return [one.loading for one in self._scopes.values() if one.loading is not None]

    def _load_soon(self, one: _Scope, scope: Scope) -> None:
        if self._limit and one.loading is None and self._now() >= one.not_before:
            one.scope = scope
            one.loading = asyncio.create_task(self._load(one), name="load of a writer's scope")

    async def _load(self, one: _Scope) -> None:
        try:
            async with self._one_load:
                await self._read_scope(one)
        except _NoRoom:
            one.not_before = self._now() + AGAIN
        except StorageUnavailable:
            one.not_before = self._now() + 1.0
        except Exception as error:  # noqa: BLE001 - the database is searched instead, and the log tells of the defect
            one.not_before = self._now() + AGAIN
            log.warning("places_not_loaded", error=type(error).__name__)
        finally:
            one.loading = None

    async def _read_scope(self, one: _Scope) -> None:
        async with self._database.connection() as connection:
            version, ids = await held_ids(connection, one.scope)
        read: list[Placed] = []
        for start in range(0, len(ids), AT_ONCE):
            async with self._database.connection() as connection:
                read += await read_placed(connection, one.scope, ids[start : start + AT_ONCE])
            self._make_room(_size(read), one)
        if not read:
            return
        held = await asyncio.to_thread(_made, read)
        self._make_room(held.nbytes, one)
        # What changed since is read by the next group, by the versions.
        one.held, one.applied, one.dropped = held, version, version
        one.grown = 2 * max(len(held), SCANNED_WHOLE)

    def _make_room(self, more: int, taker: _Scope | None) -> None:
        """Let go of scopes, the one that was written the longest ago first. Raises _NoRoom where all are in use."""
        while self.nbytes + more > self._limit:
            others = [
                one
                for one in self._scopes.values()
                if one.held is not None and one is not taker and not one.busy
            ]
            least = min(others, key=lambda one: one.used, default=None)
            if least is None or (taker is not None and self._now() - least.used < IN_USE):
                if taker is None:
                    return
                raise _NoRoom
            least.let_go()
            least.not_before = self._now() + AGAIN


class _NoRoom(Exception):
    """Memory is full of scopes that are in use."""


def _take_in(one: _Scope, changed: Mapping[UUID, Placed | None]) -> None:
    for pattern_id, placed in changed.items():
        if one.held is None:
            return
        if placed is None:
            one.held.drop(pattern_id)
        elif one.held.fits(placed.position):
            one.held.put(pattern_id, placed.action, placed.position)
        else:
            one.let_go()


def _size(read: Sequence[Placed]) -> int:
    return sum(one.position.sentence.nbytes + one.position.action.nbytes for one in read)


def _made(read: Sequence[Placed]) -> HeldPlaces:
    """The places of these patterns; runs in a thread."""
    width = 1
    for one in read:
        for vector in (one.position.sentence, one.position.action):
            width = max(width, int(np.max(np.nonzero(vector)[0], initial=0)) + 1)
    held = HeldPlaces(width, with_room(len(read)))
    for one in read:
        held.put(one.pattern_id, one.action, one.position)
    held.prepare()
    return held
