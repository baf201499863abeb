"""What becomes of a network that is moved to another database: interrupted anywhere, refused, and back again."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from keeper_grpc.composition.shared import database
from keeper_grpc.operations.doctor.checks.database import moves
from keeper_grpc.operations.move import copying, fence, following, run
from keeper_grpc.operations.move.errors import (
    ChangesUnnoted,
    ConnectionGone,
    CopyDiffers,
    LedgerWrong,
    MoveBusy,
    MoveElsewhere,
    NothingToCancel,
    PauseTooLong,
    RightMissing,
    SameDatabase,
    SchemaDiffers,
    SessionsRemain,
    TargetFull,
    TargetNotEmpty,
)
from keeper_grpc.operations.move.run import Move
from keeper_grpc.operations.move.sides import open_side, open_sides
from keeper_grpc.operations.move.tables import tables_of
from keeper_grpc.operations.move.verifying import require_same_rows
from keeper_grpc.storage.connections.unfit import DatabaseMoved, DatabaseMoving
from keeper_grpc.storage.embedded.account import ServerAccount
from keeper_grpc.storage.evidence.check import count_wrong
from keeper_grpc.storage.readiness import MOVED, Readiness
from keeper_grpc.storage.schema.migrate import migrate
from keeper_grpc.storage.schema.preflight import connect
from tests.conftest import EmbeddedPostgresFactory
from tests.e2e.waiting import SOON, until
from tests.integration.archives.history import HALF_LIFE, counted, differences, execute, live
from tests.integration.evidence.test_rebuild import settings
from tests.integration.observations import opened
from tests.postgres_over_tcp import TcpPostgres
from tests.postgres_server import PostgresServer
from tests.rpc.service import running
from tests.small_disk import fill, small_disk_at

pytestmark = pytest.mark.one_server("it is closed while it is copied (test_move_to_a_cluster.py)")


@pytest.fixture(scope="module")
async def history(postgres_server: PostgresServer, template_database: str) -> AsyncIterator[str]:
    """The name of a database with a history, to be copied."""
    async with postgres_server.database(f"TEMPLATE {template_database}") as name:
        async with running(postgres_server.url(name), evidence_half_life=HALF_LIFE) as service:
            await live(service, random.Random(11), 25)  # noqa: S311 - a history, not a secret
        yield name


@pytest.fixture
async def source(postgres_server: PostgresServer, history: str) -> AsyncIterator[str]:
    """The DSN of a database with a history."""
    async with postgres_server.database(f"TEMPLATE {history}") as name:
        yield postgres_server.url(name)


@pytest.fixture
async def target(postgres_server: PostgresServer, template_database: str) -> AsyncIterator[str]:
    """The DSN of an empty database of the same schema."""
    async with postgres_server.database(f"TEMPLATE {template_database}") as name:
        yield postgres_server.url(name)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each table is copied in several transactions."""
    monkeypatch.setattr(copying, "CHUNK", 7)


async def move(
    source: str,
    target: str,
    *,
    overwrite: bool = False,
    max_pause: float = 60,
    at: Callable[[str], Any] = lambda line: None,
) -> float | None:
    """A run of the command; `at` gets its lines."""
    async with open_sides(source, target) as sides:
        return await Move(*sides, max_pause=max_pause, say=at)(overwrite=overwrite)


async def go_on(dsn: str) -> None:
    """Rows come, change and go, in tables with and without sequences, under every kind of key."""
    for statement in (
        """
        INSERT INTO accounts (account_key, business_category, joined_time)
        SELECT 'test:' || gen_random_uuid(), 'spa', now() FROM generate_series(1, 20)
        """,
        "UPDATE accounts SET declared_owner_key = 'test:owner' WHERE account_key < (SELECT max(account_key) FROM accounts)",
        "DELETE FROM outcome_requests WHERE request_id IN (SELECT request_id FROM outcome_requests LIMIT 5)",
        """
        INSERT INTO sightings (scope_id, account_key, pattern_type, business_category, embedding_model, embedding,
                               rendered, rendered_hash, confidence, potential_value, seen_time)
        SELECT 1, n, 'x', 'spa', 'm', array_fill(n / 100.0, ARRAY[1536])::vector, n, sha256(n::text::bytea), 0.5, 1, now()
          FROM generate_series(1, 20) n ON CONFLICT DO NOTHING
        """,
        "DELETE FROM sightings WHERE rendered = '7'",
        "UPDATE sightings SET withdrawn = NOT withdrawn WHERE rendered < '15'",
        """
        INSERT INTO archived_days AS d
        SELECT account_key, 'spa', '2026-02-03', '2026-02-03', '2026-02-03', true, 1, NULL FROM accounts
        ON CONFLICT (account_key, business_category, measured_day, occurred_day, recorded_day) DO UPDATE
           SET observations = d.observations + 1
        """,
        "UPDATE observations SET potential_value = potential_value + 1",
        "UPDATE network_patterns SET first_discovered = first_discovered - interval '1 day'",
        # With the rows that refer to it.
        """
        DELETE FROM network_patterns p WHERE p.id = (
            SELECT id FROM network_patterns n WHERE NOT EXISTS (SELECT FROM observations o WHERE o.pattern_id = n.id) LIMIT 1)
        """,
        "UPDATE embedding_cache SET used_day = used_day - 1",
        "INSERT INTO audit_events (id, action, details, created_at) VALUES (gen_random_uuid(), 'x', '{}', now())",
    ):
        await execute(dsn, statement)


