"""The parts that serving and the one-shot commands share: database, anonymizer, catalog."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import structlog

from keeper_grpc.catalog.load import Catalog
from keeper_grpc.domain.accounts.qualification import Qualification
from keeper_grpc.domain.authored.triggers import parse_trigger
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.guardrails import Limits
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import AuthoredPattern
from keeper_grpc.privacy.anonymizer import Anonymizer, HashWord
from keeper_grpc.privacy.text.vocabulary import ApprovedWords
from keeper_grpc.settings import Settings
from keeper_grpc.storage.connections.unfit import (
    DatabaseMoving,
    DatabaseUnfit,
    DatabaseUnreachable,
    ServerReadOnly,
)
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedded.running import shared_postgres
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.replica import Replica
from keeper_grpc.storage.schema.migrate import MigrationBlocked, migrate
from keeper_grpc.telemetry.telemetry import Telemetry

log = structlog.get_logger()

RETRY_INTERVAL = 0.5
"""Seconds between attempts to reach the database at the start."""


@asynccontextmanager
async def database(settings: Settings, *, beside_a_server: bool = False) -> AsyncIterator[str]:
    """The DSN of a migrated database: the bundled one unless the settings name another.

    `beside_a_server`: where another process has the bundled database, share its PostgreSQL. Only for
    commands that may run beside a server of an external database too.
    """
    async with database_server(settings, beside_a_server=beside_a_server) as dsn:
        applied = await _migrate_when_reachable(dsn, settings)
        if applied:
            log.info("migrations_applied", names=applied)
        yield dsn


@asynccontextmanager
async def database_server(
    settings: Settings, *, beside_a_server: bool = False
) -> AsyncIterator[str]:
    """The DSN of the database as it is, which may lack migrations; otherwise as `database`."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    elif beside_a_server:
        patience = settings.startup_timeout.total_seconds()
        async with shared_postgres(settings.data_dir, patience) as dsn:
            yield dsn
    else:
        async with EmbeddedPostgres(settings.data_dir) as postgres:
            yield postgres.dsn


async def _migrate_when_reachable(dsn: str, settings: Settings) -> list[str]:
    """Migrate, waiting for a database that is still starting, fails over, is moved, or whose tables are in use."""
    give_up = time.monotonic() + settings.startup_timeout.total_seconds()
    while True:
        try:
            return await migrate(dsn, lock_timeout=settings.migration_lock_timeout.total_seconds())
        except (DatabaseUnreachable, ServerReadOnly, DatabaseMoving, MigrationBlocked) as error:
            if time.monotonic() > give_up:
                raise
            log.warning("waiting_for_database", reason=str(error))
            # Calls that queue behind a migration's wait for a table go on meanwhile.
            await asyncio.sleep(RETRY_INTERVAL)


@asynccontextmanager
async def open_pool(
    settings: Settings,
    telemetry: Telemetry | None = None,
    *,
    beside_a_server: bool = False,
    dsn: str | None = None,
    statement_timeout: float | None = None,
) -> AsyncIterator[Database]:
    """Connections to a migrated database, closed at the end; `beside_a_server` as for `database`.

    `dsn`: of one that somebody else has started and migrated. `statement_timeout`: seconds, instead of those that the
    settings allow a call's statements.
    """
    telemetry = telemetry or Telemetry()
    async with AsyncExitStack() as stack:
        if dsn is None:
            dsn = await stack.enter_async_context(
                database(settings, beside_a_server=beside_a_server)
            )
        pool = await Database.open(
            dsn,
            pool_size=settings.pool_size,
            acquire_timeout=settings.acquire_timeout.total_seconds(),
            statement_timeout=statement_timeout or settings.statement_timeout.total_seconds(),
            on_wait=telemetry.instruments.waited,
            spans=telemetry.spans,
        )
        try:
            yield pool
        finally:
            await pool.close()


@asynccontextmanager
async def open_replica(
    settings: Settings, pool: Database, telemetry: Telemetry
) -> AsyncIterator[Replica]:
    """Where to read from beside the primary of `pool`, closed at the end; it may be away now.

    Raises DatabaseUnfit for a DSN that cannot be used.
    """
    standby: Database | None = None
    if settings.replica_database_url is not None:
        try:
            standby = await Database.open(
                settings.replica_database_url.get_secret_value(),
                pool_size=settings.pool_size,
                acquire_timeout=settings.acquire_timeout.total_seconds(),
                statement_timeout=settings.statement_timeout.total_seconds(),
                spans=telemetry.spans,
                for_reading=True,
            )
        except DatabaseUnfit as error:
            # Its lines name the setting of the primary.
            line = str(error).replace("KEEPER_DATABASE_URL", "KEEPER_REPLICA_DATABASE_URL")
            raise DatabaseUnfit(line) from None
    try:
        yield Replica(pool, standby, max_lag=settings.replica_max_lag)
    finally:
        if standby is not None:
            await standby.close()


@asynccontextmanager
async def open_pools(
    settings: Settings, telemetry: Telemetry, dsn: str | None = None
) -> AsyncIterator[tuple[Database, Replica]]:
    """The connections of a server: to write, as `open_pool`, and to read."""
    async with (
        open_pool(settings, telemetry, dsn=dsn) as pool,
        open_replica(settings, pool, telemetry) as replica,
    ):
        yield pool, replica


def make_anonymizer(
    settings: Settings,
    catalog: Catalog,
    *,
    approved: ApprovedWords | None = None,
    hash_word: HashWord | None = None,
) -> Anonymizer:
    """The anonymizer, which also knows the catalog's service names.

    `approved` are words beside those of its lists; `hash_word` hashes those that neither has, for
    counting the accounts that use them.
    """
    extra = [key.strip() for key in settings.shared_keys.split(",") if key.strip()]
    return Anonymizer.default(
        catalog.service_names, shared_keys=extra, approved=approved, hash_word=hash_word
    )


def authored_patterns(catalog: Catalog) -> Sequence[AuthoredPattern]:
    """The catalog's patterns, one for each line of business."""
    return [
        AuthoredPattern(
            key=pattern.key,
            version=pattern.version,
            action_since=pattern.action_since,
            pattern_type=pattern.pattern_type,
            business_category=category,
            conditions=pattern.conditions,
            action=pattern.action,
            scripts=tuple(script.text for script in pattern.scripts),
            claim=pattern.claim(),
            trigger=parse_trigger(pattern.trigger),
        )
        for pattern in catalog.patterns
        for category in pattern.business_categories
    ]


def counting_of(settings: Settings) -> Counting:
    """The publication rule and the half-life that evidence is counted with."""
    limits = Limits(settings.complaint_limit, settings.unsubscribe_limit)
    return Counting(
        PublicationRule(settings.min_accounts, limits),
        settings.evidence_half_life,
        settings.counting_step,
    )


def qualification(settings: Settings) -> Qualification:
    """What an account needs to count."""
    is_open = settings.open_accounts
    if is_open is None:
        is_open = settings.database_url is None
    age, days = settings.account_min_age, settings.account_min_active_days
    return Qualification(
        open_accounts=is_open,
        min_age=timedelta(days=0 if is_open else 1) if age is None else age,
        min_active_days=(0 if is_open else 2) if days is None else days,
    )


def utc_now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)
