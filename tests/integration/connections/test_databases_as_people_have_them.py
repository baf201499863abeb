"""Each works, or is refused before anything is migrated, by one line that names cause and cure."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import numpy as np
import pytest

from keeper_grpc.storage.database import Database, to_array
from tests.integration.connections.certificates import Certificates, certify
from tests.integration.connections.starting import refusal, started
from tests.postgres_over_tcp import HOST, TcpPostgres, free_port

SECRETS = ["p@:/?#[]% é\N{SNOWMAN}'\"\\", " leading and trailing ", "+&=;,", "%41%2F", "$1 \t"]


async def stores_vectors(pool: Database) -> bool:
    """Whether a vector comes back as it was written."""
    async with pool.transaction() as connection:
        vector = np.zeros(1536, np.float32)
        vector[0] = 1
        await connection.execute(
            "INSERT INTO embedding_cache (embedding_model, content_hash, embedding) VALUES ('m', '', $1)",
            vector,
        )
        found = await connection.fetchval(
            "SELECT embedding FROM embedding_cache WHERE embedding <=> $1 < 0.1", vector
        )
        await connection.execute("DELETE FROM embedding_cache")
        return bool(np.array_equal(to_array(found), vector))


@pytest.mark.parametrize("password", SECRETS)
@pytest.mark.parametrize("form", ["url", "query", "keywords"])
async def test_a_password_may_have_any_characters(
    postgres: TcpPostgres, database: str, role: str, password: str, form: str
) -> None:
    """In a URL percent-encoded, as a keyword in quotes."""
    literal = password.replace("'", "''")
    await postgres.execute(f"ALTER ROLE {role} PASSWORD '{literal}' SUPERUSER")
    encoded = quote(password, safe="")
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    dsn = {
        "url": f"postgresql://{role}:{encoded}@{HOST}:{postgres.port}/{database}",
        "query": f"postgresql://{HOST}:{postgres.port}/{database}?user={role}&password={encoded}",
        "keywords": f"host={HOST} port={postgres.port} dbname={database} user={role} password='{quoted}'",
    }[form]
    async with started(dsn):
        pass


async def test_a_wrong_password_is_not_quoted(
    postgres: TcpPostgres, database: str, role: str
) -> None:
    """The server's own words name the role."""
    line = await refusal(f"postgresql://{role}:hunter2@{HOST}:{postgres.port}/{database}")
    assert f'password authentication failed for user "{role}"' in line
    assert "hunter2" not in line


async def test_pgvector_may_be_in_a_schema_of_its_own(
    postgres: TcpPostgres, empty_database: str
) -> None:
    """As managed services have it, also where the search path does not lead there: from the first migration on."""
    url = postgres.url(empty_database)
    await on(
        postgres,
        empty_database,
        "CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions",
    )
    async with started(url) as pool:
        assert await stores_vectors(pool)
    async with started(url) as pool:
        assert await stores_vectors(pool)


async def on(postgres: TcpPostgres, database: str, sql: str) -> None:
    """Run statements in a database as the superuser."""
    connection = await asyncpg.connect(postgres.url(database))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "options",
    [
        "?channel_binding=prefer&connect_timeout=10&keepalives_idle=30&sslmode=prefer",
        "?target_session_attrs=read-write&application_name=mine",
        "?target_session_attrs=any",
        "?options=-c%20work_mem%3D8MB",
    ],
)
async def test_parameters_of_libpq_are_understood(
    postgres: TcpPostgres, database: str, options: str
) -> None:
    """Also those that the driver does not know."""
    async with started(postgres.url(database, options=options)) as pool:
        assert await stores_vectors(pool)


async def test_a_parameter_that_the_server_does_not_know_is_named(
    postgres: TcpPostgres, database: str
) -> None:
    """Other programs' DSNs have some, and waiting would not help."""
    line = await refusal(postgres.url(database, options="?pgbouncer=true"))
    assert 'the server refuses: unrecognized configuration parameter "pgbouncer"' in line


async def test_a_host_that_is_away_is_passed_over(postgres: TcpPostgres, database: str) -> None:
    """Each host gets its own time."""
    dsn = f"host={HOST},{HOST} port={free_port()},{postgres.port} user=keeper dbname={database}"
    async with started(dsn, patience=0.001):
        pass


async def test_a_host_that_is_gone_is_noticed(postgres: TcpPostgres, database: str) -> None:
    """By the operating system, also on a connection that only listens: in seconds, not in a quarter of an hour."""
    async with started(postgres.url(database)) as pool, pool.connection() as taken:
        connection: Any = taken  # its stubs hide the transport
        watched = connection._transport.get_extra_info("socket")
        assert watched.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, interval, count, silence = (
            watched.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPINTVL,
                socket.TCP_KEEPCNT,
                socket.TCP_USER_TIMEOUT,
            )
        )
    assert idle + interval * count == 6
    assert silence == 6_000


