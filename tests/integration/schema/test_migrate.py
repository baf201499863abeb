from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from keeper_grpc.storage.connections.unfit import (
    DatabaseUnfit,
    DatabaseUnreachable,
    EncodingUnfit,
    PrivilegeMissing,
    ServerReadOnly,
    ServerTooOld,
    VectorMissing,
    VectorTooOld,
)
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.schema import migrate as migrating
from keeper_grpc.storage.schema import preflight
from keeper_grpc.storage.schema.migrate import (
    DatabaseNewer,
    MigrationBlocked,
    MigrationBusy,
    MigrationChanged,
    MigrationFailed,
    MigrationFilesInvalid,
    MigrationHistoryBroken,
    SchemaUnreleased,
    is_current,
    migrate,
    packaged_migrations,
    pending,
)
from keeper_grpc.storage.schema.preflight import (
    check_may_create,
    check_server,
    require_vector_version,
)
from tests.conftest import EmbeddedPostgresFactory, PostgresServer

WITHOUT_EXTENSIONS = pytest.mark.one_server(
    "a database of a cluster has its extensions before it is migrated"
)


@pytest.fixture
async def empty_database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The DSN of a database with nothing in it."""
    async with postgres_server.database() as name:
        yield postgres_server.url(name)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Three migrations, of which each needs the one before."""
    write(tmp_path, "0001_create.sql", "CREATE TABLE steps (n int, v vector(3));")
    write(tmp_path, "0002_fill.sql", "INSERT INTO steps VALUES (2);\nINSERT INTO steps VALUES (3);")
    write(tmp_path, "0003_constrain.sql", "ALTER TABLE steps ADD PRIMARY KEY (n);")
    return tmp_path


