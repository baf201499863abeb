"""A disk that fills up under the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.embedded.account import ServerAccount
from keeper_grpc.storage.readiness import DISK_FULL, Readiness
from tests.integration.connections.starting import started
from tests.postgres_over_tcp import TcpPostgres
from tests.small_disk import fill, small_disk_at


@pytest.fixture
def small_disk(make_directory: Callable[[], Path]) -> Iterator[Path]:
    """A file system of 8 MB that the server may write to."""
    with small_disk_at(make_directory()) as disk:
        yield disk


async def test_a_full_disk_is_named_and_makes_the_server_not_ready(
    postgres: TcpPostgres, database: str, small_disk: Path
) -> None:
    """Until a write goes through again. Callers are asked to retry, and the log has PostgreSQL's own code."""
    place = small_disk / "tablespace"
    place.mkdir()
    ServerAccount.for_cluster(postgres.layout.pgdata).own(place)
    await postgres.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    async with started(postgres.url(database)) as pool:
        async with pool.connection() as connection:
            await connection.execute("ALTER TABLE embedding_cache SET TABLESPACE small")
        ready = Readiness(pool)
        fill(small_disk)
        with capture_logs() as lines:
            with pytest.raises(StorageUnavailable):
                async with pool.connection() as connection:
                    await connection.execute(
                        """
                        INSERT INTO embedding_cache (embedding_model, content_hash, embedding)
                        SELECT 'm', int8send(n), array_fill(0.1::real, ARRAY[1536])::vector
                          FROM generate_series(1, 2000) AS n
                        """
                    )
            assert not await ready()
            assert not await ready()
        assert ready.reason == DISK_FULL
        failures = [line for line in lines if line["event"] == "storage_unavailable"]
        assert {(line["error"], line["sqlstate"]) for line in failures} == {
            ("DiskFullError", "53100")
        }
        assert [line["reason"] for line in lines if line["event"] == "database_not_ready"] == [
            DISK_FULL
        ]

        (small_disk / "filling").unlink()
        assert await ready()
        async with pool.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM embedding_cache") == 0
            await connection.execute("ALTER TABLE embedding_cache SET TABLESPACE pg_default")
    await postgres.execute("DROP TABLESPACE small")
