from __future__ import annotations

import socket
from typing import Any

import pytest

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
        f"postgresql://keeper:{SECRET}#x@127.0.0.1/keeper",
        f"postgresql://keeper:{SECRET}/x@127.0.0.1/keeper",
    ],
    ids=["hash", "slash"],
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
