"""`keeper migrate`: bring a database to this program's schema, or say what that would do."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from keeper_grpc.logged_settings import read_settings
from keeper_grpc.settings import Settings

if TYPE_CHECKING:
    from keeper_grpc.storage.schema.migrate import Migration

PENDING = 4
"""The exit code of `--check` where migrations are pending: neither success nor a failure to look."""


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_migrate)
    command.description = (
        "Bring the database to this program's schema. With --check or --plan nothing is changed: "
        f"exit code 0 when it is there already, {PENDING} when migrations are pending (--check only)."
    )
    looks = command.add_mutually_exclusive_group()
    looks.add_argument(
        "--check",
        action="store_true",
        help="say whether migrations are pending, by the exit code too",
    )
    looks.add_argument("--plan", action="store_true", help="list the files that would be applied")
    command.add_argument(
        "--distributed",
        action="store_true",
        help="spread the tables of an empty database over the workers of its Citus cluster too",
    )
    command.add_argument(
        "--sql", action="store_true", help="with --plan, print their statements too"
    )


def _migrate(parsed: argparse.Namespace) -> int:
    if parsed.sql and not parsed.plan:
        print("keeper migrate: --sql belongs to --plan", file=sys.stderr)
        return 2
    settings = read_settings()
    if not (parsed.check or parsed.plan):
        asyncio.run(_apply(settings, distributed=parsed.distributed))
        print("the database is at this program's schema")
        return 0
    pending = asyncio.run(find_pending(settings))
    gathered = asyncio.run(_gathered(settings, pending)) if parsed.distributed else ()
    if not pending and not gathered:
        print("the database is at this program's schema: nothing is pending")
    elif parsed.plan:
        _print_plan(pending, statements=parsed.sql)
        for table in gathered:
            print(f"-- distribute {table}" if parsed.sql else f"distribute {table}")
    else:
        names = [migration.name for migration in pending]
        if gathered:
            names.append(f"the distribution of {len(gathered)} tables")
        print(f"pending: {', '.join(names)}")
        return PENDING
    return 0


async def _apply(settings: Settings, *, distributed: bool) -> None:
    from keeper_grpc.composition.shared import database, database_server
    from keeper_grpc.storage.schema.distribution import distribute, require_distributable

    if distributed:
        async with database_server(settings, beside_a_server=True) as dsn:
            await require_distributable(dsn)
    async with database(settings, beside_a_server=True) as dsn:
        if distributed:
            await distribute(dsn)


async def _gathered(settings: Settings, pending: tuple[Migration, ...]) -> tuple[str, ...]:
    """The tables that are to be spread over workers and are not yet. Raises as `find_pending`, and DistributionError."""
    from keeper_grpc.operations.existing_database import NoDatabase, existing_database
    from keeper_grpc.storage.schema.distribution import require_distributable
    from keeper_grpc.storage.schema.migrate import tables_of

    try:
        async with existing_database(settings) as dsn:
            return await require_distributable(dsn, tables_of(pending))
    except NoDatabase:
        return ()


async def find_pending(settings: Settings) -> tuple[Migration, ...]:
    """The migrations that the database of the settings lacks. Makes no database.

    Raises MigrationError, DatabaseUnfit, EmbeddedPostgresError.
    """
    from keeper_grpc.operations.existing_database import NoDatabase, existing_database
    from keeper_grpc.storage.schema.migrate import packaged_migrations, pending

    try:
        async with existing_database(settings) as dsn:
            return await pending(dsn)
    except NoDatabase:
        return packaged_migrations()


def _print_plan(pending: tuple[Migration, ...], *, statements: bool) -> None:
    for migration in pending:
        for name, sql in migration.files:
            print(f"-- {name}" if statements else name)
            if statements:
                print(sql)
