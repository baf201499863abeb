from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.conftest import PostgresServer
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.server_process import ServerProcess
from tests.e2e.waiting import SOON

SECRET = "hunter2hunter2"

NOBODY_LISTENS = f"postgresql://keeper:{SECRET}@127.0.0.1:1/keeper"


async def start_error(server: ServerProcess) -> str:
    """What a server that could not start said last, once it has ended as it should."""
    assert await server.ended(within=2 * SOON) == 1
    text = server.log.read_text()
    assert "Traceback" not in text
    assert SECRET not in text
    said = [line for line in text.splitlines() if not line.startswith("{")]
    assert said, text
    assert said[0].startswith("keeper: ")
    assert len(said) == 1, text
    return said[0]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"KEEPER_PORT": SECRET}, "KEEPER_PORT"),
        ({"KEEPER_PSEUDONYM_KEYS": f"main:{SECRET}\N{EURO SIGN}"}, "KEEPER_PSEUDONYM_KEYS"),
        ({"KEEPER_DATABASE_URL": NOBODY_LISTENS}, "KEEPER_PSEUDONYM_KEYS: required"),
    ],
    ids=["type", "key", "key-missing"],
)
async def test_a_bad_setting_stops_the_start_with_one_line(
    start_server: StartServer, settings: dict[str, Any], named: str
) -> None:
    """The line names the setting, never its value, and no database is waited for."""
    server = await start_server(serving=False, **settings)

    assert named in await start_error(server)
    assert not server.lines()[:-1]


async def test_every_bad_setting_has_its_line(start_server: StartServer) -> None:
    """Whoever mends one need not start again to hear of the next."""
    bad: dict[str, Any] = {
        "KEEPER_MIN_ACCOUNTS": "1",
        "KEEPER_DRAIN_GRACE": "soon",
        "KEEPER_EMBEDDER": SECRET,
    }
    server = await start_server(serving=False, **bad)

    assert await server.ended(within=2 * SOON) == 1
    text = server.log.read_text()
    assert SECRET not in text
    named = {line.removeprefix("keeper: ").partition(":")[0] for line in text.splitlines()}
    assert named == bad.keys()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://keeper:{SECRET}%x@127.0.0.1/keeper",
        f"postgresql://keeper:{SECRET}/x@127.0.0.1/keeper",
    ],
    ids=["percent", "slash"],
)
async def test_a_database_url_that_cannot_be_read_is_not_quoted(
    start_server: StartServer, url: str
) -> None:
    """A password with an unescaped character is the usual cause: nothing of it is shown."""
    server = await start_server(database_url=url, serving=False)

    assert "KEEPER_DATABASE_URL cannot be read" in await start_error(server)


async def test_an_unreachable_database_is_waited_for_and_then_named(
    start_server: StartServer,
) -> None:
    """After KEEPER_STARTUP_TIMEOUT the start fails with the reason and the setting to look at."""
    server = await start_server(
        database_url=NOBODY_LISTENS, serving=False, KEEPER_STARTUP_TIMEOUT="1"
    )

    said = await start_error(server)

    assert "cannot connect to the database" in said
    assert "KEEPER_DATABASE_URL" in said
    assert len(server.events("waiting_for_database")) >= 2


async def test_a_database_from_before_the_first_release_is_refused(
    start_server: StartServer, postgres_server: PostgresServer
) -> None:
    """One line says what it is and what to do, and nothing in it is changed."""
    async with postgres_server.database() as name:
        dsn = postgres_server.url(name)
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(
                """
                CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text, checksum text);
                INSERT INTO schema_migrations VALUES (1, '0001_network_patterns', 'checksum')
                """
            )
            server = await start_server(database_url=dsn, serving=False)

            said = await start_error(server)

            assert "made by a version from before the first release" in said
            assert "KEEPER_DATA_DIR" in said
            assert await connection.fetchval("SELECT to_regclass('network_patterns')") is None
        finally:
            await connection.close()


async def test_a_database_that_never_answers_does_not_hold_the_start_for_minutes(
    start_server: StartServer,
) -> None:
    """A port that takes connections and says nothing is given up like one that refuses them."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        server = await start_server(
            database_url=f"postgresql://keeper:{SECRET}@127.0.0.1:{port}/keeper",
            serving=False,
            KEEPER_STARTUP_TIMEOUT="0.1",
        )

        assert "cannot connect to the database" in await start_error(server)


async def test_a_taken_port_stops_the_start(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """The line says which settings choose the address."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        server = await start_server(
            database_url=database_of_its_own,
            serving=False,
            KEEPER_PORT=str(holder.getsockname()[1]),
        )

        assert "KEEPER_PORT" in await start_error(server)


