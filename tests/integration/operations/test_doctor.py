from __future__ import annotations

import base64
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from keeper_grpc.operations.doctor.finding import Finding, Verdict
from keeper_grpc.operations.doctor.look import examine
from keeper_grpc.settings import Settings
from keeper_grpc.storage.locks import AdvisoryLock
from tests.conftest import PostgresServer

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(1, 33))).decode()


@pytest.fixture
def make_settings(tmp_path: Path, database_of_its_own: str) -> Any:
    """The settings of a server on a database of its own, some of them others."""

    def make(**others: Any) -> Settings:
        settings: dict[str, Any] = {
            "database_url": database_of_its_own,
            "pseudonym_keys": f"main:{KEY}",
            "data_dir": tmp_path,
            "port": 1,
            **others,
        }
        return Settings(**settings)

    return make


async def found(settings: Settings) -> Mapping[str, Finding]:
    """The worst finding of each check."""
    order = [Verdict.OK, Verdict.UNKNOWN, Verdict.WARNING, Verdict.PROBLEM]
    worst: dict[str, Finding] = {}
    for finding in await examine(settings):
        before = worst.get(finding.check)
        if before is None or order.index(finding.verdict) > order.index(before.verdict):
            worst[finding.check] = finding
        assert finding.cure or finding.verdict in (Verdict.OK, Verdict.UNKNOWN)
        assert KEY not in json.dumps([finding.found, finding.cure])
    return worst


