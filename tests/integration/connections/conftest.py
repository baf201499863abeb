from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from keeper_grpc.storage.schema.migrate import migrate
from tests.integration.connections.certificates import Certificates, certify
from tests.integration.connections.tls_front import tls_front
from tests.postgres_over_tcp import TcpPostgres


@pytest.fixture(scope="module")
def certificates(make_directory: Callable[[], Path]) -> Certificates:
    """An authority, and the certificate of a server."""
    return certify(make_directory())


@pytest.fixture(scope="module")
async def postgres(make_directory: Callable[[], Path]) -> AsyncIterator[TcpPostgres]:
    """A server over TCP. Roles whose name begins with `secret` need a password, the others none."""
    server = TcpPostgres(make_directory() / "data")
    await server.start()
    try:
        await server.admit(
            'host all "/^secret" 127.0.0.1/32 scram-sha-256', "host all all 127.0.0.1/32 trust"
        )
        await server.execute("CREATE DATABASE migrated")
        await migrate(server.url("migrated"))
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def tls_port(postgres: TcpPostgres, certificates: Certificates) -> AsyncIterator[int]:
    """Where the server can be reached by TLS only."""
    async with tls_front(postgres.port, certificates) as port:
        yield port


@pytest.fixture
async def role(postgres: TcpPostgres) -> AsyncIterator[str]:
    """The name of a role that may log in, and nothing else."""
    name = f"secret_{uuid.uuid4().hex[:12]}"
    await postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'open'")
    yield name
    await postgres.execute(f"DROP ROLE {name}")


@pytest.fixture
async def database(postgres: TcpPostgres, role: str) -> AsyncIterator[str]:
    """The name of a migrated database of the test's own. It goes before the role, which may have rights in it."""
    name = f"database_{uuid.uuid4().hex[:12]}"
    await postgres.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    yield name
    await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty_database(postgres: TcpPostgres, role: str) -> AsyncIterator[str]:
    """The name of a database with nothing in it. It goes before the role, too."""
    name = f"database_{uuid.uuid4().hex[:12]}"
    await postgres.execute(f"CREATE DATABASE {name}")
    yield name
    await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
