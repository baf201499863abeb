"""Records of enhancements, and the sightings that they are, written by group over all scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from keeper_grpc.domain.advice.enhancement import EnhancementRecord
from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.usecases.group_writer import GroupWriter

LARGEST_GROUP = 256
"""Records of one transaction: a record costs a tenth of what it costs alone, and larger groups save no more."""

MOST_WAITING = 4_000
"""Records that may wait: some 10 KB each, and a second of work."""

AT_ONCE = 2
"""While one group waits for the disk, the next is written."""


class RecordStore(Protocol):
    """Where records go."""

    async def record_enhancements(
        self, records: Sequence[EnhancementRecord]
    ) -> Sequence[KeeperError | None]:
        """Write records and sightings in one transaction, but for those in whose place there is an error.

        The error is AccountBeingForgotten or PatternsMoved. Raises StorageUnavailable.
        """


class EnhancementWriter:
    """Takes records, and answers once they are committed."""

    def __init__(
        self,
        store: RecordStore,
        on_wait: Callable[[float], None] = lambda seconds: None,  # noqa: ARG005 - the default ignores it
    ) -> None:
        """`on_wait` as in GroupWriter."""
        self._store = store
        self._writer = GroupWriter[None, EnhancementRecord, None](
            self._write,
            at_once=AT_ONCE,
            largest=LARGEST_GROUP,
            most_waiting=MOST_WAITING,
            on_wait=on_wait,
        )

    @property
    def waiting(self) -> int:
        """Records that no writer has taken yet."""
        return self._writer.waiting

    @property
    def refused(self) -> int:
        """Records that were refused because as many waited as may."""
        return self._writer.refused

    async def record_enhancement(self, record: EnhancementRecord) -> None:
        """Write one. Raises AccountBeingForgotten, PatternsMoved, StorageUnavailable and TooBusy."""
        await self._writer.submit(None, record)

    async def close(self) -> None:
        """Take nothing more, and wait until all that waits is written."""
        await self._writer.close()

    async def _write(
        self, records: Mapping[None, Sequence[EnhancementRecord]]
    ) -> Mapping[None, Sequence[KeeperError | None]]:
        # One place for all scopes.
        return {None: await self._store.record_enhancements(records[None])}
