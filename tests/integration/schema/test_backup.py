from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncpg
import pytest

from keeper_grpc.storage.embedded.account import ENVIRONMENT, ServerAccount
from keeper_grpc.storage.embedded.binaries import Binaries, find_binaries
from keeper_grpc.storage.schema.migrate import is_current, migrate
from tests.conftest import PostgresServer
from tests.integration.observations import (
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)


@pytest.fixture
def programs(make_directory: Callable[[], Path]) -> Binaries:
    """pg_dump and pg_restore as the bundled server brings them."""
    return find_binaries(ServerAccount.for_cluster(make_directory() / "data"))


def run(*command: str | Path) -> None:
    """Run a program that must say nothing and succeed."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def rows(dsn: str) -> Mapping[str, list[str]]:
    """Every row of every table, as text."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            """
            SELECT format('%I', relname) AS name FROM pg_class
             WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
            """
        )
        return {
            table["name"]: [
                row["line"]
                for row in await connection.fetch(
                    f"SELECT t::text AS line FROM {table['name']} t ORDER BY 1"  # noqa: S608 - of the catalog
                )
            ]
            for table in tables
        }
    finally:
        await connection.close()


@pytest.mark.one_server("pg_dump has no snapshot of a cluster")
@pytest.mark.parametrize("options", [(), ("--clean", "--if-exists")], ids=["empty", "over another"])
async def test_a_dump_is_restored_whole(
    postgres_server: PostgresServer,
    template_database: str,
    programs: Binaries,
    make_directory: Callable[[], Path],
    options: tuple[str, ...],
) -> None:
    """Into an empty database or over a new one, by the commands of the operator's page; it serves as it is."""
    dump = make_directory() / "keeper.dump"
    async with (
        postgres_server.database(f"TEMPLATE {template_database}") as source,
        postgres_server.database() as target,
    ):
        async with opened(postgres_server.url(source)) as database:
            await register(database, "one", "two")
            for account in ("one", "two"):
                await capture(
                    groups_of(database), observation(scope("pricing"), account), vector(1)
                )
        if options:
            await migrate(postgres_server.url(target))
        run(
            programs.program("pg_dump"),
            "--format=custom",
            f"--file={dump}",
            postgres_server.url(source),
        )
        run(
            programs.program("pg_restore"),
            *options,
            "--single-transaction",
            f"--dbname={postgres_server.url(target)}",
            dump,
        )
        assert await migrate(postgres_server.url(target)) == []
        kept = await rows(postgres_server.url(source))
        assert kept["observations"]
        assert await rows(postgres_server.url(target)) == kept
        async with opened(postgres_server.url(target)) as database:
            async with database.connection() as connection:
                assert await is_current(connection)
            await capture(groups_of(database), observation(scope("pricing"), "one"), vector(1))