@asynccontextmanager
async def connected(dsn: str, **session: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A session for the block."""
    connection = await asyncpg.connect(dsn, server_settings=session)
    try:
        yield connection
    finally:
        await connection.close()


async def test_nothing_is_wrong_with_a_sound_database(make_settings: Any) -> None:
    """Everything is looked at; only the server, which is not started, is not as it should be."""
    findings = await found(make_settings())
    assert {name for name, each in findings.items() if each.verdict is not Verdict.OK} <= {
        "server",
        "disk",  # of whoever runs the tests
    }
    assert findings["server"].verdict is Verdict.WARNING
    assert findings.keys() == {
        "program", "settings", "address", "keys", "disk", "database", "schema", "rights", "connections",
        "clock", "replicas", "leader", "feed", "measures", "retention", "evidence", "model", "server",
    }  # fmt: skip


async def test_a_database_that_is_down_is_named_and_the_rest_is_looked_at(
    make_settings: Any,
) -> None:
    """Its password is in no finding."""
    findings = await found(
        make_settings(database_url="postgresql://keeper:hunter2@127.0.0.1:1/keeper")
    )
    assert findings["database"].verdict is Verdict.PROBLEM
    assert "KEEPER_DATABASE_URL" in findings["database"].cure
    assert findings["model"].verdict is Verdict.UNKNOWN
    assert findings["disk"].verdict is not Verdict.UNKNOWN
    assert not any("hunter2" in each.found + each.cure for each in findings.values())


async def test_an_old_schema_is_named_with_its_migrations(
    make_settings: Any, postgres_server: PostgresServer
) -> None:
    """What needs the tables is not guessed at, and no other check fails of it."""
    async with postgres_server.database() as name:
        findings = await found(make_settings(database_url=postgres_server.url(name)))
    assert findings["schema"].verdict is Verdict.PROBLEM
    assert findings["schema"].found.startswith("pending migrations: 0001")
    assert "keeper migrate" in findings["schema"].cure
    assert findings["feed"].verdict is Verdict.UNKNOWN
    assert findings["clock"].verdict is Verdict.OK


async def test_a_wrong_key_and_other_evidence_are_found(
    make_settings: Any, database_of_its_own: str
) -> None:
    """Both stop a start; the key is named by its id."""
    async with connected(database_of_its_own) as connection:
        await connection.execute(
            "INSERT INTO pseudonym_keys (key_id, check_value) VALUES ('main', $1)", bytes(32)
        )
        await connection.execute(
            "INSERT INTO evidence_settings (half_life, k) VALUES (interval '10 days', 3)"
        )
    findings = await found(make_settings(pseudonym_keys=f"main:{OTHER_KEY}"))
    assert findings["keys"].verdict is Verdict.PROBLEM
    assert "'main'" in findings["keys"].found
    assert OTHER_KEY not in findings["keys"].found + findings["keys"].cure
    assert findings["evidence"].verdict is Verdict.PROBLEM
    assert "keeper rebuild" in findings["evidence"].cure


async def test_missing_rights_and_too_few_connections_are_found(
    make_settings: Any, database_of_its_own: str
) -> None:
    """Of a role that may connect four times and read one table."""
    role = f"keeper_test_{uuid.uuid4().hex[:12]}"
    async with connected(database_of_its_own) as connection:
        await connection.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 4")
        try:
            await connection.execute(f"GRANT SELECT ON schema_migrations TO {role}")
            separator = "&" if "?" in database_of_its_own else "?"
            findings = await found(
                make_settings(database_url=f"{database_of_its_own}{separator}role={role}")
            )
        finally:
            await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert findings["rights"].verdict is Verdict.PROBLEM
    assert f"TO {role}" in findings["rights"].cure
    assert findings["connections"].verdict is Verdict.PROBLEM
    assert "the role allows 4" in findings["connections"].found


async def test_a_stranger_with_the_detectors_lock_is_found(
    make_settings: Any, database_of_its_own: str
) -> None:
    """And so are servers of which none leads, and one that does."""
    settings = make_settings()
    async with connected(database_of_its_own, application_name="keeper") as server:
        assert (await found(settings))["leader"].verdict is Verdict.WARNING
        await server.execute("SELECT pg_advisory_lock($1)", int(AdvisoryLock.LEADER))
        assert "detects emerging patterns" in (await found(settings))["leader"].found
    async with connected(database_of_its_own) as stranger:
        await stranger.execute("SELECT pg_advisory_lock($1)", int(AdvisoryLock.LEADER))
        leader = (await found(settings))["leader"]
        assert leader.verdict is Verdict.PROBLEM
        assert "pg_terminate_backend" in leader.cure


async def test_a_sighting_that_waits_for_long_is_found(
    make_settings: Any, database_of_its_own: str
) -> None:
    """Only of an account that counts: others wait until they do."""
    async with connected(database_of_its_own) as connection:
        await connection.execute(
            """
            INSERT INTO accounts (account_key, business_category, joined_time, qualified)
            VALUES ('main:1', 'spa', now(), true), ('main:2', 'spa', now(), false)
            """
        )
        sight = """
            INSERT INTO sightings (scope_id, account_key, pattern_type, business_category, embedding_model,
                                   embedding, rendered, rendered_hash, confidence, potential_value, seen_time)
            VALUES (1, $1, 'pricing', 'spa', 'm', array_fill(0, ARRAY[1536])::vector, '', '', 0, 0,
                    now() - interval '1 hour')
            """
        await connection.execute(sight, "main:2")
        assert (await found(make_settings()))["feed"].verdict is Verdict.OK
        await connection.execute(sight, "main:1")
        assert "60 minutes" in (await found(make_settings()))["feed"].found


async def test_what_should_have_gone_long_ago_is_found(
    make_settings: Any, database_of_its_own: str
) -> None:
    """Retention that does not run is seen before the disk is full."""
    async with connected(database_of_its_own) as connection:
        await connection.execute(
            """
            INSERT INTO audit_events (id, action, details, created_at)
            VALUES (gen_random_uuid(), 'retire', '{}', now() - interval '800 days')
            """
        )
    retention = (await found(make_settings()))["retention"]
    assert retention.verdict is Verdict.WARNING
    assert "audit of 800 days" in retention.found


async def test_a_replica_that_nobody_should_read_from_is_found(
    make_settings: Any, database_of_its_own: str
) -> None:
    """The primary itself is no standby, and one that is away answers nothing."""
    lag = timedelta(milliseconds=500)
    itself = make_settings(replica_database_url=database_of_its_own, replica_max_lag=lag)
    assert (await found(itself))["replica"].verdict is Verdict.WARNING
    away = "postgresql://keeper:hunter2@127.0.0.1:1/keeper"
    findings = await found(make_settings(replica_database_url=away, replica_max_lag=lag))
    assert findings["replica"].verdict is Verdict.WARNING
    assert "hunter2" not in findings["replica"].found