def write(directory: Path, name: str, sql: str) -> None:
    """Write one migration, with the line ends as given."""
    (directory / name).write_bytes(sql.encode())


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection for the block."""
    conn = await asyncpg.connect(dsn)
    try:
        yield conn
    finally:
        await conn.close()


@asynccontextmanager
async def plain_role(dsn: str) -> AsyncIterator[tuple[str, str]]:
    """A role without any privilege: its name, and the DSN that acts as it."""
    role = f"keeper_test_{uuid.uuid4().hex[:12]}"
    async with connected(dsn) as conn:
        await conn.execute(f"CREATE ROLE {role}")
        try:
            yield role, f"{dsn}{'&' if '?' in dsn else '?'}role={role}"
        finally:
            await conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def applied(dsn: str) -> list[tuple[int, str]]:
    """The record of what was applied."""
    async with connected(dsn) as conn:
        rows = await conn.fetch("SELECT version, name FROM schema_migrations ORDER BY version")
    return [(row["version"], row["name"]) for row in rows]


async def test_migrations_are_applied_in_order_once(empty_database: str, directory: Path) -> None:
    """The first run applies and records everything, the second nothing."""
    names = ["0001_create", "0002_fill", "0003_constrain"]
    assert await migrate(empty_database, directory) == names
    assert await applied(empty_database) == list(enumerate(names, start=1))
    assert await migrate(empty_database, directory) == []


async def test_new_migrations_are_added_to_the_applied(
    empty_database: str, directory: Path
) -> None:
    """A later version of the program applies only what is new."""
    await migrate(empty_database, directory)
    write(directory, "0004_more.sql", "INSERT INTO steps VALUES (4);")
    assert await migrate(empty_database, directory) == ["0004_more"]
    async with connected(empty_database) as conn:
        assert await conn.fetchval("SELECT array_agg(n ORDER BY n) FROM steps") == [2, 3, 4]


async def test_programs_that_start_together_take_turns(
    empty_database: str, directory: Path
) -> None:
    """Of five concurrent migrators each ends well, and each migration is applied by one."""
    runs = await asyncio.gather(*(migrate(empty_database, directory) for _ in range(5)))
    assert sorted(name for run in runs for name in run) == [
        "0001_create",
        "0002_fill",
        "0003_constrain",
    ]
    async with connected(empty_database) as conn:
        assert await conn.fetchval("SELECT count(*) FROM steps") == 2


async def test_failing_migration_is_undone_whole(empty_database: str, directory: Path) -> None:
    """A failure names file and line, leaves the earlier migrations and nothing of its own."""
    write(
        directory, "0002_fill.sql", "INSERT INTO steps VALUES (2);\nINSERT INTO nowhere VALUES (3);"
    )
    with pytest.raises(
        MigrationFailed, match=r"0002_fill failed and was undone: line 2: .*nowhere"
    ):
        await migrate(empty_database, directory)
    assert await applied(empty_database) == [(1, "0001_create")]
    async with connected(empty_database) as conn:
        assert await conn.fetchval("SELECT count(*) FROM steps") == 0


async def test_edited_migration_is_refused(empty_database: str, directory: Path) -> None:
    """A file that changed after it was applied stops the run before anything new is applied."""
    await migrate(empty_database, directory)
    write(directory, "0002_fill.sql", "INSERT INTO steps VALUES (5);")
    write(directory, "0004_more.sql", "INSERT INTO steps VALUES (4);")
    with pytest.raises(MigrationChanged, match="0002_fill was changed after it was applied"):
        await migrate(empty_database, directory)
    assert len(await applied(empty_database)) == 3


async def test_converted_line_ends_are_no_change(empty_database: str, directory: Path) -> None:
    """A checkout with other line ends is the same migration."""
    await migrate(empty_database, directory)
    content = (directory / "0002_fill.sql").read_bytes()
    (directory / "0002_fill.sql").write_bytes(content.replace(b"\n", b"\r\n"))
    assert await migrate(empty_database, directory) == []


async def test_database_of_a_newer_program_is_refused(empty_database: str, directory: Path) -> None:
    """An old program does not start on a database that knows more than itself."""
    await migrate(empty_database, directory)
    (directory / "0003_constrain.sql").unlink()
    with pytest.raises(DatabaseNewer, match="is at migration 0003, this program knows 0002 only"):
        await migrate(empty_database, directory)


async def test_database_from_before_the_first_release_is_refused(empty_database: str) -> None:
    """Its migrations are another history: one line says so and what to do, before anything is applied."""
    async with connected(empty_database) as conn:
        await conn.execute(
            """
            CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text, checksum text);
            INSERT INTO schema_migrations
            SELECT n, CASE n WHEN 1 THEN '0001_network_patterns' ELSE 'another' END, 'checksum'
              FROM generate_series(1, 37) n
            """
        )
        with pytest.raises(SchemaUnreleased) as refused:
            await migrate(empty_database)
        assert await conn.fetchval("SELECT to_regclass('network_patterns')") is None
    message = str(refused.value)
    assert "0001_network_patterns" in message
    assert "name an empty database in KEEPER_DATABASE_URL" in message
    assert "another directory in KEEPER_DATA_DIR" in message
    assert "\n" not in message


async def test_a_directory_is_one_migration(empty_database: str, directory: Path) -> None:
    """Its files are applied in the order of their names, together or not at all, and none may be edited."""
    rooms = directory / "0004"
    rooms.mkdir()
    write(rooms, "02_second.sql", "INSERT INTO rooms VALUES (2);\nINSERT INTO nowhere VALUES (3);")
    write(rooms, "01_first.sql", "CREATE TABLE rooms (n int);")
    with pytest.raises(MigrationFailed, match=r"0004/02_second failed.*: line 2: .*nowhere"):
        await migrate(empty_database, directory)
    write(rooms, "02_second.sql", "INSERT INTO rooms VALUES (2);")
    assert await migrate(empty_database, directory) == ["0004"]
    async with connected(empty_database) as conn:
        assert await conn.fetchval("SELECT n FROM rooms") == 2
    write(rooms, "02_second.sql", "INSERT INTO rooms VALUES (3);")
    with pytest.raises(MigrationChanged, match="0004 was changed after it was applied"):
        await migrate(empty_database, directory)


async def test_hole_in_the_record_is_refused(empty_database: str, directory: Path) -> None:
    """A record that misses a migration in the middle is not guessed at."""
    await migrate(empty_database, directory)
    async with connected(empty_database) as conn:
        await conn.execute("DELETE FROM schema_migrations WHERE version = 2")
    with pytest.raises(MigrationHistoryBroken, match="lacks migration 0002"):
        await migrate(empty_database, directory)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("0005_gap.sql", "0005_gap.sql should have the number 0004"),
        ("0003_twice.sql", "0003_twice.sql should have the number 0004"),
        ("0004-Dashes.sql", "0004-Dashes.sql is not named"),
        ("4_short.sql", "4_short.sql is not named"),
    ],
)
async def test_misnumbered_files_are_refused_before_anything_is_applied(
    empty_database: str, directory: Path, name: str, message: str
) -> None:
    """A gap, a double number or another naming would be skipped silently otherwise."""
    write(directory, name, "SELECT 1;")
    with pytest.raises(MigrationFilesInvalid, match=message):
        await migrate(empty_database, directory)
    async with connected(empty_database) as conn:
        assert await conn.fetchval("SELECT to_regclass('schema_migrations')") is None


async def test_packaged_migrations_make_a_current_database(
    postgres_server: PostgresServer, template_database: str, empty_database: str
) -> None:
    """A migrated database is current, an empty one is not; a newer one still serves."""
    async with connected(empty_database) as conn:
        assert not await is_current(conn)
    async with (
        postgres_server.database(f"TEMPLATE {template_database}") as name,
        connected(postgres_server.url(name)) as conn,
    ):
        assert await is_current(conn)
        newer = len(packaged_migrations()) + 1
        await conn.execute("INSERT INTO schema_migrations VALUES ($1, 'newer', '')", newer)
        assert await is_current(conn)
        await conn.execute("DELETE FROM schema_migrations WHERE version = 1")
        assert not await is_current(conn)


@WITHOUT_EXTENSIONS
async def test_the_error_for_a_role_without_create_names_the_grant(
    empty_database: str, directory: Path
) -> None:
    """The error's command, run as it stands, is the remedy."""
    async with connected(empty_database) as admin, plain_role(empty_database) as (role, as_role):
        await admin.execute("CREATE EXTENSION vector")
        with pytest.raises(PrivilegeMissing) as refused:
            await migrate(as_role, directory)
        grant = f"GRANT CREATE ON SCHEMA public TO {role}"
        assert f"run {grant} in database" in str(refused.value)
        await admin.execute(grant)
        assert len(await migrate(as_role, directory)) == 3


