"""The systemd unit: systemd reads it, and what it would start runs as confined as it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from keeper_grpc.settings import PREFIX, Settings
from tests.e2e.calls import capture, network
from tests.e2e.conftest import MakeDirectory
from tests.e2e.deliverables import confined
from tests.e2e.server_process import PSEUDONYM_KEYS, START, STOP, ServerProcess, environment
from tests.e2e.waiting import SOON, until
from tests.rpc.access.identities import entry, write

UNIT = Path(__file__).parents[3] / "deploy/systemd/keeper.service"
PROGRAM = Path(sys.executable).with_name("keeper")
INSTALLED = "/opt/keeper/bin/keeper"
TOKEN = "keeper_of-the-units-callers"

FILES = "dac_override"
CAP_DAC_OVERRIDE = 1
"""The one capability that the test leaves: its PostgreSQL's socket belongs to another user."""

CLOSES = 30
"""Seconds that a server may take beyond its grace: pools, exporters, the bundled PostgreSQL."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def directives() -> dict[str, list[str]]:
    """The unit's lines, by name."""
    found = defaultdict(list)
    for line in UNIT.read_text().splitlines():
        if match := re.fullmatch(r"([A-Za-z]+)=(.*)", line):
            found[match[1]].append(match[2])
    return found


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Ask systemd's own analysis."""
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


def calls(group: str) -> set[str]:
    """The system calls of one of systemd's groups, or the one of this name."""
    if not group.startswith("@"):
        return {group}
    listed = analyze("syscall-filter", group).stdout.splitlines()[1:]
    names = [line.strip() for line in listed if not line.strip().startswith("#")]
    return {call for name in names if name for call in calls(name)}


def allowed() -> list[str]:
    """The calls that the unit allows."""
    made: set[str] = set()
    for line in directives()["SystemCallFilter"]:
        named = {call for group in line.removeprefix("~").split() for call in calls(group)}
        made = made - named if line.startswith("~") else made | named
    return sorted(made)


@needs_systemd
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    """With the program in its place it finds nothing to say."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(INSTALLED, str(PROGRAM)))
    done = analyze("verify", unit)
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, said) == (0, [])


@needs_systemd
def test_the_service_is_confined() -> None:
    """By systemd's measure of exposure, 0 to 10: a usual service without any of it has 9.6."""
    done = analyze("security", "--offline=true", "--threshold=15", "--no-pager", UNIT)
    assert done.returncode == 0, done.stdout[-300:]


def test_it_is_killed_only_after_it_could_drain() -> None:
    """Its own grace and the close of everything come first; PostgreSQL's processes are not signalled by systemd."""
    (timeout,) = directives()["TimeoutStopSec"]
    fields = Settings.model_fields
    drain = fields["drain_delay"].default + fields["drain_grace"].default
    assert int(timeout) >= drain.total_seconds() + CLOSES
    assert directives()["KillMode"] == ["mixed"]


def test_its_variables_are_settings() -> None:
    """Those of the unit itself."""
    names = {
        word.partition("=")[0] for line in directives()["Environment"] for word in line.split()
    }
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert {name for name in names if name.startswith(PREFIX)} <= known


@needs_systemd
@pytest.mark.skipif(os.geteuid() != 0, reason="taking capabilities away is root's")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
async def test_what_the_unit_starts_serves_and_stops(
    database_of_its_own: str, make_directory: MakeDirectory
) -> None:
    """ExecStart with its variables, secrets as credentials, no capability but one, its filter of calls; reload; stop."""
    directory = make_directory()
    credentials, state = directory / "credentials", directory / "state"
    for made in (credentials, state):
        made.mkdir()
    # Of a directory of files, `LoadCredential=keeper:` makes one credential each, with this before its name.
    (loaded,) = directives()["LoadCredential"]
    prefix = loaded.partition(":")[0]
    (credentials / f"{prefix}_database_url").write_text(f"{database_of_its_own}\n")
    (credentials / f"{prefix}_pseudonym_keys").write_text(f"{PSEUDONYM_KEYS}\n")
    identities = directory / "identities.yaml"
    write(identities, *entries("first"))

    given = [word for line in directives()["Environment"] for word in shlex.split(line)]
    variables = dict(word.replace("%S", str(state)).split("=", 1) for word in given)
    # What an operator writes into EnvironmentFile.
    variables |= {
        "KEEPER_PORT": "0",
        "KEEPER_SEED_CATALOG": "false",
        "KEEPER_IDENTITIES_FILE": str(identities),
        "CREDENTIALS_DIRECTORY": str(credentials),
    }
    ours = {name: v for name, v in environment().items() if not name.startswith(PREFIX)}
    log = directory / "log"
    process = started(ours | variables, log)
    server = ServerProcess(process, log, str(state / "keeper"))
    try:
        await until(
            lambda: process.poll() is not None or server.events("serving"),
            within=START,
            what="it serves",
        )
        if process.poll() == confined.UNAVAILABLE:
            pytest.skip(f"no filter of system calls can be set: {log.read_text()}")
        await server.serving()
        assert database_of_its_own.encode() not in of_process(process.pid, "environ")
        assert capabilities(process.pid) == 1 << CAP_DAC_OVERRIDE

        async with server.channel() as channel:
            answer = await network(channel).CapturePattern(
                capture("a", "Offer a late opening"),
                metadata=(("authorization", f"Bearer {TOKEN}"),),
            )
            assert answer.disposition

        write(identities, *entries("first", "second"))
        assert directives()["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
        server.send(signal.SIGHUP)
        await until(lambda: server.events("file_read_again"), within=SOON, what="it reads again")

        server.send(signal.SIGTERM)
        assert await server.ended(STOP) == 0
    finally:
        if process.poll() is None:
            await server.kill()


def started(variables: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """What ExecStart names, without capabilities but one, and under the unit's filter of system calls."""
    (start,) = directives()["ExecStart"]
    with log.open("wb") as stream:
        return subprocess.Popen(
            [
                *("setpriv", f"--bounding-set=-all,+{FILES}", "--inh-caps=-all", "--no-new-privs"),
                *(sys.executable, confined.__file__, ",".join(allowed())),
                *start.replace(INSTALLED, str(PROGRAM)).split(),
            ],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )


def of_process(pid: int, name: str) -> bytes:
    """What the kernel tells of a process."""
    return Path(f"/proc/{pid}/{name}").read_bytes()


def entries(*names: str) -> list[dict[str, Any]]:
    """Identities, of which the token is the last one's."""
    *others, last = names
    without = [{"name": name, "roles": ["capture"], "accounts": "all"} for name in others]
    return [*without, entry(last, "capture", token=TOKEN, accounts="all")]


def capabilities(pid: int) -> int:
    """Those in effect, as a mask."""
    return int(of_process(pid, "status").partition(b"CapEff:")[2].split()[0], 16)
