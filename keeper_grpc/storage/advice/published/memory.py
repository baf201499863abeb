"""The published patterns that this process holds in memory, scope by scope.

A scope is loaded when it is first asked about. From then on its version is followed (following.py), and questions are
answered from memory as long as it was seen within a second that nothing changed, and all is in it that this process
had committed when the question came. The database answers meanwhile, and where memory has no room.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from uuid import UUID

import numpy as np
import structlog

from keeper_grpc.domain.advice.published import Published, PublishedScope
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.domain.patterns.vector_block import SCANNED_WHOLE, with_room
from keeper_grpc.storage.advice.published.rows import unpack
from keeper_grpc.storage.advice.published.versions import (
    ScopeVersion,
    changed_patterns,
    held_ids,
    parts,
    read_patterns,
    reading_changes,
)
from keeper_grpc.storage.database import Change, Connection, Database
from keeper_grpc.storage.failures import unavailable

log = structlog.get_logger()

OLDEST = 1.0
"""Seconds since it was seen that a scope has not changed, after which memory no longer answers."""

PATIENCE = 0.5
"""Seconds that a question waits for what changed to be read, before it asks the database."""

AGAIN = 60.0
"""Seconds for which a scope that memory had no room for, or that could not be loaded, is not loaded again."""

IN_USE = 10.0
"""Seconds since its last question for which a scope makes no room for another."""


@dataclass(slots=True, eq=False)
class _Overtaken:
    """What this process told of since a reading of rows began: patterns by the version that their change gave the scope.

    What is read of them may be older, but not where the reading began at that version already: a commit is told of
    a moment after the database shows it.
    """

    versions: dict[UUID, int] = field(default_factory=dict)
    all: bool = False

    def after(self, version: int) -> Sequence[UUID]:
        """The patterns that changed after a version."""
        return [pattern_id for pattern_id, last in self.versions.items() if last > version]


@dataclass(slots=True, eq=False)
class _Held:
    """One scope, loaded or not.

    `patterns` are of the version `applied`, at least, and were the database's at the time `as_of`; `required` is the
    last version that this process committed. `waiting` questions wait for the end of the present `turn`; `reading` is
    of the readings under way. With more patterns than `grown` it is loaded again, for directions that fit them.
    """

    scope: Scope
    asked: float
    patterns: PublishedScope | None = None
    applied: int = -1
    required: int = 0
    as_of: float = -inf
    waiting: int = 0
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    reading: list[_Overtaken] = field(default_factory=list)
    grown: float = inf
    loading: asyncio.Task[None] | None = None
    not_before: float = -inf

    def let_go(self) -> None:
        """Keep nothing of it."""
        self.patterns, self.applied, self.as_of = None, -1, -inf


class PublishedMemory:
    """The scopes in memory. `limit` is in bytes; 0 keeps none. `k` is that of the publication rule."""

    def __init__(
        self,
        database: Database,
        *,
        k: int,
        limit: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._k = k
        self._limit = limit
        self.now = now
        self._scopes: dict[int, _Held] = {}
        self._known: Mapping[str, Mapping[str, int]] = {}
        self._known_as_of = -inf
        self._doubted = -inf
        self._scopes_changed = -inf
        self._turn = asyncio.Event()
        self._asked = asyncio.Event()
        self._one_load = asyncio.Lock()
        self.wake: Callable[[], None] = lambda: None
        self.loads = 0
        self.failed_loads = 0
        self.evictions = 0

    @property
    def patterns(self) -> int:
        """Published patterns that are held."""
        return sum(len(patterns) for patterns in self._loaded())

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return sum(patterns.nbytes for patterns in self._loaded())

    @property
    def lag(self) -> float:
        """Seconds since the scope that is the farthest behind was seen to be the database's."""
        now, scopes = self.now(), tuple(self._scopes.values())
        return max((now - held.as_of for held in scopes if held.patterns is not None), default=0.0)

    async def fresh(self, scope: Scope) -> PublishedScope | None:
        """The scope's patterns, no older than `OLDEST`, with all that this process had committed by now.

        None where the database has to be asked: they are not loaded yet, cannot be held, or are not read in time.
        """
        if not self._limit:
            return None
        held = self._scopes.get(scope.scope_id)
        if held is None:
            if not await self._knows_scopes():
                return None
            if scope.business_category not in self._known.get(scope.pattern_type, {}):
                return PublishedScope(1, unpack, 0)
            held = self._scopes.setdefault(scope.scope_id, _Held(scope, self.now()))
        held.asked = self.now()
        if held.patterns is not None and held.scope != scope:
            # The database has moved to another model, or the question is the last of the one before.
            held.let_go()
        needed, until = held.required, held.asked + PATIENCE
        while True:
            if held.patterns is None:
                self._load_soon(held, scope)
                return None
            if held.applied >= needed and self._recent(held.as_of):
                return held.patterns
            held.waiting += 1
            try:
                if not await self._next(held.turn, until):
                    return None
            finally:
                held.waiting -= 1

    async def fresh_elsewhere(self, scope: Scope) -> Mapping[str, PublishedScope] | None:
        """The patterns of the type's other categories, by category; None where the database has to be asked."""
        if not self._limit or not await self._knows_scopes():
            return None
        found = {
            category: await self.fresh(Scope(scope.pattern_type, category, scope.embedding_model))
            for category in self._known.get(scope.pattern_type, {})
            if category != scope.business_category
        }
        held = {category: patterns for category, patterns in found.items() if patterns is not None}
        return held if len(held) == len(found) else None

    def scope_of(self, pattern_id: UUID) -> Scope | None:
        """The scope of a published pattern that is held."""
        for held in self._scopes.values():
            if held.patterns is not None and pattern_id in held.patterns:
                return held.scope
        return None

    def held(self, scope_id: int) -> Scope | None:
        """The scope with this id, if its patterns are held."""
        held = self._scopes.get(scope_id)
        return None if held is None or held.patterns is None else held.scope

    def version_of(self, pattern_type: str) -> int:
        """A number that grows whenever anything changes that is held of this type."""
        ids = self._known.get(pattern_type, {}).values()
        return sum(self._scopes[each].applied for each in ids if each in self._scopes)

    def doubt(self) -> None:
        """Answer nothing before the versions were looked at again: something that is held was seen to be gone."""
        self._doubted = self.now()

    def committed(self, committed: Sequence[Change]) -> None:
        """Require that what this process has just changed is read before it answers the next question."""
        for change in committed:
            held = self._scopes.get(change.scope_id)
            if held is None:
                self._scopes_changed = self.now()  # it may be a new scope
                continue
            held.required = max(held.required, change.version)
            for overtaken in held.reading:
                overtaken.versions |= dict.fromkeys(change.pattern_ids or (), change.version)
                overtaken.all = overtaken.all or change.pattern_ids is None
            if change.pattern_ids is None:
                held.let_go()

    async def caught_up(self) -> None:
        """Return when nothing is in memory that was other before what this process has committed by now."""
        for held in self._scopes.values():
            if held.loading is not None and any(reading.versions for reading in held.reading):
                held.loading.cancel()  # what it read is not to be kept, not even for the rest of the load
        behind = [held for held in self._scopes.values() if held.applied < held.required]
        needed, until = [held.required for held in behind], self.now() + PATIENCE
        for held, version in zip(behind, needed, strict=True):
            while held.patterns is not None and held.applied < version:
                held.waiting += 1
                try:
                    if not await self._next(held.turn, until):
                        held.let_go()
                finally:
                    held.waiting -= 1

    async def asked_within(self, seconds: float) -> None:
        """Wait until a question waits for the next look, but not longer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._asked.wait()

    async def catch_up(
        self, connection: Connection, seen: Sequence[ScopeVersion], at: float
    ) -> None:
        """Read what changed, where the versions `seen` at a time are not those that are held.

        What questions wait for comes first; while any wait for what was looked at already, the rest is left for the
        next look. Raises StorageUnavailable, and what the driver says of a connection that is gone.
        """
        known: dict[str, dict[str, int]] = {}
        for one in seen:
            known.setdefault(one.pattern_type, {})[one.business_category] = one.scope_id
        self._asked.clear()
        self._known, self._known_as_of = known, at
        self._turn = _ended(self._turn)
        behind: list[tuple[_Held, ScopeVersion]] = []
        for one in seen:
            held = self._scopes.get(one.scope_id)
            if held is None or held.patterns is None:
                continue
            if one.reset_version > held.applied:
                held.let_go()
            elif one.version > held.applied:
                behind.append((held, one))
                continue
            else:
                held.as_of = at
            held.turn = _ended(held.turn)
        if behind:
            async with reading_changes(connection, [seen.scope_id for _, seen in behind]):
                await self._catch_up(connection, behind, at)
        self._make_room(0, None)

    async def _catch_up(
        self, connection: Connection, behind: list[tuple[_Held, ScopeVersion]], at: float
    ) -> None:
        """Read what changed in these scopes up to the versions beside them, which they had at a time: of the first at least."""
        begun = failed = False
        while behind and not failed:
            if begun and self._asked.is_set() and not any(held.waiting for held, _ in behind):
                return
            next_one = max(behind, key=lambda one: one[0].waiting > 0)
            behind.remove(next_one)
            held, seen = next_one
            try:
                await self._refresh(connection, held, seen.version, at)
            except StorageUnavailable:
                raise
            except Exception as error:
                if connection.is_closed() and unavailable(error) is not None:
                    raise  # whoever lent it says so, and what is held is followed by the next one
                self._not_followed(held, error)
                failed = True  # and so has the transaction: the others are for the next look
            held.turn = _ended(held.turn)
            begun = True

    def _not_followed(self, held: _Held, error: Exception) -> None:
        """The database answers instead, and the log tells of a defect."""
        held.let_go()
        if unavailable(error) is not None:
            held.not_before = self.now() + OLDEST
            return
        held.not_before = self.now() + AGAIN
        log.warning("scope_not_followed", error=type(error).__name__)

    async def aclose(self) -> None:
        """End the loads that are under way."""
        tasks = [held.loading for held in self._scopes.values() if held.loading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _loaded(self) -> Sequence[PublishedScope]:
        # A copy, because metrics are read in another thread.
        scopes = tuple(self._scopes.values())
        return [held.patterns for held in scopes if held.patterns is not None]

    def _recent(self, as_of: float) -> bool:
        return as_of > self._doubted and self.now() - as_of <= OLDEST

    async def _knows_scopes(self) -> bool:
        """Whether it is known which scopes there are."""
        until = self.now() + PATIENCE
        while self._known_as_of <= self._scopes_changed or not self._recent(self._known_as_of):
            if not await self._next(self._turn, until):
                return False
        return True

    async def _next(self, turn: asyncio.Event, until: float) -> bool:
        """Have a look taken, and wait for the end of the turn; whether that was in time."""
        self._asked.set()
        self.wake()
        try:
            async with asyncio.timeout(until - self.now()):
                await turn.wait()
        except TimeoutError:
            return False
        return True

    async def _refresh(self, connection: Connection, held: _Held, version: int, at: float) -> None:
        """Take in what changed in a scope up to a version, which was its last at a time."""
        patterns = held.patterns
        if patterns is None:
            return
        changed = await changed_patterns(connection, held.scope.scope_id, held.applied)
        for ids in parts(changed):
            read = await read_patterns(connection, held.scope, ids, self._k)
            if held.patterns is not patterns:
                return
            if any(one.vector[patterns.width :].any() for one in read):
                held.let_go()  # its vectors are too narrow
                return
            for pattern_id in {*ids} - {one.pattern_id for one in read}:
                patterns.drop(pattern_id)
            for one in read:
                patterns.put(one)
        if held.patterns is patterns:
            held.applied, held.as_of = version, at
            if len(patterns) > held.grown:
                held.grown = inf
                self._load_soon(held, held.scope)

    def _load_soon(self, held: _Held, scope: Scope) -> None:
        if held.loading is None and self.now() >= held.not_before:
            held.scope = scope
            held.loading = asyncio.create_task(self._load(held), name="load of a scope")

    async def _load(self, held: _Held) -> None:
        try:
            async with self._one_load:
                await self._read_scope(held)
            self.loads += 1
        except _NoRoom:
            held.not_before = self.now() + AGAIN
            log.warning("scope_not_held", scope_id=held.scope.scope_id, limit_bytes=self._limit)
        except StorageUnavailable:
            held.not_before = self.now() + OLDEST
            self.failed_loads += 1
        except Exception as error:  # noqa: BLE001 - the database answers instead, and the log tells of the defect
            held.not_before = self.now() + AGAIN
            self.failed_loads += 1
            log.warning("scope_not_loaded", error=type(error).__name__)
        finally:
            held.loading = None

    async def _read_scope(self, held: _Held) -> None:
        scope, began = held.scope, self.now()
        with _reading(held) as overtaken:
            async with self._database.connection() as connection:
                version, ids = await held_ids(connection, scope, self._k)
            read: list[Published] = []
            size = 0
            for some in parts(ids):
                async with self._database.connection() as connection:
                    more = await read_patterns(connection, scope, some, self._k)
                if overtaken.all:
                    return
                read += more
                size += sum(len(one.packed) + one.vector.nbytes for one in more)
                self._make_room(size, held)
            patterns = await asyncio.to_thread(_made, read)
            if overtaken.all:
                return
        for pattern_id in overtaken.after(version):
            patterns.drop(pattern_id)
        self._make_room(patterns.nbytes, held)
        held.patterns, held.applied, held.as_of = patterns, version, began
        held.grown = 2 * max(len(patterns), SCANNED_WHOLE)

    def _make_room(self, more: int, taker: _Held | None) -> None:
        """Let go of what can be made again, then of scopes, the one asked about the longest ago first.

        Raises _NoRoom where all others are in use.
        """
        if self.nbytes + more <= self._limit:
            return
        for patterns in self._loaded():
            patterns.forget_views()
        while self.nbytes + more > self._limit:
            others = [
                held
                for held in self._scopes.values()
                if held.patterns is not None and held is not taker
            ]
            least = min(others, key=lambda held: held.asked, default=None)
            if least is None or (taker is not None and self.now() - least.asked < IN_USE):
                if taker is None:
                    return
                raise _NoRoom
            least.let_go()
            least.not_before = self.now() + AGAIN
            self.evictions += 1


class _NoRoom(Exception):
    """Memory is full of scopes that are in use."""


@contextmanager
def _reading(held: _Held) -> Iterator[_Overtaken]:
    """Note what is committed meanwhile."""
    overtaken = _Overtaken()
    held.reading.append(overtaken)
    try:
        yield overtaken
    finally:
        held.reading.remove(overtaken)


def _ended(turn: asyncio.Event) -> asyncio.Event:
    """The next turn, where all who waited for this one go on."""
    turn.set()
    return asyncio.Event()


def _made(read: Sequence[Published]) -> PublishedScope:
    """A scope of these patterns; runs in a thread."""
    used = max((int(np.max(np.nonzero(one.vector)[0], initial=0)) for one in read), default=0)
    patterns = PublishedScope(used + 1, unpack, with_room(len(read)))
    for one in read:
        patterns.put(one)
    patterns.prepare()
    return patterns
