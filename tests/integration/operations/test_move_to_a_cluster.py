"""A network that moves from one node to a Citus cluster, and back."""

from __future__ import annotations

import os
import random

import asyncpg
import pytest

from keeper_grpc.storage.connections.unfit import DatabaseMoved
from keeper_grpc.storage.schema.preflight import connect
from tests.citus_cluster import CitusCluster
from tests.conftest import EmbeddedPostgresFactory
from tests.integration.archives.history import HALF_LIFE, counted, differences, execute, live
from tests.integration.operations.test_move import move
from tests.postgres_server import PostgresServer
from tests.rpc.service import running

CLUSTER = os.environ.get("KEEPER_TEST_CITUS_DSN", "")

pytestmark = pytest.mark.cluster


async def test_a_network_moves_to_a_cluster_and_back(
    embedded_postgres_factory: EmbeddedPostgresFactory,
) -> None:
    """All rows are there, on the workers too, with keys that hold; on the way back nothing is different."""
    node = PostgresServer((await embedded_postgres_factory()).dsn)
    async with (
        node.database() as here,
        node.database() as back,
        CitusCluster(CLUSTER).database() as there,
    ):
        one, cluster, other = node.url(here), CitusCluster(CLUSTER).url(there), node.url(back)
        await node.migrate(here)
        await node.migrate(back)
        await CitusCluster(CLUSTER).migrate(there)
        async with running(one, evidence_half_life=HALF_LIFE) as service:
            await live(service, random.Random(17), 15)  # noqa: S311 - a history, not a secret
        # Its table comes before that of the patterns which it refers to.
        await execute(
            one,
            "INSERT INTO merged_patterns SELECT gen_random_uuid(), scope_id, id FROM network_patterns",
        )
        before = await counted(one)

        await move(one, cluster)
        with pytest.raises(DatabaseMoved):
            await connect(one)
        assert await execute(
            cluster, "SELECT count(*) FROM pg_dist_partition WHERE partmethod = 'h'"
        )
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await execute(
                cluster,
                "UPDATE merged_patterns SET into_id = '00000000-0000-4000-8000-000000000000'",
            )

        await move(cluster, other, max_pause=600)
        assert differences(before, await counted(other)) == []
        with pytest.raises(DatabaseMoved):
            await connect(cluster)
