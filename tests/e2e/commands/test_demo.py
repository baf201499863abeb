import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import asyncpg
import grpc
import pytest

from keeper_grpc.demo.database import demo_database
from keeper_grpc.demo.failure import DemoFailed
from keeper_grpc.demo.identifiers import Finder, Identifier, planted
from keeper_grpc.demo.scan import scan_database, scan_file
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from tests.conftest import PostgresServer

EXAMPLES = Path(__file__).parents[3] / "examples"
EXTERNAL = os.environ.get("KEEPER_TEST_DATABASE_URL")
COMMAND = [sys.executable, "-m", "keeper_grpc.cli", "demo", "--examples", str(EXAMPLES)]

STORY = 600
"""Seconds for the whole demo. A tenth of it on a quiet machine; a test that hangs ends then."""

DECLARED = {
    "customer_names": ["Siobhán Garvaghy"],
    "customer_phones": ["+1 206-555-0119"],
    "customer_emails": ["siobhan.garvaghy@example.com"],
    "business_names": ["Quillmoss Day Spa"],
}


def environment(temporary: Path, **settings: str) -> dict[str, str]:
    """What the demo inherits: no settings but those of the test, and a directory of its own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("KEEPER_")}
    if EXTERNAL:
        settings = {"KEEPER_DATABASE_URL": EXTERNAL} | settings
    return inherited | {"TMPDIR": str(temporary)} | settings


def at_a_terminal(temporary: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the demo so that it heeds Ctrl-C.

    A shell starts background jobs, and so perhaps these tests, with SIGINT ignored, and a process
    inherits that. At a terminal it is not so.
    """
    listens = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            listens + "os.execv(sys.argv[1], sys.argv[1:])",
            *COMMAND,
            *arguments,
        ],
        env=environment(temporary),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finder() -> Finder:
    """Looks for what DECLARED names."""
    return Finder(planted([DECLARED], ["Offer a day pass for the spa"]))


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Any]:
    """A connection to the module's database; what the test changes is rolled back."""
    conn = await asyncpg.connect(database_url)
    transaction = conn.transaction()
    await transaction.start()
    yield conn
    await transaction.rollback()
    await conn.close()


@pytest.mark.timeout(STORY)
def test_demo_shows_the_network_learn_and_leaves_nothing_behind(
    make_directory: Callable[[], Path],
) -> None:
    """`keeper demo` exits 0, has shown every step in plain text, and its files are gone."""
    temporary = make_directory()

    done = subprocess.run(
        COMMAND, env=environment(temporary), capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "155 authored patterns of the catalog" in done.stdout
    assert re.search(r"^ all +474 +\d\d +\d\d +\d\d%", done.stdout, re.MULTILINE)
    assert "all replayed=true, no count changed" in done.stdout
    assert re.search(r"proven script +- +\w", done.stdout)
    assert re.search(r"expected success +- +\d\d%, (?:in|adjusted to) ", done.stdout)
    assert re.search(r"confidence +0\.62 +0\.7\d \(x 1\.\d\d\)", done.stdout)
    assert "stream: NEW     service_demand/spa" in done.stdout
    assert "stream: UPDATED service_demand/spa" in done.stdout
    searched = re.search(r"(\d+) identifiers searched in (\d+) columns.*: 0 found", done.stdout)
    assert searched
    assert int(searched[1]) > 250
    assert int(searched[2]) > 100
    assert "482 observations for 482 outcomes" in done.stdout
    assert "Network Validated" in done.stdout
    assert "reported (twice, counted once)" in done.stdout
    assert list(temporary.iterdir()) == []


def test_demo_that_is_interrupted_cleans_up(make_directory: Callable[[], Path]) -> None:
    """Ctrl-C while captures are played ends the server and removes every file."""
    temporary = make_directory()
    process = at_a_terminal(temporary)
    assert process.stdout
    port = b""
    for line in process.stdout:
        port = port or b"".join(re.findall(rb"serving on 127.0.0.1:(\d+)", line))
        if line.startswith(b"2."):
            break

    process.send_signal(signal.SIGINT)
    _, said = process.communicate()

    assert (process.returncode, said) == (130, b"")
    assert list(temporary.iterdir()) == []
    assert not listening(int(port))


@pytest.mark.timeout(2 * STORY)  # and a second server, 1020 questions and a dashboard
def test_demo_that_stays_shows_a_dashboard_until_ctrl_c(make_directory: Callable[[], Path]) -> None:
    """With --stay it prints an address that answers; Ctrl-C ends dashboard and server, exit code 0."""
    temporary = make_directory()
    process = at_a_terminal(temporary, "--stay")
    assert process.stdout
    said = b""
    for line in process.stdout:
        said += line
        if b"Ctrl-C ends both" in line:
            break
    ports = [int(port) for port in re.findall(rb"(?:server is on |open http://)[\d.]+:(\d+)", said)]
    assert len(ports) == 2
    assert all(listening(port) for port in ports)
    with urlopen(f"http://127.0.0.1:{ports[1]}/", timeout=30) as page:
        shown = page.read()
    assert b"What the network has learned" in shown
    assert b"The truth is +25.0 points" in shown
    with grpc.insecure_channel(f"127.0.0.1:{ports[0]}") as channel:
        told = NetworkLearningServiceStub(channel).GetNetworkMetrics(GetNetworkMetricsRequest())
    measured = told.uplift.difference
    assert 0 < measured.interval.lower < measured.value < measured.interval.upper
    adoption = told.adoption
    assert 0 < adoption.done_count < adoption.accepted_count < adoption.shown_count
    assert adoption.dismissals
    improvement = next(k for k in told.kpis if k.name == Kpi.NAME_SUCCESS_RATE_IMPROVEMENT)
    assert improvement.metric.interval.lower > 0

    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate()

    assert (process.returncode, errors) == (0, b"")
    assert b"the dashboard ended, the server drained and exited 0" in rest
    assert re.search(rb"1020 questions: [1-9]\d+ were given advice, [1-9]\d* were held out", said)
    assert list(temporary.iterdir()) == []
    assert not any(listening(port) for port in ports)


def listening(port: int) -> bool:
    """Whether anyone accepts connections on a local port."""
    opened = subprocess.run(
        [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}))"],
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return opened.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "settings", "reason"),
    [
        ([], {"KEEPER_DATABASE_URL": "postgresql://127.0.0.1:1/none"}, "cannot connect"),
        (["--examples", "/nowhere"], {}, "cannot read the sample data"),
        ([], {"KEEPER_MIN_ACCOUNTS": "many"}, "KEEPER_MIN_ACCOUNTS"),
    ],
)
def test_demo_that_cannot_go_on_says_why(
    make_directory: Callable[[], Path],
    arguments: list[str],
    settings: dict[str, str],
    reason: str,
) -> None:
    """A step that fails ends the demo with exit code 1 and a line that names the cause."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(make_directory(), **settings),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "keeper demo: failed: " in done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_error_for_a_role_without_createdb_names_the_command(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an external server the demo needs a database of its own, and says how to allow that."""
    separator = "&" if "?" in postgres_server.dsn else "?"
    # A role that every server has and that may not create databases.
    powerless = f"{postgres_server.dsn}{separator}role=pg_read_all_data"
    monkeypatch.setenv("KEEPER_DATABASE_URL", powerless)

    with pytest.raises(DemoFailed, match="ALTER ROLE pg_read_all_data CREATEDB"):
        async with demo_database():
            pass


