from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import ListPatternsRequest
from tests import program
from tests.e2e.calls import capture, emerge, network
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.server_process import REPOSITORY, ServerProcess, bundled_dsn, environment
from tests.e2e.waiting import SOON, until

KEEPER = (sys.executable, "-m", "keeper_grpc.cli")
ABSENT = "00000000-0000-4000-8000-000000000000"

# A shell starts background jobs, and so perhaps these tests, with SIGINT ignored, and a process
# inherits that. At a terminal it is not so.
LISTENS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)

PUT_BACK = b"\x1b[?25h\x1b[?1049l"
"""What shows the cursor and leaves the alternate screen."""


def keeper(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return program.run(arguments, env=environment(**variables))


async def publish(server: ServerProcess, insight_type: str) -> str:
    """A pattern that three accounts captured, once each: its id."""
    async with server.channel() as channel:
        for account in ("a", "b", "c"):
            await network(channel).CapturePattern(
                capture(account, "Offer a warm towel", insight_type=insight_type)
            )
        listed = await network(channel).ListPatterns(ListPatternsRequest(pattern_type=insight_type))
    (pattern,) = listed.patterns
    return pattern.pattern_id


async def test_a_pattern_is_listed_and_shown_with_its_history(server: ServerProcess) -> None:
    """What accounts captured is found by its type, and by its id with evidence, scripts, history."""
    pattern_id = await publish(server, "warm_towels")

    listed = keeper("patterns", "--type", "warm_towels", "--target", server.address)
    pattern = keeper("pattern", pattern_id, "--target", server.address)

    assert (listed.returncode, listed.stderr) == (0, "")
    head, _, row = listed.stdout.splitlines()
    assert head.startswith("id ")
    assert row.split()[0] == pattern_id
    assert row.rstrip().endswith("Offer a warm towel")
    assert (pattern.returncode, pattern.stderr) == (0, "")
    lines = [line.rstrip() for line in pattern.stdout.splitlines()]
    assert lines[0] == "Offer a warm towel"
    assert any("3 of 3 cases of 3 accounts succeeded: 100%" in line for line in lines)
    assert any(line.endswith("Shall we find a time this week?") for line in lines)
    assert re.fullmatch(r"[-\d]{10} +[-\d]{10} +3 +3 +100%", lines[-1])


async def test_json_is_what_the_api_says(server: ServerProcess) -> None:
    """A line for each pattern, one document for a pattern and for the metrics."""
    pattern_id = await publish(server, "cold_towels")

    listed = keeper("patterns", "--type", "cold_towels", "--json", "--target", server.address)
    pattern = keeper("pattern", pattern_id, "--json", "--target", server.address)
    metrics = keeper("metrics", "--json", "--window", "7d", "--target", server.address)

    (line,) = listed.stdout.splitlines()
    told = json.loads(pattern.stdout)
    assert json.loads(line) == told["pattern"]
    assert told["pattern"]["evidence"]["account_count"] == 3
    assert [period["occurrence_count"] for period in told["history"]] == ["3"]
    report = json.loads(metrics.stdout)
    assert len(report["kpis"]) == 8
    assert report["metrics"]["patterns_discovered"]["value"] >= 1


async def test_support_is_shown_below_k_too(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """Both numbers of a pattern that accounts cannot see yet, in words and as JSON."""
    data_dir = make_directory() / "data"
    server = await start_server(data_dir=data_dir)
    async with server.channel() as channel:
        await network(channel).CapturePattern(
            capture("a", "Offer a warm towel", insight_type="lone_towels")
        )
    connection = await asyncpg.connect(bundled_dsn(data_dir))
    pattern_id = await connection.fetchval("SELECT pattern_id::text FROM observations")
    await connection.close()
    asked = ("pattern", pattern_id, "--support", "--target", server.address)

    said, read = keeper(*asked), keeper(*asked, "--json")

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "not published; 1 owner, 1 account\n"
    assert json.loads(read.stdout) == {
        "owner_count": 1,
        "account_count": 1,
        "waiting_account_count": 0,
        "published": False,
    }


async def test_metrics_say_what_each_number_rests_on(server: ServerProcess) -> None:
    """Every KPI has its target, status and sample; what is not known yet is said in words."""
    await publish(server, "dry_towels")

    done = keeper("metrics", "--category", "spa", "--target", server.address)
    nobody = keeper("metrics", "--category", "nobody", "--target", server.address)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("spa, ")
    (retention,) = re.findall(r"^retention improvement .*$", done.stdout, re.MULTILINE)
    assert re.split(" {2,}", retention.strip()) == [
        "retention improvement",
        "not enough data",
        ">= +15 points",
        "unknown",
        "none",
    ]
    assert "withheld: too few accounts" in nobody.stdout
    assert "KPI" not in nobody.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("pattern", ABSENT), 1, "PATTERN_NOT_FOUND: no published pattern has this id"),
        (("pattern", ABSENT, "--support"), 1, "PATTERN_NOT_FOUND: no pattern has this id"),
        (("pattern", "nope"), 1, "pattern_id: must be a valid UUID"),
        (("patterns", "--category", "No!\x1b[2J"), 1, "business_category: does not match"),
        (("metrics", "--target", "127.0.0.1:1"), 1, "no server at 127.0.0.1:1: "),
        (("watch", "--target", "127.0.0.1:1"), 1, "no server at 127.0.0.1:1: "),
        (("metrics", "--window", "0d"), 2, "'0d' is not a number of days"),
    ],
)
def test_a_failure_is_one_line(
    server: ServerProcess, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """A refusal, a server that is not there, a wrong argument: a line on stderr, and nothing else."""
    if "--target" not in arguments:
        arguments = (*arguments, "--target", server.address)

    done = keeper(*arguments)

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    if code == 1:
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["metrics", "health"])
def test_a_server_that_is_not_reached_is_named_with_the_proxy_on_the_way(command: str) -> None:
    """Who set the variable long ago would look at the server; its password is in no message."""
    done = keeper(
        *(command, "--target", "network.invalid:50051"),
        http_proxy="http://someone:secret@127.0.0.1:1",
        no_proxy="elsewhere.invalid",
    )

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "network.invalid:50051 (through the proxy 127.0.0.1:1 of http_proxy; " in line
    assert "secret" not in line


