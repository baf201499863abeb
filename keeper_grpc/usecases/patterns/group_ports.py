"""The one transaction of a group, as the use case needs it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.group import Asking, GroupWrites, Known
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import Neighbour, Pattern, PatternKey, Scope
from keeper_grpc.domain.patterns.position import Position


class PlacesOfScope(Protocol):
    """Where the patterns of one scope lie while a group is placed among them; see domain/patterns/placing.py."""

    @property
    def created(self) -> Mapping[UUID, Position]:
        """Where each new pattern lies by now."""

    @property
    def moved(self) -> Mapping[UUID, Position]:
        """Where each older pattern lies that was joined."""

    def unknown(self, pattern_ids: Collection[UUID]) -> Collection[UUID]:
        """Those whose position is not known yet: nothing joins them before it is."""

    def likely(
        self, asked: Sequence[tuple[str, Vectors]], thresholds: Thresholds
    ) -> Collection[UUID]:
        """Unknown ones that observations with these actions would join if they came alone."""

    def know(self, positions: Mapping[UUID, Position]) -> None:
        """Where patterns lay before the group."""

    def near(self, vectors: Vectors) -> Sequence[Neighbour]:
        """The nearest patterns by now, nearest first, to vectors that were asked about."""

    def join(self, target: Neighbour, vectors: Vectors) -> None:
        """Turn a pattern, whose position is known, towards an observation that belongs to it."""

    def begin(self, pattern_id: UUID, action: str, vectors: Vectors) -> None:
        """Begin a pattern with an observation that belongs to no other."""


class GroupTransaction(Protocol):
    """One transaction that owns scopes. Everything in it happens, or nothing does."""

    async def enter(self, scopes: Sequence[Scope]) -> Mapping[Scope, bool]:
        """Own the first of these scopes, and those of its home that nobody else owns, until the end.

        Of each that is owned, whether its model is the database's, which cannot change until then.
        """

    async def known(self, asking: Asking) -> Known:
        """What the ledger has; accounts and pinned patterns stay until the end."""

    async def places(
        self, asked: Mapping[Scope, Sequence[Vectors]]
    ) -> Mapping[Scope, PlacesOfScope]:
        """Where the patterns of owned scopes lie, for as many observations as there are vectors, in their order."""

    async def positions(self, keys: Collection[PatternKey]) -> Mapping[UUID, Position]:
        """Where patterns lie."""

    async def count(self, writes: GroupWrites) -> None:
        """Create and move patterns, and count the observations into them, their scripts and situations."""

    async def write(self, writes: GroupWrites) -> None:
        """Write the ledger, the words and the sightings, and count them into the measures. After `count`."""

    async def patterns(
        self, shown: Collection[tuple[PatternKey, str]]
    ) -> Mapping[tuple[PatternKey, str], Pattern]:
        """Patterns as they are now, each as the account with the key sees it; only what may be shown."""


class GroupStore(Protocol):
    """Where groups go."""

    def home(self, scope: Scope) -> Hashable:
        """What scopes have in common that one transaction writes together, as far as it is known by now."""

    def group(self) -> AbstractAsyncContextManager[GroupTransaction]:
        """Begin a transaction; it commits at the end of the block unless that raises."""