async def test_external_database_is_dropped_after_use(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo's database exists while it is used, even with a connection open, and not after."""
    monkeypatch.setenv("KEEPER_DATABASE_URL", postgres_server.dsn)

    async with demo_database() as database:
        dsn = database.environment["KEEPER_DATABASE_URL"]
        open_connection = await asyncpg.connect(dsn)
        name = await open_connection.fetchval("SELECT current_database()")

    assert name.startswith("keeper_demo_")
    open_connection.terminate()
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(dsn)


@pytest.mark.parametrize(
    ("column", "stored"),
    [
        ("text", "Ask SIOBHAN for a good time"),
        ("text", "garvaghy's usual appointment"),
        ("text", "call (206) 555.0119 today"),
        ("text", "ext. 555-0119"),
        ("text", "welcome to quillmoss day spa"),
        ("jsonb", '{"notes": ["said Siobhán"]}'),
        ("text[]", ["fine", "siobhan.garvaghy@example.com"]),
        ("bytea", b"\x01 Garvaghy \x02"),
    ],
)
async def test_scan_finds_a_planted_identifier(
    connection: Any, column: str, stored: object
) -> None:
    """One identifier in one value of one table is found, in whatever form and column type."""
    await connection.execute(f"CREATE TABLE leaky (id int, kept {column})")
    await connection.execute("INSERT INTO leaky VALUES (1, $1)", stored)

    scan = await scan_database(connection, finder())

    assert {hit.place for hit in scan.hits} == {"leaky.kept"}


async def test_scan_of_clean_text_finds_nothing(connection: Any) -> None:
    """Masked text, numbers in a list and words that name no one are no hits."""
    await connection.execute("CREATE TABLE clean (a text, b real[])")
    await connection.execute(
        "INSERT INTO clean VALUES ($1, $2)", "a day spa for [customer]", [206, 555, 119]
    )

    scan = await scan_database(connection, finder())

    assert scan.hits == set()
    assert scan.tables > 10


async def test_scan_that_is_blind_fails(connection: Any) -> None:
    """A search that does not find what it is shown proves nothing, and says so."""
    blind = Finder([Identifier("Siobhán", "never matches")])

    with pytest.raises(DemoFailed, match="blind to 1 "):
        await scan_database(connection, blind)


def test_log_lines_are_searched_behind_their_escapes(tmp_path: Path) -> None:
    """A name that JSON escapes is found in a log file."""
    log = tmp_path / "server.log"
    log.write_text('{"event":"call"}\n{"event":"Siobh\\u00e1n"}\nplain line\n')

    assert {hit.identifier.value for hit in scan_file(log, finder())} == {"Siobhán"}


def test_parts_of_names_are_searched_unless_they_are_ordinary_words() -> None:
    """A business is given away by its rare word alone, "Quillmoss", and not by "Spa" or "Day"."""
    values = {identifier.value for identifier in finder().identifiers}

    assert {"Siobhán Garvaghy", "Siobhán", "Garvaghy", "Quillmoss", "555-0119"} <= values
    assert not {"Day", "Spa"} & values
