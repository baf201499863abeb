"""The database server itself: version, extension, rights, schema, connections, clock, replicas."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from keeper_grpc.operations.doctor.finding import Finding, ok, problem, warning
from keeper_grpc.settings import Settings
from keeper_grpc.storage.connections.move_mark import SCHEMA, phase_of
from keeper_grpc.storage.connections.unfit import DatabaseUnfit
from keeper_grpc.storage.schema.migrate import (
    DatabaseNewer,
    MigrationError,
    packaged_migrations,
    pending,
)
from keeper_grpc.storage.schema.preflight import check_server

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection

SKEW_SEEN, SKEW_HARMS = 2.0, 60.0
"""Seconds between two clocks. Times of calls are the process's and some defaults the database's, so days, deadlines of
retention and the order of events differ by as much."""

LAG_SEEN = 30.0
"""Seconds of a replica behind its primary."""

NAMED = 3
"""Tables that a finding names."""

OLD_TRANSACTIONS = 1_500_000_000
"""Age of the oldest unfrozen transaction at which autovacuum is not coming by; at 2.1 billion the server stops."""


async def versions(connection: Connection) -> Sequence[Finding]:
    """The server, its encoding, pgvector, and whether it takes writes."""
    try:
        async with connection.transaction():
            await check_server(connection)
    except DatabaseUnfit as error:
        found, _, cure = str(error).partition(": ")
        return [problem("database", found, cure or "see docs/operations.md")]
    row = await connection.fetchrow(
        """
        SELECT current_setting('server_version') AS server,
               current_setting('transaction_read_only') = 'on' AS read_only,
               (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS vector,
               (SELECT max(age(datfrozenxid)) FROM pg_database) AS age
        """
    )
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    findings = []
    vector = row["vector"] or "not created yet"
    if row["read_only"]:
        findings.append(
            problem(
                "database",
                f"PostgreSQL {row['server']} takes no writes",
                "point KEEPER_DATABASE_URL at the primary, or unset default_transaction_read_only of the role",
            )
        )
    else:
        findings.append(ok("database", f"PostgreSQL {row['server']}, pgvector {vector}"))
    if row["age"] > OLD_TRANSACTIONS:
        findings.append(
            problem(
                "vacuum",
                f"the oldest transaction is {row['age']} transactions old: PostgreSQL stops at 2.1 billion",
                "end the oldest transactions and prepared ones, drop unused replication slots, run VACUUM",
            )
        )
    return findings


async def schema(dsn: str) -> Finding:
    """Whether the database has this program's schema."""
    try:
        missing = await pending(dsn)
    except DatabaseNewer as error:
        return problem("schema", str(error), "run the version that migrated it")
    except MigrationError as error:
        found, _, cure = str(error).partition(": ")
        return problem("schema", found, cure or "restore a backup")
    if missing:
        return problem(
            "schema",
            f"pending migrations: {', '.join(migration.name for migration in missing)}",
            "run keeper migrate, or start a server, which does",
        )
    return ok("schema", f"at {packaged_migrations()[-1].name}")


async def moves(connection: Connection) -> Sequence[Finding]:
    """A move to another database that is not finished; nothing where there is none."""
    if await phase_of(connection) is None:
        return []
    size = await connection.fetchval(
        "SELECT coalesce(pg_total_relation_size(to_regclass($1)), 0)", f"{SCHEMA}.changes"
    )
    return [
        warning(
            "move",
            f"a move to another database is not finished, and has noted changes on {size / 2**20:.0f} MB",
            "wait for it, run keeper move --to again, or give it up: keeper move --cancel",
        )
    ]


async def rights(connection: Connection) -> Finding:
    """Whether this role may do what a server does."""
    lacking = await connection.fetch(
        """
        SELECT relname AS name, string_agg(kind, ', ' ORDER BY kind) AS kinds
          FROM pg_class CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) kind
         WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
           AND NOT has_table_privilege(oid, kind)
         GROUP BY 1 ORDER BY 1
        """
    )
    if lacking:
        named = ", ".join(f"{row['name']} ({row['kinds']})" for row in lacking[:NAMED])
        role = await connection.fetchval("SELECT quote_ident(current_user)")
        return problem(
            "rights",
            f"the role lacks rights to {len(lacking)} tables: {named}{', ...' if len(lacking) > NAMED else ''}",
            f"as their owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        )
    may_create = await connection.fetchval(
        "SELECT has_schema_privilege(current_schema(), 'CREATE')"
    )
    if not may_create:
        return warning(
            "rights",
            "the role may read and write every table, and create none",
            "for an upgrade, migrate with a role that may: KEEPER_DATABASE_URL=... keeper migrate",
        )
    return ok("rights", "the role may read and write every table, and create tables")


async def connections(connection: Connection, settings: Settings) -> Finding:
    """Whether the pools fit into what the server, the database and the role allow."""
    row = await connection.fetchrow(
        """
        SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                   AS server,
               (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()) AS database,
               (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user) AS role,
               (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used
        """
    )
    assert row is not None  # noqa: S101 - as above
    limits = {name: row[name] for name in ("server", "database", "role") if row[name] is not None}
    place, limit = min(limits.items(), key=lambda item: item[1])
    wanted = settings.pool_size * settings.workers
    found = f"this host's pools take {wanted}, the {place} allows {limit}, {row['used']} are in use"
    if wanted > limit:
        return problem(
            "connections",
            found,
            f"set KEEPER_POOL_SIZE to at most {limit // settings.workers}, or raise that limit",
        )
    if row["used"] + wanted > row["server"]:
        return warning(
            "connections",
            f"{found}: beside those in use there is no room for another server",
            "raise max_connections, or lower KEEPER_POOL_SIZE",
        )
    return ok("connections", found)


async def clock(connection: Connection) -> Finding:
    """How far this machine's clock is from the database's."""
    start = time.monotonic()
    theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
    ours = datetime.now(UTC)
    return judged_clock((theirs - ours).total_seconds(), time.monotonic() - start)


def judged_clock(ahead: float, round_trip: float) -> Finding:
    """What so many seconds mean; those that the question was under way may be of the way."""
    skew = max(0.0, abs(ahead) - round_trip)
    found = f"the database's clock is {skew:.1f} seconds {'ahead' if ahead > 0 else 'behind'}"
    cure = "synchronize both machines: chronyc tracking, timedatectl status"
    if skew >= SKEW_HARMS:
        return problem("clock", found, cure)
    if skew >= SKEW_SEEN:
        return warning("clock", found, cure)
    return ok("clock", "this machine's and the database's agree")


async def replicas(connection: Connection) -> Sequence[Finding]:
    """Standbys that lag, and slots that nobody reads, which keep the primary's log on its disk."""
    rows = await connection.fetch(
        """
        SELECT coalesce(nullif(application_name, ''), 'a standby') AS name, state,
               coalesce(extract(epoch FROM replay_lag), 0)::float8 AS lag
          FROM pg_stat_replication
        """
    )
    findings = [
        warning(
            "replicas",
            f"{row['name']} ({row['state'] or 'hidden from this role'}) is {row['lag']:.0f} seconds behind",
            "look at its load, its network and long queries on it",
        )
        for row in rows
        if row["lag"] > LAG_SEEN
    ]
    slots = await connection.fetch(
        """
        SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint AS kept
          FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL
        """
    )
    findings += [
        warning(
            "replicas",
            f"nobody reads the slot {row['slot_name']}, which keeps {row['kept'] / 2**20:.0f} MB of the log",
            f"start its standby, or SELECT pg_drop_replication_slot('{row['slot_name']}')",
        )
        for row in slots
    ]
    return findings or [ok("replicas", f"{len(rows)} connected, none lags")]
