from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

# gRPC's fork handlers crashed children of this process (SIGSEGV in `postgres -V`) before they became
# another program. Read when grpc is imported, hence before anything of ours is.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from tests.citus_cluster import CitusCluster
from tests.postgres_server import PostgresServer as PostgresServer  # noqa: PLC0414 - tests take it from here

# Time on a shared machine proves nothing: a hang is pytest-timeout's to find.
settings.register_profile("keeper", deadline=None)
settings.load_profile("keeper")

# A collector of this machine's is no business of the tests.
for name in [name for name in os.environ if name.startswith("OTEL_")]:
    del os.environ[name]


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Skip what is not for the databases that this run has, and say why."""
    cluster = bool(os.environ.get("KEEPER_TEST_CITUS_DSN"))
    for item in items:
        if cluster and (marker := item.get_closest_marker("one_server")):
            item.add_marker(pytest.mark.skip(f"not on a Citus cluster: {marker.args[0]}"))
        if not cluster and item.get_closest_marker("cluster"):
            item.add_marker(
                pytest.mark.skip("KEEPER_TEST_CITUS_DSN names no coordinator of a Citus cluster")
            )


@pytest.fixture(scope="session")
def make_directory() -> Iterator[Callable[[], Path]]:
    """Makes directories that the server's unprivileged user can enter; pytest's own it cannot."""
    made: list[Path] = []

    def make() -> Path:
        directory = Path(tempfile.mkdtemp(prefix="keeper-test-", dir="/tmp"))
        directory.chmod(0o755)
        made.append(directory)
        return directory

    yield make
    for directory in made:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
async def postgres_server(make_directory: Callable[[], Path]) -> AsyncIterator[PostgresServer]:
    """The server that KEEPER_TEST_DATABASE_URL names, or a bundled one for the session."""
    if cluster := os.environ.get("KEEPER_TEST_CITUS_DSN"):
        yield CitusCluster(cluster)
        return
    external = os.environ.get("KEEPER_TEST_DATABASE_URL")
    if external:
        yield PostgresServer(external)
        return
    async with EmbeddedPostgres(make_directory() / "data", durable=False) as server:
        yield PostgresServer(server.dsn)


@pytest.fixture(scope="session")
async def template_database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The name of a migrated database that others are copied from. Never connect to it."""
    async with postgres_server.database() as name:
        await postgres_server.migrate(name)
        yield name


@pytest.fixture(scope="module")
async def database_url(
    postgres_server: PostgresServer, template_database: str
) -> AsyncIterator[str]:
    """The DSN of a fresh, migrated database for the module."""
    async with postgres_server.database(f"TEMPLATE {template_database}") as name:
        yield postgres_server.url(name)


@pytest.fixture
async def database_of_its_own(
    postgres_server: PostgresServer, template_database: str
) -> AsyncIterator[str]:
    """The DSN of a fresh, migrated database for one test."""
    async with postgres_server.database(f"TEMPLATE {template_database}") as name:
        yield postgres_server.url(name)


EmbeddedPostgresFactory = Callable[..., Awaitable[EmbeddedPostgres]]


@pytest.fixture
async def embedded_postgres_factory(
    make_directory: Callable[[], Path],
) -> AsyncIterator[EmbeddedPostgresFactory]:
    """Starts servers for a test that kills or restarts them; stops what is left of them.

    Call it with a data directory or without, and with the keyword arguments of EmbeddedPostgres.
    """
    started: list[EmbeddedPostgres] = []

    async def start(data_dir: Path | None = None, *, durable: bool = False) -> EmbeddedPostgres:
        server = EmbeddedPostgres(data_dir or make_directory() / "data", durable=durable)
        await server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop()
