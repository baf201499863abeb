"""Checks that a PostgreSQL server has what the service needs, before anything else uses it.

    DatabaseUnfit
     +- DatabaseUrlInvalid    the DSN cannot be read
     +- DatabaseUnreachable   no connection: address, name, password
     +- ServerTooOld
     +- ServerReadOnly        a standby
     +- EncodingUnfit         not UTF8
     +- VectorMissing         pgvector is not on the server, or this role may not create it
     +- VectorTooOld
     +- PrivilegeMissing      this role may not create tables

Each message is one line: what is missing and the command that fixes it. They stop the start of the
process; callers of the API never see them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import asyncpg

from keeper_grpc.operator_error import OperatorError

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection

OLDEST_SERVER = 15
"""The oldest PostgreSQL that still gets security fixes (14 ended in November 2026)."""

OLDEST_VECTOR = (0, 8, 4)
"""0.8.2 and 0.8.3 fixed an overflow and an index corruption of pgvector; 0.8.4 is the release after them that was tested."""


CONNECT_TIMEOUT = 5.0
"""Seconds for one attempt to connect. Behind a firewall that drops packets it would take minutes."""


class DatabaseUnfit(OperatorError):
    """Base of the faults of the configured database."""


class DatabaseUrlInvalid(DatabaseUnfit):
    """The DSN cannot be parsed. The parser's message may quote the password, so it is left out."""

    def __init__(self) -> None:
        super().__init__(
            "KEEPER_DATABASE_URL cannot be read: write postgresql://user:password@host:port/database "
            "and percent-encode what is special in the password (# is %23, / is %2F, @ is %40)"
        )


class DatabaseUnreachable(DatabaseUnfit):
    """The server cannot be reached, or refuses the login."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot connect to the database: {reason}; check KEEPER_DATABASE_URL")


class ServerTooOld(DatabaseUnfit):
    """The server's major version is below `OLDEST_SERVER`."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"PostgreSQL {version} is too old: upgrade the server to {OLDEST_SERVER} or newer"
        )


class ServerReadOnly(DatabaseUnfit):
    """The server is a standby, which takes no writes."""

    def __init__(self) -> None:
        super().__init__(
            "the server is a read-only standby: point KEEPER_DATABASE_URL at the primary, "
            "or promote it with SELECT pg_promote()"
        )


class EncodingUnfit(DatabaseUnfit):
    """The database cannot hold every text."""

    def __init__(self, database: str, encoding: str) -> None:
        super().__init__(
            f"database {database} has encoding {encoding}: make one with "
            "CREATE DATABASE keeper ENCODING 'UTF8' TEMPLATE template0"
        )


class VectorMissing(DatabaseUnfit):
    """The extension is neither installed nor installable by this role."""


class VectorTooOld(DatabaseUnfit):
    """The extension's version is below `OLDEST_VECTOR`."""


class PrivilegeMissing(DatabaseUnfit):
    """The role may not create tables where it would have to."""


async def connect(dsn: str) -> asyncpg.Connection[asyncpg.Record]:
    """A connection for set-up work, which may go through a pooler of transactions.

    Raises:
        DatabaseUrlInvalid: another attempt would fail as well.
        DatabaseUnreachable: with the server's reason, which names no password.
    """
    try:
        return await asyncpg.connect(dsn, statement_cache_size=0, timeout=CONNECT_TIMEOUT)
    except ValueError:
        raise DatabaseUrlInvalid from None
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DatabaseUnreachable(reason) from error


async def check_server(conn: Connection) -> None:
    """Check version, writability, encoding and pgvector; changes nothing.

    Raises:
        DatabaseUnfit: the first thing that is missing.
    """
    facts = await conn.fetchrow(
        """
        SELECT current_setting('server_version') AS version,
               current_setting('server_version_num')::int AS version_number,
               current_setting('server_encoding') AS encoding,
               current_database() AS database,
               pg_is_in_recovery() AS standby
        """
    )
    assert facts is not None  # noqa: S101  (a SELECT without FROM has one row)
    if facts["version_number"] < OLDEST_SERVER * 10_000:
        raise ServerTooOld(facts["version"])
    if facts["standby"]:
        raise ServerReadOnly
    if facts["encoding"] != "UTF8":
        raise EncodingUnfit(facts["database"], facts["encoding"])
    await _check_vector(conn)


async def check_may_create(conn: Connection) -> None:
    """Check that this role may create tables in its current schema, as migrations do.

    Raises:
        PrivilegeMissing: it may not, or the search path names no existing schema.
    """
    facts = await conn.fetchrow(
        """
        SELECT quote_ident(current_schema()) AS schema, quote_ident(current_user) AS role,
               quote_ident(current_database()) AS database,
               has_schema_privilege(current_schema(), 'CREATE') AS granted
        """
    )
    assert facts is not None  # noqa: S101  (a SELECT without FROM has one row)
    if facts["schema"] is None:
        raise PrivilegeMissing(
            f"role {facts['role']} sees no schema to create tables in: run "
            f"ALTER ROLE {facts['role']} IN DATABASE {facts['database']} SET search_path = public"
        )
    if not facts["granted"]:
        raise PrivilegeMissing(
            f"role {facts['role']} may not create tables in schema {facts['schema']}: run "
            f"GRANT CREATE ON SCHEMA {facts['schema']} TO {facts['role']} "
            f"in database {facts['database']}"
        )


def require_vector_version(found: str, *, fix: str) -> None:
    """Raise `VectorTooOld`, ending in `fix`, unless `found` ("0.8.4") is new enough."""
    numbers = tuple(int(part) for part in found.split(".") if part.isdecimal())
    if numbers < OLDEST_VECTOR:
        wanted = ".".join(map(str, OLDEST_VECTOR))
        raise VectorTooOld(f"pgvector {found} is too old, {wanted} or newer is needed: {fix}")


async def _check_vector(conn: Connection) -> None:
    facts = await conn.fetchrow(
        """
        SELECT default_version AS offered, installed_version AS installed,
               quote_ident(current_database()) AS database, quote_ident(current_user) AS role
        FROM pg_available_extensions WHERE name = 'vector'
        """
    )
    if facts is None:
        raise VectorMissing(
            "pgvector is not installed on the server: install it there "
            "(on Debian: apt install postgresql-<version>-pgvector)"
        )
    upgrade = "install a newer pgvector on the server"
    require_vector_version(facts["offered"], fix=upgrade)
    if facts["installed"] is not None:
        require_vector_version(
            facts["installed"],
            fix=f"run ALTER EXTENSION vector UPDATE in database {facts['database']}",
        )
        return
    # Tried, because on managed servers roles that are no superusers may create it. UniqueViolation: another
    # session creates it at the same time.
    trial = conn.transaction()
    await trial.start()
    try:
        with contextlib.suppress(asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError):
            await conn.execute("CREATE EXTENSION vector")
    except asyncpg.InsufficientPrivilegeError as error:
        raise VectorMissing(
            f"role {facts['role']} may not create the extension vector: run CREATE EXTENSION vector "
            f"as a superuser in database {facts['database']}"
        ) from error
    finally:
        await trial.rollback()
