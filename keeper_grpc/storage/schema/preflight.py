"""Checks that a PostgreSQL server has what the service needs, before anything else uses it.

What is missing is raised as one of storage/connections/unfit.py's errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg

from keeper_grpc.storage.connections.address import Address
from keeper_grpc.storage.connections.connector import Connector, unreachable
from keeper_grpc.storage.connections.unfit import (
    EncodingUnfit,
    PrivilegeMissing,
    ServerTooOld,
    SessionsShared,
    TooFewConnections,
    VectorMissing,
    VectorTooOld,
)

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection

OLDEST_SERVER = 15
"""The oldest PostgreSQL that still gets security fixes (14 ended in November 2026)."""

OLDEST_VECTOR = (0, 8, 4)
"""0.8.2 and 0.8.3 fixed an overflow and an index corruption of pgvector; 0.8.4 is the release after them that was tested."""


LEAST_CONNECTIONS = 4
"""Two listen, one holds the leader's lock, and one is for everything else."""

_LOOKS = 3
"""Looks at whose session is whose: at a busy pooler a single one may miss it."""

_SESSION = "SELECT pg_backend_pid()"


async def connect(dsn: str) -> asyncpg.Connection[asyncpg.Record]:
    """A connection for set-up work, to a server that takes writes.

    Raises:
        DatabaseUrlInvalid, ParameterUnfit, WritesRefused: another attempt would fail as well.
        DatabaseUnreachable, ServerReadOnly: it may help to wait.
    """
    connector = Connector(Address.parse(dsn), statement_cache_size=0)
    try:
        return await connector.connect()
    except asyncpg.TooManyConnectionsError as error:
        raise unreachable(error) from error


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
               current_database() AS database
        """
    )
    assert facts is not None  # noqa: S101  (a SELECT without FROM has one row)
    if facts["version_number"] < OLDEST_SERVER * 10_000:
        raise ServerTooOld(facts["version"], OLDEST_SERVER)
    if facts["encoding"] != "UTF8":
        raise EncodingUnfit(facts["database"], facts["encoding"])
    await _check_vector(conn)
    await _check_limits(conn)


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


async def check_may_use(
    conn: Connection,
    tables: Sequence[str],
    rights: Sequence[str] = ("SELECT", "INSERT", "UPDATE", "DELETE"),
) -> None:
    """Check that this role has these rights to those of the tables that exist.

    Raises:
        PrivilegeMissing: with the command that grants them.
    """
    facts = await conn.fetchrow(
        """
        SELECT quote_ident(current_user) AS role, quote_ident(current_database()) AS database,
               quote_ident(min(n.nspname)) AS schema, array_agg(c.relname ORDER BY c.relname) AS closed
          FROM unnest($1::text[]) AS wanted (name)
          JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(wanted.name))
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE NOT (SELECT bool_and(has_table_privilege(c.oid, granted)) FROM unnest($2::text[]) AS granted)
        """,
        tables,
        rights,
    )
    assert facts is not None  # noqa: S101  (an aggregate without GROUP BY has one row)
    if facts["closed"] is None:
        return
    first, *others = facts["closed"]
    named = f"table {first}" + (f" and {len(others)} others" if others else "")
    raise PrivilegeMissing(
        f"role {facts['role']} may not read and write {named}: run "
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {facts['schema']} "
        f"TO {facts['role']} in database {facts['database']}"
    )


async def check_sessions(conn: Connection, dsn: str) -> None:
    """Check that a session stays this connection's between transactions, as no pooler of transactions lets it.

    Such a pooler gives an idle connection's session to whoever begins a transaction next, so a second connection
    gets the first one's, or the first one gets another afterwards.

    Raises:
        SessionsShared
        DatabaseUnreachable: there is no second session.
    """
    other = await connect(dsn)
    try:
        for _ in range(_LOOKS):
            mine = await conn.fetchval(_SESSION)
            async with other.transaction():
                theirs = await other.fetchval(_SESSION)
                if theirs == mine or await conn.fetchval(_SESSION) != mine:
                    raise SessionsShared
    except asyncpg.PostgresConnectionError as error:
        if "statement pooling" in str(error):  # pgbouncer's words; it has no code of its own
            raise SessionsShared from error
        raise
    finally:
        await other.close()


def require_vector_version(found: str, *, fix: str) -> None:
    """Raise `VectorTooOld`, ending in `fix`, unless `found` ("0.8.4") is new enough."""
    numbers = tuple(int(part) for part in found.split(".") if part.isdecimal())
    if numbers < OLDEST_VECTOR:
        wanted = ".".join(map(str, OLDEST_VECTOR))
        raise VectorTooOld(f"pgvector {found} is too old, {wanted} or newer is needed: {fix}")


async def _check_limits(conn: Connection) -> None:
    """Check that the role and the database may have as many connections as a process holds."""
    facts = await conn.fetchrow(
        """
        SELECT 'ROLE ' || quote_ident(r.rolname) AS role, r.rolconnlimit AS of_role,
               'DATABASE ' || quote_ident(d.datname) AS database, d.datconnlimit AS of_database
          FROM pg_roles AS r, pg_database AS d
         WHERE r.rolname = session_user AND d.datname = current_database() AND NOT r.rolsuper
        """
    )
    if facts is None:  # a superuser has no limit
        return
    for whose, limit in (("role", "of_role"), ("database", "of_database")):
        if 0 <= facts[limit] < LEAST_CONNECTIONS:
            raise TooFewConnections(facts[whose], facts[limit], LEAST_CONNECTIONS)


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