@WITHOUT_EXTENSIONS
async def test_the_error_for_a_role_that_cannot_create_the_extension_names_a_superuser(
    empty_database: str, directory: Path
) -> None:
    """Without pgvector and the right to create it, the error says who must run what."""
    async with connected(empty_database) as admin, plain_role(empty_database) as (role, as_role):
        await admin.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
        with pytest.raises(VectorMissing, match="CREATE EXTENSION vector as a superuser"):
            await migrate(as_role, directory)
        await admin.execute("CREATE EXTENSION vector")
        assert len(await migrate(as_role, directory)) == 3


async def test_migrated_database_asks_no_right_to_create(
    empty_database: str, directory: Path
) -> None:
    """A role that may read and write starts where an administrator has migrated; one that may not is told the grant."""
    await migrate(empty_database, directory)
    async with connected(empty_database) as admin, plain_role(empty_database) as (role, as_role):
        await admin.execute(f"GRANT SELECT ON schema_migrations TO {role}")
        with pytest.raises(PrivilegeMissing) as refused:
            await migrate(as_role, directory)
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
        assert f"may not read and write table steps: run {grant} in database" in str(refused.value)
        await admin.execute(grant)
        assert await migrate(as_role, directory) == []


async def test_the_error_for_a_role_without_a_schema_says_so(empty_database: str) -> None:
    """A search path that names nothing is not mistaken for a missing grant."""
    async with connected(empty_database) as conn:
        await conn.execute("SET search_path = nowhere")
        with pytest.raises(PrivilegeMissing, match="SET search_path = public"):
            await check_may_create(conn)


@WITHOUT_EXTENSIONS
async def test_check_changes_nothing(empty_database: str) -> None:
    """The trial creation of the extension leaves no extension."""
    async with connected(empty_database) as conn:
        await check_server(conn)
        await check_may_create(conn)
        assert not await conn.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'vector'")


@WITHOUT_EXTENSIONS
async def test_the_error_for_an_outdated_extension_names_the_update(empty_database: str) -> None:
    """For a database whose extension lags behind the server's, the error names the command, which works."""
    async with connected(empty_database) as conn:
        await conn.execute("CREATE EXTENSION vector")
        await conn.execute("UPDATE pg_extension SET extversion = '0.8.3' WHERE extname = 'vector'")
        with pytest.raises(VectorTooOld, match=r"pgvector 0\.8\.3.*ALTER EXTENSION vector UPDATE"):
            await check_server(conn)
        await conn.execute("ALTER EXTENSION vector UPDATE")
        await check_server(conn)


@pytest.mark.parametrize("version", ["0.8.4", "0.8.6", "0.8.10", "0.9.0", "1.0"])
def test_new_enough_vector_versions_pass(version: str) -> None:
    """Versions compare as numbers, not as text."""
    require_vector_version(version, fix="")


@pytest.mark.parametrize("version", ["0.8.3", "0.8", "0.7.10", "0.5.1"])
def test_older_vector_versions_are_refused_with_the_fix(version: str) -> None:
    """What 0.8.4 fixed corrupts indexes."""
    with pytest.raises(VectorTooOld, match=rf"{version} is too old, 0\.8\.4 .*: do this"):
        require_vector_version(version, fix="do this")