def test_a_proxy_is_not_asked_for_this_machine(server: ServerProcess) -> None:
    """Whatever the environment names."""
    done = keeper("health", "--target", server.address, http_proxy="http://127.0.0.1:1")

    assert (done.returncode, done.stdout) == (0, "SERVING\n")


@asynccontextmanager
async def watching(
    server: ServerProcess, output: int, errors: Path, *options: str
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """`keeper watch` with its stdout in a descriptor, which is closed here."""
    with errors.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: ASYNC220 - forks once, then it runs beside the loop
            [sys.executable, "-c", LISTENS, *KEEPER, "watch", "--target", server.address, *options],
            env=environment(TERM="xterm-256color"),
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=stderr,
        )
    os.close(output)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait until the process is gone: its exit code."""
    await until(lambda: process.poll() is not None, within=SOON, what="the watch ends")
    return process.returncode


class Reader:
    """Reads what a process writes, as it comes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.text = b""
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            more = os.read(self._descriptor, 65536)
        except OSError:  # what a terminal answers whose last process has ended; a pipe has nothing
            more = b""
        self.text += more
        if not more:
            asyncio.get_running_loop().remove_reader(self._descriptor)

    async def until(self, pattern: bytes) -> None:
        """Wait until this was written."""
        await until(
            lambda: re.search(pattern, self.text) is not None,
            within=SOON,
            what=f"{pattern!r} in {self.text[-2000:]!r}",
        )

    def close(self) -> None:
        """Read no more."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


async def test_a_watch_in_a_pipe_prints_a_line_for_a_change(
    server: ServerProcess, tmp_path: Path
) -> None:
    """The snapshot, then what emerges while it watches, without colours; Ctrl-C ends it with 130."""
    read, write = os.pipe()
    async with watching(server, write, tmp_path / "stderr") as process, server.channel() as channel:
        reader = Reader(read)
        await reader.until(rb"emerging now: \d+ patterns\n")
        await emerge(channel, "Offer a warm towel", insight_type="towel_rental")
        await reader.until(rb"Z emerging NEW towel_rental \(spa\): 3 accounts")
        process.send_signal(signal.SIGINT)
        code = await ended(process)
        reader.close()

    assert code == 130
    assert (tmp_path / "stderr").read_bytes() == b""
    assert b"\x1b" not in reader.text
    assert b"Z KPI retention improvement: not enough data, sample none" in reader.text


async def test_a_watch_for_programs_is_a_line_of_json_for_a_change(
    server: ServerProcess, tmp_path: Path
) -> None:
    """Each line is an object with one key that says what it is."""
    read, write = os.pipe()
    async with watching(server, write, tmp_path / "stderr", "--json") as process:
        reader = Reader(read)
        await reader.until(rb'"snapshot_complete": .*\n')
        await reader.until(rb'"report": .*\n')
        process.send_signal(signal.SIGTERM)
        code = await ended(process)
        reader.close()

    assert code == 128 + signal.SIGTERM
    objects = [json.loads(line) for line in reader.text.splitlines()]
    assert {"snapshot_complete", "report"} <= {name for line in objects for name in line}
    assert all(len(line) == 1 for line in objects)


async def test_a_watch_ends_when_its_output_is_closed(
    server: ServerProcess, tmp_path: Path
) -> None:
    """It does not wait for the next change to find out: `keeper watch | head` ends."""
    read, write = os.pipe()
    async with watching(server, write, tmp_path / "stderr") as process:
        reader = Reader(read)
        await reader.until(rb"emerging now: \d+ patterns\n")
        reader.close()
        code = await ended(process)

    assert code == 128 + signal.SIGPIPE
    assert (tmp_path / "stderr").read_bytes() == b""


def answered_into(server: ServerProcess, output: int) -> tuple[int, str]:
    """Exit code and stderr of a command whose stdout is this descriptor, which is closed here."""
    done = subprocess.run(
        [*KEEPER, "metrics", "--target", server.address],
        env=environment(),
        cwd=REPOSITORY,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(output)
    return done.returncode, done.stderr


def test_an_answer_to_a_closed_pipe_ends_silently(server: ServerProcess) -> None:
    """`keeper metrics | true` complains of nothing."""
    read, write = os.pipe()
    os.close(read)

    assert answered_into(server, write) == (128 + signal.SIGPIPE, "")


def test_an_answer_that_cannot_be_written_is_one_line(server: ServerProcess) -> None:
    """On a full disk the command says so and fails."""
    full = os.open("/dev/full", os.O_WRONLY)

    assert answered_into(server, full) == (
        1,
        "keeper: cannot write the answer: No space left on device\n",
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
async def test_a_watch_leaves_the_terminal_as_it_was(
    server: ServerProcess, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """On a terminal it draws a page on the alternate screen, and puts the terminal back at its end."""
    await publish(server, "large_towels")
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    async with watching(server, inside, tmp_path / "stderr") as process:
        reader = Reader(terminal)
        await reader.until(rb"discovery rate: ")
        process.send_signal(number)
        assert await ended(process) == code
        await reader.until(re.escape(PUT_BACK) + rb"$")
        reader.close()

    assert (tmp_path / "stderr").read_bytes() == b""
    assert reader.text.startswith(b"\x1b[?1049h")
