from __future__ import annotations

import asyncio
import signal

import asyncpg

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import ListPatternsRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from tests import program
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.server_process import PSEUDONYM_KEYS, ServerProcess, environment

AUTHORED = sum(len(pattern.business_categories) for pattern in load_catalog().patterns)
"""The catalog's patterns, each in each of its lines of business."""


def added(server: ServerProcess) -> list[int]:
    """How many patterns a server said that it added, each time that it seeded."""
    return [event["added"] for event in server.events("catalog_seeded")]


async def listed(server: ServerProcess) -> int:
    """How many patterns the server shows."""
    async with server.channel() as channel:
        answer = await NetworkLearningServiceStub(channel).ListPatterns(
            ListPatternsRequest(page_size=500)
        )
    return len(answer.patterns)


async def keeper(*command: str, **settings: str) -> tuple[int, str]:
    """Run a command: its exit code and what it printed."""
    done = await asyncio.to_thread(program.run, command, env=environment(**settings))
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr


async def test_a_fresh_server_seeds_its_catalog_once(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """The first start adds the catalog; the next one finds it and says nothing."""
    data_dir = make_directory() / "data"
    first = await start_server(data_dir=data_dir, KEEPER_SEED_CATALOG="true")
    assert added(first) == [AUTHORED]
    assert await listed(first) == AUTHORED
    first.send(signal.SIGTERM)
    assert await first.ended() == 0

    second = await start_server(data_dir=data_dir, KEEPER_SEED_CATALOG="true")
    assert added(second) == []
    assert await listed(second) == AUTHORED


async def test_servers_that_start_at_once_seed_once(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """Two processes on one database add each pattern once between them."""
    servers = await asyncio.gather(
        *(
            start_server(database_url=database_of_its_own, KEEPER_SEED_CATALOG="true")
            for _ in range(2)
        )
    )
    assert sum(sum(added(server)) for server in servers) == AUTHORED
    assert [await listed(server) for server in servers] == [AUTHORED, AUTHORED]
    connection = await asyncpg.connect(database_of_its_own)
    try:
        assert await connection.fetchval("SELECT count(*) FROM network_patterns") == AUTHORED
        assert await connection.fetchval("SELECT count(*) FROM authored_claims") == AUTHORED
    finally:
        await connection.close()


async def test_seeding_beside_a_server_with_the_bundled_database(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """The command uses the server's PostgreSQL, changes nothing the second time, and stops nothing."""
    data_dir = make_directory() / "data"
    server = await start_server(data_dir=data_dir, KEEPER_SEED_CATALOG="false")
    assert await listed(server) == 0

    settings = {"KEEPER_DATA_DIR": str(data_dir), "KEEPER_LOG_LEVEL": "error"}
    code, said = await keeper("seed", **settings)
    assert (code, said) == (0, f"catalog: {AUTHORED} added, 0 upgraded, 0 unchanged\n")
    assert await listed(server) == AUTHORED

    again = await asyncio.gather(keeper("seed", **settings), keeper("migrate", **settings))
    assert list(again) == [
        (0, f"catalog: 0 added, 0 upgraded, {AUTHORED} unchanged\n"),
        (0, "the database is at this program's schema\n"),
    ]
    assert await listed(server) == AUTHORED
    server.send(signal.SIGTERM)
    assert await server.ended() == 0

    assert await keeper("seed", **settings) == (
        0,
        f"catalog: 0 added, 0 upgraded, {AUTHORED} unchanged\n",
    )


async def test_a_server_does_not_share_another_ones_bundled_database(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """Commands may run beside a server, a second server may not."""
    data_dir = make_directory() / "data"
    server = await start_server(data_dir=data_dir)
    code, complaint = await keeper("serve", KEEPER_DATA_DIR=str(data_dir))
    assert code == 1
    assert f"is in use by process {server.process.pid}" in complaint
    assert "Traceback" not in complaint


async def test_seeding_an_external_database_beside_its_server(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """There the command connects as the server does."""
    server = await start_server(database_url=database_of_its_own)
    code, said = await keeper(
        "seed",
        KEEPER_DATABASE_URL=database_of_its_own,
        KEEPER_PSEUDONYM_KEYS=PSEUDONYM_KEYS,
        KEEPER_LOG_LEVEL="error",
    )
    assert (code, said) == (0, f"catalog: {AUTHORED} added, 0 upgraded, 0 unchanged\n")
    assert await listed(server) == AUTHORED