async def test_the_error_for_an_old_server_says_to_upgrade(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server older than the floor is refused with both versions."""
    monkeypatch.setattr(preflight, "OLDEST_SERVER", 99)
    async with connected(empty_database) as conn:
        with pytest.raises(ServerTooOld, match=r"PostgreSQL \d+.* upgrade the server to 99"):
            await check_server(conn)


async def test_database_that_is_not_utf8_is_refused(postgres_server: PostgresServer) -> None:
    """For a database whose encoding accepts any bytes, the error says how to create a proper one."""
    options = "ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    async with (
        postgres_server.database(options) as name,
        connected(postgres_server.url(name)) as conn,
    ):
        with pytest.raises(EncodingUnfit, match=r"SQL_ASCII.*ENCODING 'UTF8'"):
            await check_server(conn)


async def test_standby_is_refused(
    embedded_postgres_factory: EmbeddedPostgresFactory,
    tmp_path: Path,
) -> None:
    """A read-only standby is named as such, not reported as a failed statement."""
    server = await embedded_postgres_factory()
    await server.stop()
    (server.layout.pgdata / "standby.signal").touch()
    await server.start()
    with pytest.raises(ServerReadOnly, match="point KEEPER_DATABASE_URL at the primary"):
        await migrate(server.dsn, tmp_path)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://keeper:a-password@/keeper?host=/nonexistent",
        "postgresql://keeper:a-password@127.0.0.1:1/keeper",
        "mysql://keeper:a-password@127.0.0.1/keeper",
    ],
)
async def test_unreachable_server_is_one_line_without_the_password(dsn: str) -> None:
    """No server, or no DSN at all, is a configuration error that leaks nothing."""
    with pytest.raises(DatabaseUnfit) as refused:
        await migrate(dsn)
    message = str(refused.value)
    assert "KEEPER_DATABASE_URL" in message
    assert "\n" not in message
    assert "a-password" not in message


async def test_missing_database_is_named(postgres_server: PostgresServer) -> None:
    """The server's own words say which database does not exist."""
    with pytest.raises(DatabaseUnreachable, match='"no_such_database" does not exist'):
        await migrate(postgres_server.url("no_such_database"))


async def test_pending_migrations_are_named_and_nothing_is_changed(
    empty_database: str, directory: Path
) -> None:
    """All of an empty database, what is new of a migrated one, none of a current one."""
    assert [each.name for each in await pending(empty_database, directory)] == [
        "0001_create",
        "0002_fill",
        "0003_constrain",
    ]
    async with connected(empty_database) as conn:
        assert await conn.fetchval("SELECT to_regclass('schema_migrations')") is None
    await migrate(empty_database, directory)
    assert await pending(empty_database, directory) == ()
    write(directory, "0004_more.sql", "INSERT INTO steps VALUES (4);")
    assert [each.name for each in await pending(empty_database, directory)] == ["0004_more"]


async def test_pending_of_another_history_is_an_error(empty_database: str, directory: Path) -> None:
    """A newer database lacks nothing that this program has, and yet it cannot be migrated by it."""
    await migrate(empty_database, directory)
    (directory / "0003_constrain.sql").unlink()
    with pytest.raises(DatabaseNewer):
        await pending(empty_database, directory)


async def test_a_migration_gives_up_on_a_table_in_use(empty_database: str, directory: Path) -> None:
    """It waits no longer than it may, is undone whole, and works once the table is free."""
    await migrate(empty_database, directory)
    write(directory, "0004_more.sql", "ALTER TABLE steps ADD more int;")
    async with connected(empty_database) as conn:
        async with conn.transaction():
            await conn.execute("LOCK TABLE steps IN ACCESS SHARE MODE")
            with pytest.raises(MigrationBlocked, match=r"0004_more waited 0\.05 seconds"):
                await migrate(empty_database, directory, lock_timeout=0.05)
        assert len(await applied(empty_database)) == 3
        assert await migrate(empty_database, directory, lock_timeout=0.05) == ["0004_more"]


async def test_a_program_does_not_wait_for_another_ones_migrations_for_ever(
    empty_database: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the lock of migrations may have hung."""
    monkeypatch.setattr(migrating, "TURN_TIMEOUT", 0.05)
    async with connected(empty_database) as conn, conn.transaction():
        await lock(conn, AdvisoryLock.MIGRATION)
        with pytest.raises(MigrationBusy):
            await migrate(empty_database, directory)
