"""What the database says to the statements of a start, as lines for the operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from keeper_grpc.storage.connections.connector import unreachable
from keeper_grpc.storage.connections.unfit import DatabaseRefuses


@contextmanager
def for_the_operator() -> Iterator[None]:
    """Turn what PostgreSQL, the driver or a socket raises into DatabaseUnreachable or DatabaseRefuses.

    For statements that are about the schema only: the server's words may quote what a statement was about.
    """
    try:
        yield
    except (
        OSError,
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as error:
        # It may be back in a moment.
        raise unreachable(error) from error
    except asyncpg.PostgresError as error:
        line = str(error).partition("\n")[0]
        raise DatabaseRefuses(line, type(error).__name__, error.sqlstate) from error
