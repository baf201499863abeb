"""Spreading a database over the workers of a Citus cluster, and what refuses it."""

from __future__ import annotations

import asyncpg
import pytest

from keeper_grpc.storage.schema.distribution import (
    PLACES,
    AlreadyFilled,
    ClusterMissing,
    Place,
    distribute,
    require_distributable,
)
from keeper_grpc.storage.schema.migrate import migrate
from tests.postgres_server import PostgresServer

_KINDS = {"h": Place.SCOPE, "n": Place.EVERYWHERE}
"""Citus' letters for how the rows of a table are found."""


@pytest.mark.one_server("it is about a database that is not distributed")
async def test_one_server_is_no_cluster(database_of_its_own: str) -> None:
    """Without the extension there is nothing to distribute to, and nothing is changed."""
    with pytest.raises(ClusterMissing, match="the extension citus is not in the database"):
        await require_distributable(database_of_its_own)
    with pytest.raises(ClusterMissing):
        await distribute(database_of_its_own)


@pytest.mark.cluster
async def test_each_table_lies_where_it_should(database_of_its_own: str) -> None:
    """Citus has each table where `PLACES` says, and distributing again does nothing."""
    connection = await asyncpg.connect(database_of_its_own)
    try:
        found = await connection.fetch(
            "SELECT logicalrelid::text AS name, partmethod::text AS kind FROM pg_dist_partition"
        )
    finally:
        await connection.close()
    expected = {table: place for table, place in PLACES.items() if place is not Place.COORDINATOR}
    assert {row["name"]: _KINDS[row["kind"]] for row in found} == expected
    assert await distribute(database_of_its_own) == ()


@pytest.mark.cluster
async def test_rows_on_one_node_are_not_spread(postgres_server: PostgresServer) -> None:
    """A database that has rows already is refused, whole."""
    async with postgres_server.database() as name:
        dsn = postgres_server.url(name)
        await migrate(dsn)
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(
                "INSERT INTO accounts (account_key, business_category, joined_time) VALUES ('a', 'spa', now())"
            )
        finally:
            await connection.close()
        with pytest.raises(AlreadyFilled, match="accounts"):
            await distribute(dsn)
