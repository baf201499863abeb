"""A standby to read from, as long as what it shows is recent enough.

How old that is, is measured and not asked: the primary is asked how far it has written, the standby how far it has
replayed. A standby that has replayed what was written at some moment shows at least the state of that moment. Neither
clocks nor an idle primary, whose standby's last replayed transaction looks ever older, can mislead that.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, ParamSpec, Protocol, TypeVar

import structlog

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.database import Connection, Database

P = ParamSpec("P")
R = TypeVar("R")

_log = structlog.get_logger(__name__)

LOOKS: Final = 4
"""Looks at the standby in the time that it may lag."""

LONGEST_PAUSE: Final = 1.0
"""Seconds between looks, at most."""

MOST_MARKS: Final = 1_000
"""Positions of the primary that wait to be replayed. Of more the oldest are dropped: the standby lags too far anyway."""


class Reads(Protocol):
    """What readers need: a Database, or a standby that stands in for it."""

    def connection(self) -> AbstractAsyncContextManager[Connection]: ...

    def transaction(
        self, *, read_only: bool = False
    ) -> AbstractAsyncContextManager[Connection]: ...


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the primary had written, in bytes, and when it was asked: what is replayed so far is no older."""

    asked: float
    written: int


class Replica:
    """Reads from the standby while it is recent, else from the primary. `run` it as a task.

    Without a standby all reads are the primary's.
    """

    def __init__(
        self,
        primary: Database,
        standby: Database | None,
        *,
        max_lag: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._primary = primary
        self._standby = standby
        self._max_lag = max_lag.total_seconds()
        self._clock = clock
        self._marks: deque[Mark] = deque(maxlen=MOST_MARKS)
        self._state_of = float("-inf")
        """The moment whose state the standby shows at least."""
        self._not_before = float("-inf")
        self._was_used: bool | None = None

    @property
    def lag(self) -> float:
        """Seconds by which the standby is behind at most; infinite where it was never seen."""
        return self._clock() - self._state_of

    @property
    def is_configured(self) -> bool:
        """Whether there is a standby at all."""
        return self._standby is not None

    @property
    def is_used(self) -> bool:
        """Whether reads go to the standby now."""
        return (
            self._standby is not None
            and self.lag <= self._max_lag
            and self._state_of >= self._not_before
        )

    def require_present(self) -> None:
        """Read from the primary until the standby shows all that is committed by now."""
        self._not_before = self._clock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for reading, as Database.connection."""
        async with AsyncExitStack() as stack:
            yield await self._entered(stack, lambda database: database.connection())

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = True) -> AsyncIterator[Connection]:
        """A read-only transaction, as Database.transaction."""
        assert read_only  # noqa: S101 - a defect of ours
        async with AsyncExitStack() as stack:
            yield await self._entered(stack, lambda database: database.transaction(read_only=True))

    def then_present(
        self, write: Callable[P, Awaitable[R]]
    ) -> Callable[P, Coroutine[None, None, R]]:
        """The same, but what is read after it, from this process, shows what it wrote."""

        async def written(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await write(*args, **kwargs)
            finally:
                self.require_present()

        return written

    async def run(self) -> None:
        """Look at the standby for ever, where there is one."""
        while self._standby is not None:
            await self.look()
            await asyncio.sleep(min(self._max_lag / LOOKS, LONGEST_PAUSE))

    async def look(self) -> None:
        """Find out of which moment the standby shows the state, and log when reads begin or end to go there."""
        assert self._standby is not None  # noqa: S101 - see `run`
        try:
            found = await self._measure(self._standby)
        except StorageUnavailable:
            self._marks.clear()
            found = "it does not answer, or the primary does not"
        if self.is_used is self._was_used:
            return
        self._was_used = self.is_used
        if self._was_used:
            _log.info("replica_joined", lag_seconds=round(self.lag, 3))
        else:
            _log.warning("replica_left", reason=found)

    async def _measure(self, standby: Database) -> str:
        """Measure; what the standby is worth."""
        asked = self._clock()
        async with self._primary.connection() as connection:
            written = await connection.fetchrow(_WRITTEN)
        async with standby.connection() as connection:
            replayed = await connection.fetchrow(_REPLAYED)
        assert written is not None  # noqa: S101 - a SELECT without FROM has one row
        assert replayed is not None  # noqa: S101 - the same
        if replayed["cluster"] != written["cluster"]:
            return "it is of another cluster"
        if replayed["position"] is None:
            # Promoted: it writes a history of its own from now on.
            self._state_of = float("-inf")
            self._marks.clear()
            return "it is no standby"
        self._marks.append(Mark(asked, written["position"]))
        while self._marks and self._marks[0].written <= replayed["position"]:
            self._state_of = self._marks.popleft().asked
        return "it lags"

    async def _entered(
        self,
        stack: AsyncExitStack,
        of: Callable[[Database], AbstractAsyncContextManager[Connection]],
    ) -> Connection:
        if self.is_used and self._standby is not None:
            try:
                return await stack.enter_async_context(of(self._standby))
            except StorageUnavailable:
                # Until the next look that finds it.
                self._state_of = float("-inf")
        return await stack.enter_async_context(of(self._primary))


_WRITTEN = """
    SELECT (pg_current_wal_lsn() - '0/0')::bigint AS position, system_identifier AS cluster FROM pg_control_system()
"""

_REPLAYED = """
    SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END AS position,
           system_identifier AS cluster
      FROM pg_control_system()
"""