async def test_a_taken_metrics_port_stops_the_start(start_server: StartServer) -> None:
    """At once: no database is waited for."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        server = await start_server(
            database_url=NOBODY_LISTENS,
            serving=False,
            KEEPER_METRICS_PORT=str(holder.getsockname()[1]),
        )

        assert "KEEPER_METRICS_PORT" in await start_error(server)
        assert not server.events("waiting_for_database")


async def test_telemetry_that_cannot_be_had_stops_the_start(start_server: StartServer) -> None:
    """The line names the variable, and not what it holds."""
    server = await start_server(serving=False, OTEL_TRACES_EXPORTER=SECRET)

    assert "OTEL_TRACES_EXPORTER" in await start_error(server)


async def test_a_port_that_another_keeper_serves_on_counts_as_taken(
    start_server: StartServer, database_of_its_own: str, server: ServerProcess
) -> None:
    """SO_REUSEPORT would let two servers share a port without a word."""
    second = await start_server(
        database_url=database_of_its_own, serving=False, KEEPER_PORT=str(server.port)
    )

    assert "KEEPER_PORT" in await start_error(second)


async def test_a_data_directory_has_one_server(
    start_server: StartServer, make_directory: MakeDirectory, server: ServerProcess
) -> None:
    """A second server on the directory ends at once, names the first, and does it no harm."""
    first = server
    second = await start_server(serving=False, KEEPER_DATA_DIR=first.data_dir)

    said = await start_error(second)

    assert f"in use by process {first.process.pid}" in said
    assert first.process.poll() is None


A_FILE: Callable[[Path], None] = Path.touch
A_DIRECTORY: Callable[[Path], None] = Path.mkdir


def link_to_nothing(place: Path) -> None:
    """A link whose target was not mounted, say."""
    place.symlink_to(place.with_name("nothing"))


def loop(place: Path) -> None:
    """A link to itself."""
    place.symlink_to(place)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("pseudonym.key", A_DIRECTORY),
        ("pseudonym.key", link_to_nothing),
        ("postgresql", A_FILE),
        ("postgresql.log", A_DIRECTORY),
        ("socket", A_FILE),
        ("keeper.lock", A_DIRECTORY),
    ],
)
async def test_a_data_directory_with_the_wrong_thing_in_it_stops_the_start(
    start_server: StartServer,
    make_directory: MakeDirectory,
    name: str,
    make: Callable[[Path], None],
) -> None:
    """The line names the place, whatever of the directory is not what it should be."""
    directory = make_directory()
    make(directory / name)

    server = await start_server(serving=False, KEEPER_DATA_DIR=str(directory))

    assert str(directory) in await start_error(server)


@pytest.mark.parametrize("make", [A_FILE, loop], ids=["file", "loop"])
async def test_a_data_directory_that_is_none_stops_the_start(
    start_server: StartServer, make_directory: MakeDirectory, make: Callable[[Path], None]
) -> None:
    """A file, or a link to itself: the line names it."""
    place = make_directory() / "data"
    make(place)

    server = await start_server(serving=False, KEEPER_DATA_DIR=str(place))

    assert f"data directory {place} cannot be used" in await start_error(server)


async def test_an_embeddings_api_that_is_not_there_stops_the_start(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """The line names the settings that lead to it, and not the key."""
    server = await start_server(
        database_url=database_of_its_own,
        serving=False,
        KEEPER_OPENAI_API_KEY=SECRET,
        KEEPER_OPENAI_BASE_URL="http://127.0.0.1:1",
        KEEPER_OPENAI_MAX_RETRIES="0",
    )

    assert "KEEPER_OPENAI_BASE_URL" in await start_error(server)


async def test_an_address_of_another_machine_stops_the_start(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """192.0.2.0/24 is for documentation (RFC 5737): no machine has it."""
    server = await start_server(
        database_url=database_of_its_own,
        serving=False,
        KEEPER_HOST="192.0.2.1",
        KEEPER_ALLOW_UNAUTHENTICATED="true",
    )

    assert "KEEPER_HOST" in await start_error(server)


async def test_strangers_are_not_let_in_silently(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """Beyond this machine a server needs authentication, or to be told in as many words that it needs none."""
    server = await start_server(
        database_url=database_of_its_own,
        serving=False,
        KEEPER_HOST="0.0.0.0",  # noqa: S104 - it does not listen
    )

    assert "KEEPER_ALLOW_UNAUTHENTICATED" in await start_error(server)


async def test_a_misspelt_setting_is_named_in_the_log_of_a_server_that_starts(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """With the setting that was meant; what Kubernetes sets for a Service of our name is not."""
    server = await start_server(
        database_url=database_of_its_own,
        KEEPER_DRAIN_GRASE=SECRET,
        KEEPER_SERVICE_HOST="10.96.0.12",
        KEEPER_PORT_50051_TCP="tcp://10.96.0.12:50051",
        KEEPER_METRICS_PORT="tcp://10.96.0.13:9090",
    )

    (event,) = server.events("unknown_setting")

    assert event["variable"] == "KEEPER_DRAIN_GRASE"
    assert event["did_you_mean"] == "KEEPER_DRAIN_GRACE"
    assert SECRET not in server.log.read_text()