class Stopped(Exception):
    """A run that ended in the middle."""


def stop_at(words: str) -> Callable[[str], None]:
    """Ends a run where it says this."""

    def at(line: str) -> None:
        if words in line:
            raise Stopped

    return at


@pytest.mark.usefixtures("small_chunks")
async def test_a_moved_network_is_the_same_and_the_old_database_is_closed(
    source: str, target: str
) -> None:
    """All that is counted is equal, numbers go on, a server of the target answers, and nobody gets into the source."""
    before = await counted(source)
    last = await execute(source, "SELECT max(id) FROM sightings")
    async with opened(source) as pool:
        ready = Readiness(pool)
        assert await ready(), ready.reason
        paused = await move(source, target)
        assert not await ready()
        assert ready.reason == MOVED
    assert paused is not None
    assert differences(before, await counted(target)) == []
    assert await execute(target, "SELECT nextval(pg_get_serial_sequence('sightings', 'id'))") > last
    assert not await execute(target, "SELECT bool_or(NOT convalidated) FROM pg_constraint")
    assert await execute(target, "SELECT to_regnamespace('keeper_move')") is None
    await go_on(target)

    with pytest.raises(DatabaseMoved, match="name the one that it was moved to"):
        await connect(source)
    for writable in ("SET default_transaction_read_only = off", "BEGIN READ WRITE"):
        connection = await asyncpg.connect(source)
        try:
            await connection.execute(writable)
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError, match="moved away"):
                await connection.execute("UPDATE accounts SET qualified = NOT qualified")
        finally:
            await connection.close()


