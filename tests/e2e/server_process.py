"""The real server: a process of its own, with its log in a file."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from keeper_grpc.storage.embedded.orphans import cluster_name
from tests import program
from tests.e2e.waiting import until
from tests.program import REPOSITORY as REPOSITORY  # noqa: PLC0414 - tests take it from here

START = 180.0
"""Seconds until a server must serve: initdb and a model to load, on a machine that others use."""

STOP = 120.0
"""Seconds until a stopped server must be gone: the default grace is ten, and PostgreSQL's shutdown follows."""

PSEUDONYM_KEYS = "test:" + base64.b64encode(bytes(range(32))).decode()
"""What a server on an external database needs. The same for all, as in production."""


_OTHERS = {"OPENAI_API_KEY", "COLUMNS", "LINES"}
"""The size of the outer terminal, which pytest's processes inherit, is not that of a test's own."""


def environment(**settings: str) -> dict[str, str]:
    """The environment of a server that knows these settings and no others of this machine.

    Unless a setting says otherwise its network is empty: the catalog is not seeded.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KEEPER_", "OTEL_")) and name not in _OTHERS
    }
    ours = {
        "KEEPER_PORT": "0",
        "KEEPER_LOG_FORMAT": "json",
        "KEEPER_SEED_CATALOG": "false",
        "KEEPER_SCRIPT_EXPLORATION": "0",
        "KEEPER_PATTERN_EXPLORATION": "0",
    }
    return kept | ours | settings


@dataclass
class ServerProcess:
    """A started server. `port` is 0 until it serves."""

    process: subprocess.Popen[bytes] | program.Started
    log: Path
    data_dir: str
    port: int = 0
    http_port: int = 0

    @classmethod
    def launch(
        cls, log: Path, root: Path = REPOSITORY, *, loaded: bool = False, **settings: str
    ) -> ServerProcess:
        """Start the process; it does not serve yet. `root` is the checkout that it runs from.

        `loaded`: with the modules of this checkout loaded ahead, instead of by `python server.py`.
        """
        process: subprocess.Popen[bytes] | program.Started
        with log.open("ab") as stream:
            if loaded:
                process = program.start(
                    ["serve"], env=environment(**settings), stdout=stream, stderr=stream
                )
                return cls(process, log, settings["KEEPER_DATA_DIR"])
            process = subprocess.Popen(
                [sys.executable, root / "server.py"],
                env=environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        return cls(process, log, settings["KEEPER_DATA_DIR"])

    async def serving(self) -> None:
        """Wait until it serves."""

        def announced() -> dict[str, Any] | None:
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            return next(iter(self.events("serving")), None)

        event = await until(announced, within=START, what="the server serves")
        self.port = event["port"]
        self.http_port = event["http_port"] or 0

    @property
    def address(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    def channel(self) -> grpc.aio.Channel:
        """A channel that shares nothing with those of earlier servers."""
        return grpc.aio.insecure_channel(
            self.address, options=[("grpc.use_local_subchannel_pool", 1)]
        )

    def lines(self) -> list[str]:
        """The complete lines of the log."""
        text = self.log.read_text()
        return text[: text.rfind("\n") + 1].splitlines()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of this name. Start errors are plain text and left out."""
        parsed = [json.loads(line) for line in self.lines() if line.startswith("{")]
        return [event for event in parsed if event["event"] == name]

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    async def ended(self, within: float = STOP) -> int:
        """Wait until the process is gone: its exit code."""
        await until(lambda: self.process.poll() is not None, within=within, what="the server ends")
        return self.process.wait()

    async def kill(self) -> None:
        """Kill -9, at once."""
        self.send(signal.SIGKILL)
        await asyncio.to_thread(self.process.wait)


def postgres_of(data_dir: Path) -> list[int]:
    """Processes of the bundled PostgreSQL of a data directory, zombies aside."""
    pgdata = data_dir / "postgresql"
    if not pgdata.exists():
        return []
    marks = (f"cluster_name={cluster_name(pgdata)}", f"postgres: {cluster_name(pgdata)}: ")
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # it ended
            continue
        if any(mark in command for mark in marks):
            found.append(int(entry.name))
    return found


def bundled_dsn(data_dir: Path) -> str:
    """Where the bundled PostgreSQL of a running server listens."""
    return f"postgresql://keeper@/keeper?host={data_dir / 'socket'}&port=5432"