async def test_tls_is_verified_by_the_authority_that_is_named(
    tls_port: int, database: str, certificates: Certificates, tmp_path: Path
) -> None:
    """With its file it works, with another's it is refused; without verification TLS is enough."""
    url = f"postgresql://keeper@{HOST}:{tls_port}/{database}"
    for options in (
        "sslmode=require&channel_binding=prefer",
        f"sslmode=verify-full&sslrootcert={certificates.authority}",
    ):
        async with started(f"{url}?{options}"):
            pass
    other = certify(tmp_path).authority
    line = await refusal(f"{url}?sslmode=verify-full&sslrootcert={other}")
    assert "the server's certificate is not trusted" in line
    assert "sslrootcert=" in line


async def test_tls_is_verified_by_the_system(
    tls_port: int, database: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sslrootcert=system takes OpenSSL's own authorities, which its variable names here."""
    url = f"postgresql://keeper@{HOST}:{tls_port}/{database}?sslrootcert=system"
    assert "not trusted" in await refusal(url)
    monkeypatch.setenv(
        ssl.get_default_verify_paths().openssl_cafile_env, str(certificates.authority)
    )
    async with started(url):
        pass


async def test_verification_without_a_certificate_is_refused(
    tls_port: int, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The line says both ways to name an authority."""
    monkeypatch.setenv("HOME", str(tmp_path))
    line = await refusal(f"postgresql://keeper@{HOST}:{tls_port}/{database}?sslmode=verify-full")
    assert "sslrootcert=/path/to/authority.pem, or sslrootcert=system" in line


async def test_a_server_without_tls_is_refused_where_it_is_required(
    postgres: TcpPostgres, database: str
) -> None:
    """Rather than spoken to in plain text."""
    line = await refusal(postgres.url(database, options="?sslmode=require"))
    assert "rejected SSL upgrade" in line


@pytest.mark.parametrize("whose", ["ROLE {role}", "DATABASE {database}"])
async def test_transactions_that_are_read_only_by_default_are_refused(
    postgres: TcpPostgres, empty_database: str, role: str, whose: str
) -> None:
    """Somebody decided so: the line says how to undo it, and nothing is migrated."""
    await postgres.execute(f"ALTER ROLE {role} SUPERUSER")
    whose = whose.format(role=role, database=empty_database)
    await postgres.execute(f"ALTER {whose} SET default_transaction_read_only = on")
    url = f"postgresql://{role}:open@{HOST}:{postgres.port}/{empty_database}"
    assert f"ALTER {whose} RESET default_transaction_read_only" in await refusal(url)
    await postgres.execute(f"ALTER {whose} RESET default_transaction_read_only")
    async with started(url):
        pass


async def test_a_role_without_rights_to_the_tables_is_told_the_grant(
    postgres: TcpPostgres, database: str, role: str
) -> None:
    """Which, run as it stands, is the remedy."""
    url = f"postgresql://{role}:open@{HOST}:{postgres.port}/{database}"
    line = await refusal(url)
    grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    assert f"role {role} may not read and write table schema_migrations: run {grant}" in line
    await on(postgres, database, grant)
    async with started(url) as pool:
        assert await stores_vectors(pool)


async def test_a_role_with_fewer_connections_than_the_pool_serves_all(
    postgres: TcpPostgres, database: str, role: str
) -> None:
    """Sixty callers at once wait for the one connection that those that listen and lead leave them."""
    await postgres.execute(f"ALTER ROLE {role} CONNECTION LIMIT 4")
    await on(postgres, database, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    url = f"postgresql://{role}:open@{HOST}:{postgres.port}/{database}"
    async with started(url) as pool:
        assert pool.max_size == 10

        async def call() -> int:
            async with pool.connection() as connection:
                await connection.execute("SELECT pg_sleep(0.001)")
                return 1

        async with pool.connection(), pool.connection(), pool.connection():
            assert sum(await asyncio.gather(*(call() for _ in range(60)))) == 60


async def test_a_role_with_too_few_connections_is_refused(
    postgres: TcpPostgres, database: str, role: str
) -> None:
    """A process holds more than that all the time."""
    await on(postgres, database, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    await postgres.execute(f"ALTER ROLE {role} CONNECTION LIMIT 3")
    line = await refusal(f"postgresql://{role}:open@{HOST}:{postgres.port}/{database}")
    assert f"ALTER ROLE {role} CONNECTION LIMIT 4 or more" in line
