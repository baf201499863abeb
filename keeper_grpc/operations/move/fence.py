"""Closing a database for writes, and opening it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncpg

from keeper_grpc.operations.move.errors import SessionsRemain

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection

_ATTEMPTS: Final = 5
"""Times to end the sessions that are there."""

_WAIT: Final = 2_000
"""Milliseconds to wait for a session's end."""

_OTHERS: Final = """
    FROM pg_stat_activity
   WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
     AND backend_start < $1
"""


async def close(connection: Connection) -> None:
    """Let new transactions of all others be read-only, and end every session that began before.

    Raises SessionsRemain: some are another role's, or a prepared transaction could still commit.
    """
    await connection.execute(await _alter(connection, "SET default_transaction_read_only = on"))
    closed = await connection.fetchval("SELECT clock_timestamp()")
    for _ in range(_ATTEMPTS):
        try:
            await connection.execute(
                f"SELECT pg_terminate_backend(pid, {_WAIT}) {_OTHERS}",
                closed,
            )
        except asyncpg.InsufficientPrivilegeError as error:
            raise SessionsRemain(
                "sessions of other roles are connected that this role may not end: stop their programs, or "
                "GRANT pg_signal_backend to the role"
            ) from error
        left = await connection.fetchval(f"SELECT count(*) {_OTHERS}", closed)
        if not left:
            break
    else:
        raise SessionsRemain(f"{left} sessions did not end: stop their programs")
    prepared = await connection.fetchval(
        "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()"
    )
    if prepared:
        raise SessionsRemain(
            f"{prepared} prepared transactions could still commit: COMMIT PREPARED or ROLLBACK PREPARED them"
        )


async def open_again(connection: Connection) -> None:
    """Let transactions write as before."""
    await connection.execute(await _alter(connection, "RESET default_transaction_read_only"))


async def _alter(connection: Connection, change: str) -> str:
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    return f"ALTER DATABASE {database} {change}"
