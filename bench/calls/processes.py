"""The processes that are measured, and what they use."""

from __future__ import annotations

import base64
import json
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.calls.network import KEY

SERVER = Path(__file__).parents[2] / "server.py"
TICKS = os.sysconf("SC_CLK_TCK")
_START = 120.0


@dataclass(frozen=True, slots=True)
class Processes:
    """Some processes with their descendants, and the port that they serve."""

    roots: tuple[int, ...]
    port: int

    def seconds(self) -> float:
        """Processor time of all that live, and of their children that ended."""
        return sum(_seconds(pid) for pid in family(self.roots))

    def megabytes(self) -> float:
        """Resident memory of all."""
        return sum(_resident(pid) for pid in family(self.roots))


def family(roots: tuple[int, ...]) -> set[int]:
    """These processes and their descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = set(), list(roots)
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children.get(pid, [])
    return found


@contextmanager
def directory() -> Iterator[Path]:
    """A directory that the bundled PostgreSQL's own user can enter, when we are root."""
    with tempfile.TemporaryDirectory(prefix="keeper-bench-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def service(
    dsn: str, directory: Path, workers: int, settings: Mapping[str, str]
) -> Iterator[Processes]:
    """The service on a database, in a process or in several."""
    log = directory / "server.log"
    environment = os.environ | {
        "KEEPER_DATABASE_URL": dsn,
        "KEEPER_DATA_DIR": str(directory),
        "KEEPER_PSEUDONYM_KEYS": f"bench:{base64.b64encode(KEY).decode()}",
        "KEEPER_EMBEDDER": "local",
        "KEEPER_OPEN_ACCOUNTS": "true",
        "KEEPER_PORT": str(free_port()),
        "KEEPER_LOG_FORMAT": "json",
        **settings,
    }
    more = ["--workers", str(workers)] if workers > 1 else []
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, SERVER, *more], env=environment, stderr=stream)
    try:
        yield Processes((process.pid,), _port(process, log))
    finally:
        process.terminate()
        process.wait()


@contextmanager
def floor(answers: Mapping[str, bytes], directory: Path, workers: int) -> Iterator[Processes]:
    """The bare service, in as many processes."""
    path, port = directory / "answers.pickle", free_port()
    path.write_bytes(pickle.dumps(dict(answers)))
    command = [sys.executable, "-m", "bench.calls.floor", str(path), str(port)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(workers)]
    try:
        for each in started:
            assert each.stdout is not None  # noqa: S101 - it is a pipe
            each.stdout.readline()
        yield Processes(tuple(each.pid for each in started), port)
    finally:
        for each in started:
            each.terminate()
            each.wait()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until the server says its port."""
    end = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < end:
        for line in log.read_text().splitlines():
            event = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if event.get("event") == "serving":
                return int(event["port"])
        time.sleep(0.1)
    process.kill()
    raise SystemExit(f"the server does not serve:\n{log.read_text()}")


def _stat(pid: int) -> list[str]:
    """The fields of proc(5)'s stat from the third on; none of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / TICKS if fields else 0.0


def _resident(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