async def test_the_pause_ends_when_the_target_opens(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked through while it serves already does not count."""
    looked_through = 0.0

    async def for_an_hour(connection: Any) -> None:
        nonlocal looked_through
        assert not await connection.fetchval("SELECT to_regnamespace('keeper_move') IS NOT NULL")
        looked_through = 3600.0

    monotonic = time.monotonic
    monkeypatch.setattr(run, "prove_keys", for_an_hour)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + looked_through)
    paused = await move(source, target)
    assert looked_through
    assert paused is not None
    assert paused < looked_through


async def test_a_second_run_after_the_move_changes_nothing(
    source: str, target: str, postgres_server: PostgresServer, template_database: str
) -> None:
    """It says so, and another network is not taken for the one that was moved."""
    await move(source, target)
    moved = await counted(target)
    assert await move(source, target) is None
    assert differences(moved, await counted(target)) == []

    async with postgres_server.database(f"TEMPLATE {template_database}") as name:
        third = postgres_server.url(name)
        async with running(third, evidence_half_life=HALF_LIFE) as service:
            await live(service, random.Random(12), 5)  # noqa: S311 - a history, not a secret
        with pytest.raises(MoveElsewhere):
            await move(source, third)


@pytest.mark.usefixtures("small_chunks")
async def test_what_changes_meanwhile_arrives(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come, change and go while tables are copied: behind the copy and ahead of it."""
    copy_table = copying.copy_table

    async def beside_a_service(*arguments: Any) -> int:
        copied = await copy_table(*arguments)
        if arguments[2].name in ("accounts", "observations"):
            await go_on(source)
        return copied

    monkeypatch.setattr(run, "copy_table", beside_a_service)
    await move(source, target)
    async with open_side(source, "source") as one, open_side(target, "target") as other:
        assert await require_same_rows(
            one.connection, other.connection, await tables_of(one.connection)
        )


@pytest.mark.usefixtures("small_chunks")
async def test_a_row_that_takes_anothers_place_is_copied(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sighting that was copied goes, and the same comes again under a new id, which is copied too."""
    await go_on(source)
    end_of_chunk = copying._end_of_chunk

    async def replace_the_first(*arguments: Any) -> Any:
        if arguments[1].name == "sightings" and arguments[2] is not None:
            await execute(
                source,
                """
                WITH gone AS (DELETE FROM sightings WHERE id = (SELECT min(id) FROM sightings) RETURNING *)
                INSERT INTO sightings (scope_id, account_key, pattern_type, business_category, embedding_model,
                       embedding, rendered, rendered_hash, confidence, potential_value, seen_time)
                SELECT scope_id, account_key, pattern_type, business_category, embedding_model,
                       embedding, rendered, rendered_hash, confidence, potential_value, seen_time FROM gone
                """,
            )
            monkeypatch.setattr(copying, "_end_of_chunk", end_of_chunk)
        return await end_of_chunk(*arguments)

    monkeypatch.setattr(copying, "_end_of_chunk", replace_the_first)
    await move(source, target)
    assert copying._end_of_chunk is end_of_chunk
    assert await execute(source, "SELECT count(*) FROM sightings") == await execute(
        target, "SELECT count(*) FROM sightings"
    )


async def test_a_row_that_takes_anothers_place_is_followed(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its first note is followed in a transaction before that of the row whose place it took."""
    monkeypatch.setattr(following, "_BATCH", 3)
    await go_on(source)

    async def take_its_place() -> None:
        for statement in (
            "UPDATE sightings SET withdrawn = true WHERE rendered = '2'",
            "UPDATE accounts SET qualified = NOT qualified",
            """
            WITH gone AS (DELETE FROM sightings WHERE rendered = '1' RETURNING *)
            UPDATE sightings s SET account_key = gone.account_key, rendered_hash = gone.rendered_hash
              FROM gone WHERE s.rendered = '2'
            """,
        ):
            await execute(source, statement)

    copy_table = copying.copy_table

    async def then_it_happens(*arguments: Any) -> int:
        copied = await copy_table(*arguments)
        if arguments[2].name == "sightings":
            await take_its_place()
        return copied

    monkeypatch.setattr(run, "copy_table", then_it_happens)
    await move(source, target)
    assert await execute(source, "SELECT count(*) FROM sightings") == await execute(
        target, "SELECT count(*) FROM sightings"
    )


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    "words",
    ["rows of network_patterns", "rows of sightings", "rows in all", "comparing", "are the same"],
)
async def test_an_interrupted_move_goes_on(
    source: str, target: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it was, with what came in between; what was copied is not copied again, and the source served meanwhile."""
    with pytest.raises(Stopped):
        await move(source, target, at=stop_at(words))
    with pytest.raises(DatabaseMoving):
        await connect(target)
    await go_on(source)
    before = await counted(source)
    lines: list[str] = []
    await move(source, target, at=lines.append)
    assert differences(before, await counted(target)) == []
    assert not any("rows of accounts" in line for line in lines)


@pytest.mark.parametrize("step", ["require_same_counts", "refuse_changes", "restore_keys"])
async def test_a_switch_that_is_interrupted_leaves_one_database_at_most(
    source: str, target: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the source is closed for good it is opened again; after that, a second run opens the target."""

    async def fail(*_: Any) -> None:
        raise Stopped

    before = await counted(source)
    with monkeypatch.context() as patched:
        patched.setattr(run, step, fail)
        with pytest.raises(Stopped):
            await move(source, target)
    with pytest.raises(DatabaseMoving):
        await connect(target)
    if step == "require_same_counts":
        await (await connect(source)).close()
    else:
        with pytest.raises((DatabaseMoved, DatabaseMoving)):
            await connect(source)
    await move(source, target)
    assert differences(before, await counted(target)) == []
    with pytest.raises(DatabaseMoved):
        await connect(source)


async def test_a_switch_that_takes_too_long_is_undone(source: str, target: str) -> None:
    """The source takes writes again, and the line says what to do."""
    with pytest.raises(PauseTooLong, match="--max-pause"):
        await move(source, target, max_pause=1e-4)
    await (await connect(source)).close()


async def test_a_move_is_given_up_without_a_trace(source: str, target: str) -> None:
    """The source has nothing of it any more; another target may follow, and the old one when it may be overwritten."""
    with pytest.raises(NothingToCancel, match="no move"):
        await cancel(source)
    with pytest.raises(Stopped):
        await move(source, target, at=stop_at("rows in all"))
    async with open_side(source, "source") as side:
        (unfinished,) = await moves(side.connection)
    assert "not finished" in unfinished.found
    await cancel(source)
    async with open_side(source, "source") as side:
        assert await moves(side.connection) == []
    assert await execute(source, "SELECT to_regnamespace('keeper_move')") is None
    assert not await execute(source, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
    with pytest.raises(TargetNotEmpty, match="--overwrite"):
        await move(source, target)
    before = await counted(source)
    await move(source, target, overwrite=True)
    assert differences(before, await counted(target)) == []
    with pytest.raises(NothingToCancel, match="move it back"):
        await cancel(source)


async def cancel(source: str) -> None:
    """The command with --cancel."""
    async with open_side(source, "source") as side:
        await run.cancel(side)


async def test_a_network_moves_back(source: str, target: str) -> None:
    """Into the database that it came from, which is overwritten and takes writes again."""
    await move(source, target)
    await go_on(target)
    before = await counted(target)
    with pytest.raises(TargetNotEmpty, match="--overwrite"):
        await move(target, source)
    await move(target, source, overwrite=True)
    assert differences(before, await counted(source)) == []
    await go_on(source)
    with pytest.raises(DatabaseMoved):
        await connect(target)


async def test_what_is_no_pair_for_a_move_is_refused(
    source: str, target: str, postgres_server: PostgresServer
) -> None:
    """Each with its line, and nothing is changed by any."""
    before = await counted(source)
    with pytest.raises(SameDatabase):
        await move(source, source)
    with pytest.raises(SchemaDiffers, match="nothing to move"):
        async with postgres_server.database() as name:
            await move(postgres_server.url(name), target)
    async with postgres_server.database() as name:
        with pytest.raises(SchemaDiffers, match="run keeper migrate"):
            await move(source, postgres_server.url(name))
    async with open_sides(source, target):
        with pytest.raises(MoveBusy, match="source"):
            await move(source, target)
    await execute(
        target,
        "INSERT INTO accounts (account_key, business_category, joined_time) VALUES ('a', 'spa', now())",
    )
    with pytest.raises(TargetNotEmpty, match="accounts and evidence"):
        await move(source, target)
    assert await execute(target, "SELECT count(*) FROM accounts") == 1
    assert await execute(source, "SELECT to_regnamespace('keeper_move')") is None
    assert differences(before, await counted(source)) == []


async def test_a_role_that_owns_nothing_is_refused(
    source: str, target: str, postgres_server: PostgresServer
) -> None:
    """It could neither note changes nor close the database."""
    role = f"keeper_move_{uuid.uuid4().hex[:12]}"
    await postgres_server.execute(f"CREATE ROLE {role} LOGIN")
    try:
        with pytest.raises(RightMissing, match="does not own the database"):
            await move(f"{source}&options=-c%20role%3D{role}", target)
    finally:
        await postgres_server.execute(f"DROP ROLE {role}")


async def test_a_wrong_ledger_is_found_before_anything_is_copied(source: str, target: str) -> None:
    """What is counted twice, or lost, is not carried on."""
    async with open_side(source, "source") as side:
        assert await count_wrong(side.connection) == 0
    await execute(source, "UPDATE pattern_accounts SET occurrence_count = occurrence_count + 1")
    with pytest.raises(LedgerWrong, match="keeper rebuild"):
        await move(source, target)
    assert await execute(target, "SELECT to_regnamespace('keeper_move')") is None


async def test_a_copy_that_differs_is_not_switched_to(source: str, target: str) -> None:
    """One value of one row is enough."""
    with pytest.raises(Stopped):
        await move(source, target, at=stop_at("rows in all"))
    connection = await asyncpg.connect(target)
    await connection.execute("SET default_transaction_read_only = off")
    await connection.execute(
        "UPDATE observations SET confidence = 0.123456 WHERE id = (SELECT id FROM observations LIMIT 1)"
    )
    with pytest.raises(CopyDiffers, match="observations"):
        await move(source, target)
    await connection.close()
    await (await connect(source)).close()


async def test_tables_that_lost_their_triggers_stop_a_switch(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restore of the source: what was written since is not known to the move."""
    close = fence.close

    async def after_a_restore(connection: Any) -> None:
        await connection.execute("DROP TRIGGER IF EXISTS keeper_move ON observations")
        await close(connection)

    monkeypatch.setattr(fence, "close", after_a_restore)
    with pytest.raises(ChangesUnnoted, match="observations"):
        await move(source, target)
    await (await connect(source)).close()


async def test_a_full_disk_stops_a_copy_that_goes_on_when_there_is_room(
    source: str,
    embedded_postgres_factory: EmbeddedPostgresFactory,
    make_directory: Callable[[], Path],
) -> None:
    """The source serves meanwhile, and what was copied is not copied again."""
    server = await embedded_postgres_factory()
    await migrate(server.dsn)
    before = await counted(source)
    with small_disk_at(make_directory()) as disk:
        place = disk / "tablespace"
        place.mkdir()
        ServerAccount.for_cluster(server.layout.pgdata).own(place)
        await execute(server.dsn, f"CREATE TABLESPACE small LOCATION '{place}'")
        await execute(server.dsn, "ALTER TABLE embedding_cache SET TABLESPACE small")

        def fill_up(line: str) -> None:
            if "rows of accounts" in line:
                fill(disk)

        with pytest.raises(TargetFull, match="make room"):
            await move(source, server.dsn, at=fill_up)
        await (await connect(source)).close()
        (disk / "filling").unlink()
        lines: list[str] = []
        await move(source, server.dsn, at=lines.append)
        assert not any("rows of accounts" in line for line in lines)
        assert differences(before, await counted(server.dsn)) == []
        await server.stop()


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_lost_connection_is_one_line_and_the_next_run_goes_on(
    source: str, target: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the copy, on either side."""
    copy_table = copying.copy_table

    async def lose(*arguments: Any) -> int:
        if arguments[2].name == "observations":
            await execute(
                source if side == "source" else target,
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'keeper move' "
                "AND datname = current_database()",
            )
        return await copy_table(*arguments)

    before = await counted(source)
    with monkeypatch.context() as patched:
        patched.setattr(run, "copy_table", lose)
        with pytest.raises(ConnectionGone, match="run the same command again"):
            await move(source, target)
    lines: list[str] = []
    await move(source, target, at=lines.append)
    assert not any("rows of accounts" in line for line in lines)
    assert differences(before, await counted(target)) == []


async def test_what_servers_of_another_role_write_is_noted(
    source: str, target: str, postgres_server: PostgresServer
) -> None:
    """They need no right to what a move adds, and are told of the move as others are."""
    role = f"keeper_move_{uuid.uuid4().hex[:12]}"
    await postgres_server.execute(f"CREATE ROLE {role}")
    theirs = f"{source}&options=-c%20role%3D{role}"
    try:
        await execute(
            source,
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        )
        with pytest.raises(Stopped):
            await move(source, target, at=stop_at("rows in all"))
        await execute(
            theirs,
            "INSERT INTO audit_events (id, action, details, created_at) VALUES (gen_random_uuid(), 'theirs', '{}', now())",
        )
        await move(source, target)
        assert await execute(target, "SELECT count(*) FROM audit_events WHERE action = 'theirs'")
        with pytest.raises(DatabaseMoved):
            await connect(theirs)
    finally:
        connection = await asyncpg.connect(source)
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f"DROP OWNED BY {role}")
        await connection.close()
        await postgres_server.execute(f"DROP ROLE {role}")


async def test_a_prepared_transaction_stops_a_switch(
    target: str, make_directory: Callable[[], Path]
) -> None:
    """It could commit after the switch; the source is open again at once."""
    server = TcpPostgres(make_directory() / "data", {"max_prepared_transactions": "2"})
    async with server:
        await migrate(server.dsn)
        with pytest.raises(Stopped):
            await move(server.dsn, target, at=stop_at("rows in all"))
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("BEGIN; DELETE FROM word_decisions; PREPARE TRANSACTION 'late'")
        await connection.close()
        with pytest.raises(SessionsRemain, match="COMMIT PREPARED"):
            await move(server.dsn, target)
        await (await connect(server.dsn)).close()
        await execute(server.dsn, "ROLLBACK PREPARED 'late'")
        assert await move(server.dsn, target) is not None


async def test_a_server_that_starts_within_a_move_waits_for_its_end(
    source: str, target: str
) -> None:
    """It is there when the database is."""

    async def start() -> str:
        async with database(settings(target)) as dsn:
            return dsn

    with pytest.raises(Stopped):
        await move(source, target, at=stop_at("rows in all"))
    with capture_logs() as lines:
        starting = asyncio.create_task(start())
        await until(
            lambda: [line for line in lines if line["event"] == "waiting_for_database"],
            within=SOON,
            what="it waits",
        )
        await move(source, target)
        assert await starting == target
