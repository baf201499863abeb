"""A move: copy, follow, verify, switch. Each step can be interrupted, and a second run goes on.

The two databases say how far it is (storage/connections/move_mark.py). Never do both take writes: the target opens after the
source was closed for good.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import asyncpg

from keeper_grpc.operations.backup.contents import has_learned, migrations_of
from keeper_grpc.operations.move import fence
from keeper_grpc.operations.move.copying import copy_table, make_progress_table
from keeper_grpc.operations.move.errors import (
    ConnectionGone,
    MoveElsewhere,
    NothingToCancel,
    PauseTooLong,
    SchemaDiffers,
    TargetFull,
    TargetNotEmpty,
    UnfencedNot,
)
from keeper_grpc.operations.move.following import same_snapshot
from keeper_grpc.operations.move.noting import (
    begin_noting,
    end_noting,
    refuse_changes,
    require_noting,
)
from keeper_grpc.operations.move.sequences import take_over_sequences
from keeper_grpc.operations.move.sides import Side, make_schema, open_session, set_mark
from keeper_grpc.operations.move.tables import Table, tables_of
from keeper_grpc.operations.move.target_keys import drop_keys, prove_keys, restore_keys
from keeper_grpc.operations.move.verifying import (
    require_right_ledger,
    require_same_counts,
    require_same_of,
    require_same_rows,
)
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.storage.connections.move_mark import SCHEMA, Phase, mark_of
from keeper_grpc.storage.connections.refusals import for_the_operator
from keeper_grpc.storage.connections.unfit import DatabaseUnfit, DatabaseUnreachable
from keeper_grpc.storage.schema.distribution import is_distributed

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection

_FEW: Final = 500
"""Notes that are followed within a moment."""

_RECENT: Final = 100
"""Observations by which the target of a move is known again: since then some of their accounts may have been forgotten."""

_ROUNDS: Final = 20
"""Rounds that may be needed until few notes are left: each takes as long as the one before it let come."""


class Move:
    """One run of a move from `source` to `target`, which are open for it alone."""

    def __init__(
        self, source: Side, target: Side, *, max_pause: float, say: Callable[[str], None]
    ) -> None:
        """`max_pause` is in seconds; `say` gets a line on each step."""
        self._source = source
        self._target = target
        self._max_pause = max_pause
        self._say = say
        self._tables: Sequence[Table] = ()

    async def check(self, *, overwrite: bool) -> None:
        """Whether a move could begin or go on. Changes nothing. Raises MoveError."""
        with _told():
            await self._check(overwrite=overwrite)
            await self._require_same_schema()

    async def __call__(self, *, overwrite: bool) -> float | None:
        """Move: the seconds for which nobody could write; None where only the last step of an earlier run was left.

        Raises MoveError, DatabaseUnfit.
        """
        with _told():
            source, target = self._source.connection, self._target.connection
            mark = await self._check(overwrite=overwrite)
            await self._require_same_schema()
            self._tables = await tables_of(source)
            if mark is not None and mark["phase"] == Phase.MOVED:
                await self._open_target()
                await self._prove_keys()
                return None
            move: UUID = uuid4() if mark is None else mark["move"]
            if mark is not None and mark["phase"] == Phase.SWITCHING:
                # A run before was killed within its switch: the servers go on while this one catches up.
                await _reopen(self._source, move)
            await self._prepare(move, overwrite=overwrite)
            if await is_distributed(source):
                paused = await self._switch_with_a_copy(move)
                await self._prove_keys()
                return paused
            await begin_noting(source, self._tables)
            await self._copy()
            await self._follow_until_few()
            async with same_snapshot(source, target, self._tables):
                self._say("comparing every row of both, and the evidence with the ledger")
                rows = await require_same_rows(source, target, self._tables)
                await require_right_ledger(self._target)
            self._say(f"{rows} rows are the same in both, and the evidence is what the ledger says")
            await target.execute("ANALYZE")
            await self._follow_until_few()
            paused = await self._switch(move)
            await self._prove_keys()
            return paused

    async def _check(self, *, overwrite: bool) -> Mapping[str, Any] | None:
        """The source's mark. Raises MoveError where the two cannot be a move's."""
        source, target = self._source.connection, self._target.connection
        if not await migrations_of(source):
            raise SchemaDiffers("the source has no schema of ours: there is nothing to move")
        mark, there = await mark_of(source), await mark_of(target)
        if mark is not None and mark["phase"] == Phase.ARRIVING:
            raise MoveElsewhere(
                "the source is itself the target of a move that is not done: finish that one first"
            )
        if mark is not None and there is not None and mark["move"] == there["move"]:
            return mark
        if mark is not None and mark["phase"] == Phase.MOVED:
            # Once the target is open, it has no mark.
            if there is None and await has_learned(target) and await _has_recent(source, target):
                return mark
            raise MoveElsewhere("the network was moved from the source to another database")
        if mark is not None and await _is_noted(source):
            raise MoveElsewhere(
                "the source is being moved to another target: finish that, or give it up with keeper move --cancel"
            )
        if there is not None and there["phase"] in (Phase.LEAVING, Phase.SWITCHING):
            raise TargetNotEmpty("the target is itself the source of a move: it serves a network")
        if there is not None and not overwrite:
            raise TargetNotEmpty(
                "the target holds what an earlier move left: name an empty database, or say --overwrite"
            )
        if there is None:
            await _require_empty(target)
        await require_right_ledger(self._source)
        return mark

    async def _require_same_schema(self) -> None:
        ours = await migrations_of(self._source.connection)
        theirs = await migrations_of(self._target.connection)
        if ours != theirs:
            raise SchemaDiffers(
                f"the source is at migration {_newest(ours)} and the target at {_newest(theirs)}: run keeper migrate of "
                "one version on both"
            )

    async def _prepare(self, move: UUID, *, overwrite: bool) -> None:
        """Mark both, close and empty the target; what is done already stays."""
        source, target = self._source.connection, self._target.connection
        if await mark_of(source) is None:
            async with source.transaction():
                await make_schema(source)
                await set_mark(source, move, Phase.LEAVING)
        there = await mark_of(target)
        if there is None or there["move"] != move:
            async with target.transaction():
                await target.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
                await make_schema(target)
                await make_progress_table(target)
                await set_mark(target, move, Phase.ARRIVING)
        if await target.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.keys") is None:
            await fence.close(target)
            if there is None and not overwrite:
                await _require_empty(target)
            async with target.transaction():
                await drop_keys(target)
                await self._empty_target()

    async def _empty_target(self) -> None:
        target = self._target.connection
        for table in self._tables:
            await target.execute(f"TRUNCATE {table.name}")
        await target.execute(f"DELETE FROM {SCHEMA}.progress")  # noqa: S608 - a constant

    async def _copy(self) -> None:
        copied = 0
        for table in self._tables:
            rows = await copy_table(self._source.connection, self._target.connection, table)
            if rows:
                self._say(f"copied {rows} rows of {table.name}")
            copied += rows
        self._say(f"copied {copied} rows in all")

    async def _follow_until_few(self) -> None:
        """Follow in rounds, each of which lets fewer changes come than the one before."""
        for _ in range(_ROUNDS):
            async with same_snapshot(
                self._source.connection, self._target.connection, self._tables
            ) as followed:
                pass
            if followed.notes:
                self._say(f"followed {followed.notes} changes")
            if followed.notes < _FEW:
                return

    async def _switch(self, move: UUID) -> float:
        """Close the source, let the target have the last changes, and open it: the seconds that this took."""
        source, target = self._source.connection, self._target.connection
        begun = time.monotonic()
        async with self._closed(move):
            await require_noting(source, self._tables)
            async with same_snapshot(source, target, self._tables) as followed:
                await require_same_of(source, target, self._tables, followed.keys)
                await require_same_counts(source, target, self._tables)
        # If this fails, nobody knows whether it was committed: neither side opens before the next run has looked.
        async with source.transaction():
            await refuse_changes(source, self._tables)
            await set_mark(source, move, Phase.MOVED)
        await self._open_target()
        return time.monotonic() - begun

    async def _switch_with_a_copy(self, move: UUID) -> float:
        """As `_switch`, from a cluster: its tables take no triggers, and no snapshot is of all its nodes.

        So it is closed before it is copied, and a run that is interrupted has left nothing that could be gone on with.
        """
        source, target = self._source.connection, self._target.connection
        begun = time.monotonic()
        async with self._closed(move):
            self._say("the cluster is closed for as long as the copy takes")
            async with target.transaction():
                await self._empty_target()
            await self._copy()
            rows = await require_same_rows(source, target, self._tables)
            await require_right_ledger(self._target)
            self._say(f"{rows} rows are the same in both, and the evidence is what the ledger says")
            await target.execute("ANALYZE")
        await set_mark(source, move, Phase.MOVED)
        await self._open_target()
        return time.monotonic() - begun

    @asynccontextmanager
    async def _closed(self, move: UUID) -> AsyncIterator[None]:
        """The source takes no writes, in the block and after it; whatever goes wrong in it opens the source again."""
        source = self._source.connection
        await set_mark(source, move, Phase.SWITCHING)
        try:
            async with asyncio.timeout(self._max_pause):
                await fence.close(source)
                await self._require_same_schema()
                yield
        except BaseException as error:
            await asyncio.shield(_reopen(self._source, move, after=error))
            if isinstance(error, TimeoutError):
                raise PauseTooLong(self._max_pause) from error
            raise

    async def _open_target(self) -> None:
        """The target is the network from now on. Does nothing where that is done."""
        source, target = self._source.connection, self._target.connection
        if await mark_of(target) is not None:
            async with target.transaction():
                await take_over_sequences(source, target, self._tables)
                await restore_keys(target)
                await target.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
                await fence.open_again(target)

    async def _prove_keys(self) -> None:
        """The last step, while the target serves: its size does not count in the pause."""
        self._say("the target serves; looking through its foreign keys")
        await prove_keys(self._target.connection)


async def cancel(source: Side) -> None:
    """Give a move up: the source serves as if there had been none. Raises NothingToCancel."""
    with _told():
        mark = await mark_of(source.connection)
        if mark is None:
            raise NothingToCancel("no move from this database is under way")
        if mark["phase"] == Phase.MOVED:
            raise NothingToCancel(
                "the network was moved from this database: move it back from where it is, "
                "KEEPER_DATABASE_URL=<there> keeper move --to <here> --overwrite"
            )
        if mark["phase"] == Phase.ARRIVING:
            raise NothingToCancel(
                "this database is the target of a move, not its source: drop it when the move is given up"
            )
        await fence.open_again(source.connection)
        await end_noting(source.connection)


async def _reopen(source: Side, move: UUID, *, after: BaseException | None = None) -> None:
    """Undo a switch, by a session of its own: the other one may be in the middle of something.

    Raises UnfencedNot.
    """
    try:
        connection = await open_session(source.dsn, source.name)
        try:
            await fence.open_again(connection)
            await set_mark(connection, move, Phase.LEAVING)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, OperatorError) as error:
        raise UnfencedNot(str(after or error).partition("\n")[0]) from error


async def _require_empty(target: Connection) -> None:
    if await has_learned(target):
        raise TargetNotEmpty(
            "the target holds accounts and evidence: name an empty database that keeper migrate prepared"
        )


async def _has_recent(source: Connection, target: Connection) -> bool:
    """Whether the target has any of the source's newest observations, whose ids are of one network only, or the source has none."""
    recent = await source.fetch(
        "SELECT id FROM observations ORDER BY recorded_time DESC LIMIT $1", _RECENT
    )
    return not recent or await target.fetchval(
        "SELECT EXISTS (SELECT 1 FROM observations WHERE id = ANY ($1))",
        [row["id"] for row in recent],
    )


async def _is_noted(source: Connection) -> bool:
    return await source.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.changes") is not None


def _newest(migrations: Mapping[str, str]) -> str:
    return next(reversed(list(migrations)), "none")


@contextmanager
def _told() -> Iterator[None]:
    """What PostgreSQL and sockets say, as lines for the operator."""
    try:
        with for_the_operator():
            yield
    except DatabaseUnfit as error:
        if isinstance(error.__cause__, asyncpg.DiskFullError):
            raise TargetFull from error
        if isinstance(error, DatabaseUnreachable):
            raise ConnectionGone(str(error.__cause__).partition("\n")[0]) from error
        raise
