"""The real server, started the way an operator starts it: as a process with an environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc

from keeper_grpc.client.channel import open_channel
from keeper_grpc.demo.failure import DemoFailed

T = TypeVar("T")

_START = 120.0
"""Seconds for a server to serve. It takes two to five: imports, initdb, migrations, the model."""

_SEED = 180.0
"""Seconds for the catalog: a first start as above, and fifteen embeddings."""

_DRAIN = 60.0
"""Seconds from SIGTERM to the end: the server's own grace is ten, PostgreSQL's shutdown follows."""

_POLL = 0.05
"""Seconds between reads of the log."""

_TAIL = 15
"""Lines of the log that a failure shows."""

# A fresh interpreter: nothing may be forked once grpc is loaded.
_KEEPER = (sys.executable, "-m", "keeper_grpc.cli")


class ServerProcess:
    """A running `keeper serve`. `port` is where it listens, `metrics_port` where it exports, if it does."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        log: Path,
        port: int,
        metrics_port: int | None = None,
    ) -> None:
        self._process = process
        self._log = log
        self.port = port
        self.metrics_port = metrics_port

    @property
    def seeded(self) -> int:
        """How many patterns of the catalog the server added at its start."""
        events = (line for line in _lines(self._log) if line.get("event") == "catalog_seeded")
        return sum(int(line["added"]) for line in events)

    def channel(self) -> grpc.aio.Channel:
        """A channel to it, past any proxy that the environment names."""
        return open_channel(f"127.0.0.1:{self.port}", None, ())

    async def drain(self) -> None:
        """Send SIGTERM and see the server out. Raises DemoFailed unless it drains and exits 0."""
        self._process.terminate()
        try:
            async with asyncio.timeout(_DRAIN):
                code = await self._process.wait()
        except TimeoutError:
            raise DemoFailed(f"the server did not stop within {_DRAIN:g} s of SIGTERM") from None
        if code != 0:
            raise DemoFailed(f"the server exited with {code} after SIGTERM\n{_tail(self._log)}")
        events = {line.get("event") for line in _lines(self._log)}
        for event in ("draining", "stopped"):
            if event not in events:
                raise DemoFailed(f"the server exited without the log line {event!r}")


@asynccontextmanager
async def dashboard(
    server: ServerProcess, environment: Mapping[str, str], log: Path, true_uplift: float
) -> AsyncIterator[str]:
    """Show the server on a web page, beside what is true of it: its address. Raises DemoFailed."""
    metrics = f"http://127.0.0.1:{server.metrics_port}/metrics"
    process = await _start(
        "dashboard",
        environment,
        log,
        "--target",
        f"127.0.0.1:{server.port}",
        "--port=0",
        f"--true-uplift={true_uplift}",
        # The demo's accounts are invented, its server asks nobody who calls, and both end with it.
        "--currency=USD",
        "--operate-without-token",
        *(["--metrics", metrics] if server.metrics_port else []),
    )
    try:
        yield await _address(process, log)
    finally:
        await _end(process)


@asynccontextmanager
async def serving(environment: Mapping[str, str], log: Path) -> AsyncIterator[ServerProcess]:
    """Start a server that logs to `log`. It is gone at the end of the block, drained or not.

    Raises DemoFailed when it does not serve in time, with its last lines.
    """
    process = await _start("serve", environment, log)
    try:
        announced = await _announced(process, log)
        yield ServerProcess(process, log, announced["port"], announced["metrics_port"])
    finally:
        await _end(process)


async def _start(
    command: str,
    environment: Mapping[str, str],
    log: Path,
    *arguments: str,
) -> asyncio.subprocess.Process:
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            *_KEEPER,
            command,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            # Ctrl-C is for the demo, which then stops the server in its own order.
            start_new_session=True,
        )


async def _announced(process: asyncio.subprocess.Process, log: Path) -> dict[str, Any]:
    """The log line "serving", which has the ports."""

    def announced() -> dict[str, Any] | None:
        return next((line for line in _lines(log) if line.get("event") == "serving"), None)

    return await _announcement("the server", announced, process, log)


async def _address(process: asyncio.subprocess.Process, log: Path) -> str:
    """The address in the line that the dashboard prints."""

    def announced() -> str | None:
        said = re.search(r"^dashboard on (http://\S+)", _text(log), re.MULTILINE)
        return said[1] if said else None

    return await _announcement("the dashboard", announced, process, log)


async def _announcement(
    who: str, announced: Callable[[], T | None], process: asyncio.subprocess.Process, log: Path
) -> T:
    """Wait for a value from the process's log: its address once it serves."""
    try:
        async with asyncio.timeout(_START):
            while process.returncode is None:
                if (said := announced()) is not None:
                    return said
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise DemoFailed(f"{who} did not serve within {_START:g} s\n{_tail(log)}") from None
    raise DemoFailed(f"{who} exited with {process.returncode}\n{_tail(log)}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop a process that may have ended: politely, so that its PostgreSQL is shut down too."""
    if process.returncode is not None:
        return
    for stop in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(stop)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN):
                await process.wait()
                return


def _lines(log: Path) -> list[dict[str, Any]]:
    """The log's JSON lines; what is not JSON (a traceback, half a line) is left out."""
    found = []
    for line in _text(log).splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                found.append(entry)
    return found


def _tail(log: Path) -> str:
    return "\n".join(_text(log).splitlines()[-_TAIL:])


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
