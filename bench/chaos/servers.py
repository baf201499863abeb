"""The servers that are killed: each comes back on its own port, with its log in one file."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc

REPOSITORY = Path(__file__).parents[2]
START = 180.0
"""Seconds in which a server must serve, whatever else happens to the database meanwhile."""
STOP = 60.0
"""Seconds in which one that drains must be gone: its grace is ten."""

DEFECTS = frozenset(
    {
        "call_failed",
        "background_task_died",
        "places_not_loaded",
        "scope_not_followed",
        "scope_not_loaded",
    }
)
"""Events of a log that no fault may bring about."""


def environment(dsn: str, data_dir: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """What a process knows that works on the database."""
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KEEPER_", "OTEL_")) and name != "OPENAI_API_KEY"
    }
    ours = {
        "KEEPER_DATABASE_URL": dsn,
        "KEEPER_DATA_DIR": str(data_dir),
        "KEEPER_PSEUDONYM_KEYS": "chaos:" + base64.b64encode(bytes(range(32))).decode(),
        "KEEPER_EMBEDDER": "local",
        "KEEPER_OPEN_ACCOUNTS": "true",
        "KEEPER_SEED_CATALOG": "false",
        "KEEPER_LOG_FORMAT": "json",
    }
    return {**others, **ours, **settings}


class Server:
    """One server, which may be down."""

    def __init__(self, name: str, port: int, log: Path, known: Mapping[str, str]) -> None:
        self.name = name
        self.port = port
        self._log = log
        self._environment = {**known, "KEEPER_PORT": str(port)}
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0
        self.serves = False
        self.starts = 0
        self.unasked: list[str] = []
        """The times that the process ended by itself, or with an exit code that no fault explains."""

    def channel(self) -> grpc.aio.Channel:
        """A channel that comes back soon after the server does."""
        return grpc.aio.insecure_channel(
            f"127.0.0.1:{self.port}",
            options=[
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 500),
            ],
        )

    async def start(self) -> None:
        """Start it, and again where it gives up because the database was away; return when it serves."""
        async with asyncio.timeout(START):
            while not await self._started():
                pass
        self.serves = True

    async def _started(self) -> bool:
        self._log.touch()
        self._began = self._log.stat().st_size
        with self._log.open("ab") as stream:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                [sys.executable, REPOSITORY / "server.py"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        self.starts += 1
        while self._process.poll() is None:
            if any(event["event"] == "serving" for event in self._events(self._began)):
                return True
            await asyncio.sleep(0.1)
        return False

    async def kill(self) -> None:
        """Kill -9."""
        await self._end(signal.SIGKILL)

    async def drain(self) -> None:
        """Ask it to end, and wait until it has."""
        status = await self._end(signal.SIGTERM)
        if status != 0:
            self.unasked.append(f"{self.name} drained with status {status}")

    async def _end(self, number: signal.Signals) -> int:
        process = self._process
        assert process is not None  # noqa: S101 - it was started
        self.serves = False
        if process.poll() is not None:
            self.unasked.append(f"{self.name} had ended with status {process.returncode}")
            return process.returncode
        process.send_signal(number)
        try:
            return await asyncio.to_thread(process.wait, STOP)
        except subprocess.TimeoutExpired:
            self.unasked.append(f"{self.name} did not end within {STOP:g} s of {number.name}")
            process.kill()
            return process.wait()

    async def freeze(self, seconds: float) -> None:
        """Let it stand still."""
        assert self._process is not None  # noqa: S101 - it was started
        self._process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Let nothing run on."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _events(self, start: int = 0) -> Iterator[dict[str, Any]]:
        with self._log.open("rb") as log:
            log.seek(start)
            text = log.read().decode(errors="replace")
        for line in text[: text.rfind("\n") + 1].splitlines():
            if line.startswith("{"):
                yield json.loads(line)

    def told(self) -> Counter[str]:
        """How often each event was logged."""
        return Counter(event["event"] for event in self._events())

    def reads_standby(self) -> bool:
        """Whether reads of the process that runs go to the standby, as it last said."""
        moves = [
            event["event"]
            for event in self._events(self._began)
            if event["event"] in ("replica_joined", "replica_left")
        ]
        return moves[-1:] == ["replica_joined"]

    def troubles(self) -> Counter[str]:
        """The events that were logged as warnings and errors."""
        return Counter(
            event["event"]
            for event in self._events()
            if event.get("level") in ("warning", "error", "critical")
        )

    def defects(self) -> Sequence[str]:
        """What its log says that must not be there."""
        found = [
            f"{self.name}: {json.dumps(event)}"
            for event in self._events()
            if event["event"] in DEFECTS
        ]
        if "Traceback" in self._log.read_text(errors="replace"):
            found.append(f"{self.name}: a traceback in {self._log}")
        return [*found, *self.unasked]
