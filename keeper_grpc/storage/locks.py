"""Every advisory lock, and the order in which locks are taken.

A scope's key is its scope_id, a hash in the same 64 bits as the fixed keys; colliding locks only exclude each other
needlessly. The keys never change, because during a rolling upgrade old and new processes must exclude each
other.

    MIGRATION     transaction. Alone, on a connection of its own.
    MAINTENANCE   session, tried. Alone.
    LEADER        session, tried. The leader's steps take STEP on the same connection.
    STEP          transaction. Then rows: sightings and clusters (a step); the account, its advice and
                  its sightings (the end of ForgetAccount).
    MOVE          session, tried, on the source and then the target of a move. Alone.
    ARCHIVE       session, tried. Alone; its transactions take a scope, then accounts; RETENTION before, where questions leave.
    PRIORS        transaction, tried. Then rows: patterns, in the order of their ids.
    FOLD          transaction, tried by a fold. A rebuild waits for it, after it has locked the tables
                  observations and enhancements.
    RETENTION     transaction, tried. Then rows: accounts and what is old, none of which is waited for; what was rolled up.
    MODEL         transaction. Alone by the switch to another embedding model, which then takes STEP and PRIORS;
                  shared by all who take a scope, and before they do; shared and tried by a question.
    a scope       transaction. Then rows: accounts, the scope's patterns and their shares, request ids, measures,
                  sightings, each of them in the order of its keys, then rows of scopes in their order (storage/patterns/versions.py).

    a version     transaction, where tables are spread, under two keys of 32 bits ("vers", and a hash of the scope): shared by who
                  has raised the version of a scope; whoever has seen it waits for the lock alone, and holds it for no time.

But for MODEL and the switch, a transaction holds at most one of MIGRATION, PRIORS, RETENTION, STEP, FOLD and a scope, and takes it before it
locks any row; but an archive's transaction takes RETENTION and then a scope, which nobody who has a scope waits for. "Tried" locks
are not waited for. A group of captures holds several scopes: it waits for the first, and
tries the others. Only the rebuild locks tables first, which no holder of FOLD waits for. So no
two transactions wait for each other's advisory locks.

Where tables are spread, locks of the coordinator stand for the rows of accounts, and are taken where the list says accounts
(storage/accounts/holding.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from keeper_grpc.domain.errors import PatternsMoved
from keeper_grpc.domain.patterns.pattern import Scope

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection


class AdvisoryLock(IntEnum):
    """The locks with one fixed key each. In ASCII the keys spell "keeper" or "keep", and their use."""

    MIGRATION = 0x6B65657065720001
    """Applies migrations: processes that start together take turns."""
    FOLD = 0x6B65657065720009
    """Folds changes into the daily measures."""
    LEADER = 0x6B656570_656D6572
    """Detects emerging patterns; held as long as the process leads."""
    MAINTENANCE = 0x6B656570_6D61696E
    """Builds ANN indexes: two processes must not build the same one."""
    MODEL = 0x6B656570_6D6F646C
    """Switches the database to another embedding model; also in the schema's functions."""
    MOVE = 0x6B656570_6D6F7665
    """Moves the network to another database, or from one."""
    PRIORS = 0x6B656570_7072696F
    """Learns the priors of patterns from each other."""
    RETENTION = 0x6B656570_72657461
    """Deletes or rolls up what is old."""
    ARCHIVE = 0x6B656570_61726368
    """Writes files of old observations, or reads all of them."""
    STEP = 0x6B656570_73746570
    """Changes sightings and their clusters together."""


async def lock(connection: Connection, key: int) -> None:
    """Wait for a lock and hold it until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", int(key))


async def try_lock(connection: Connection, key: AdvisoryLock) -> bool:
    """Take a lock until the transaction ends, or return False while another session holds it."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", int(key)))


@asynccontextmanager
async def try_session_lock(connection: Connection, key: AdvisoryLock) -> AsyncIterator[bool]:
    """Hold a lock during the block, across transactions; False while another session holds it.

    PostgreSQL frees the lock when the process or its connection dies.
    """
    held = bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", int(key)))
    try:
        yield held
    finally:
        if held and not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", int(key))


async def lock_scope(connection: Connection, scope: Scope) -> bool:
    """Exclude every other transaction that changes the scope's patterns, until this one ends.

    Returns whether the scope's model is the database's, which cannot change until then.
    """
    return bool(
        await connection.fetchval(
            "SELECT enter_scope($1, $2)", scope.scope_id, scope.embedding_model
        )
    )


@dataclass(frozen=True, slots=True)
class Entered:
    """A scope that a transaction owns: whether its model is the database's, and its versions; 0 before its first."""

    is_current: bool
    version: int
    reset_version: int


async def enter_scopes(connection: Connection, scopes: Sequence[Scope]) -> Mapping[Scope, Entered]:
    """As `lock_scope`, of the first of these scopes, and of those of the others that nobody else owns; where tables are
    spread, of those of the first one's shard, so that each statement asks one worker.

    From then on the transaction keeps the plans of its statements, and lets them read by keys: each reads a few rows,
    and planning takes longer than that. Of a table that was empty, a kept plan would read every row from then on.

    It waits for the first alone, while the transaction owns none: so no two wait for each other. Each scope is named
    once, under one model.
    """
    rows = await connection.fetch(
        "SELECT * FROM enter_scopes($1::bigint[], $2::text[])",
        [scope.scope_id for scope in scopes],
        [scope.embedding_model for scope in scopes],
    )
    found = {
        row["entered"]: Entered(row["is_current"], row["version"] or 0, row["reset_version"] or 0)
        for row in rows
    }
    return {scope: found[scope.scope_id] for scope in scopes if scope.scope_id in found}


async def lock_searched_scope(connection: Connection, scope: Scope) -> None:
    """As `lock_scope`, for whoever compares vectors in the scope, or adds some.

    Raises PatternsMoved where the scope's model is no longer the database's.
    """
    if not await lock_scope(connection, scope):
        raise PatternsMoved


async def lock_step(connection: Connection) -> None:
    """Exclude every other detector step and ForgetAccount until this transaction ends.

    A step locks sightings, then clusters and, where a cluster ends, sightings again: no order of row locks
    would prevent deadlocks between the two.
    """
    await lock(connection, AdvisoryLock.STEP)
