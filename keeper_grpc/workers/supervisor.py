"""The parent: holds the port and the bundled database, keeps the workers running, drains them all.

A worker is a fresh interpreter, because gRPC's threads do not survive a fork. It ends when its standard input does,
so that none outlives a parent that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import structlog

from keeper_grpc.composition.shared import database
from keeper_grpc.hangup import on_hangup
from keeper_grpc.listening import warn_of_shared_ipv6
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.settings import Settings
from keeper_grpc.workers.place import Worker
from keeper_grpc.workers.port import held_port

log = structlog.get_logger()

FIRST_PAUSE: Final = 0.5
"""Seconds before a worker that died is started again; twice as many after each further death in a row."""
LONGEST_PAUSE: Final = 10.0
SOUND_AFTER: Final = 60.0
"""Seconds after which a worker that dies is the first one to die again."""
MOST_DEATHS: Final = 5
"""Deaths of one worker in a row at which the parent gives up: starting it again does not help."""
LAST_WAIT: Final = 30.0
"""Seconds beyond the grace of the drain, in which a worker closes what it has, before it is killed."""


class WorkerLost(OperatorError):
    """A worker does not start, or dies again and again. Its own lines stand above."""


class Supervisor:
    """Runs the workers of one server."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self._settings = settings
        self._workers = workers
        self._stop = asyncio.Event()
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._served: dict[int, asyncio.Event] = {}

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain every worker.

        Raises WorkerLost, PortUnusable, and what stops the start of a database.
        """
        loop = asyncio.get_running_loop()
        starting = asyncio.current_task()

        def stop_now() -> None:
            self._stop.set()
            # A start may wait half a minute for a database.
            if starting is not None:
                starting.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop_now)
        on_hangup(loop, self._reload_all)
        try:
            async with AsyncExitStack() as stack:
                port = stack.enter_context(held_port(self._settings.host, self._settings.port))
                http = self._settings.http_address
                http_port = (
                    stack.enter_context(held_port(*http, "KEEPER_HTTP_ADDRESS")) if http else None
                )
                warn_of_shared_ipv6(self._settings.host)
                admin = self._settings.admin_address
                admin_port = (
                    stack.enter_context(held_port(*admin, "KEEPER_ADMIN_ADDRESS"))
                    if admin
                    else None
                )
                dsn = await stack.enter_async_context(database(self._settings))
                starting = None
                if not self._stop.is_set():
                    ours = dsn if self._settings.database_url is None else None
                    places = [
                        Worker(number, port, ours, http_port, admin_port)
                        for number in range(1, self._workers + 1)
                    ]
                    await self._keep_all(places)
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
        log.info("stopped")

    async def _keep_all(self, places: Sequence[Worker]) -> None:
        """Keep every worker until the stop, or until one is lost; then end them all."""
        stopped = asyncio.create_task(self._stop.wait())
        tasks: list[asyncio.Task[Any]] = [stopped]
        try:
            # The first one alone makes the key, seeds the catalog and embeds it; the others find it done.
            for together in (places[:1], places[1:]):
                for place in together:
                    self._served[place.number] = asyncio.Event()
                    tasks.append(asyncio.create_task(self._keep(place)))
                if not await self._all_served(tasks):
                    break
            else:
                log.info(
                    "serving",
                    host=self._settings.host,
                    port=places[0].port,
                    http_port=places[0].http_port,
                    admin_port=places[0].admin_port,
                    workers=self._workers,
                )
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            log.info("draining", grace_seconds=self._settings.drain_grace.total_seconds())
        finally:
            self._stop.set()
            await self._end_all()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _all_served(self, tasks: Sequence[asyncio.Task[Any]]) -> bool:
        """Wait for the workers that were begun: whether all of them served before anything ended."""
        waiting = asyncio.gather(*(served.wait() for served in self._served.values()))
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return not any(task.done() for task in tasks)

    async def _keep(self, worker: Worker) -> None:
        """Start the worker again whenever it ends. Raises WorkerLost."""
        deaths = 0
        while not self._stop.is_set():
            began = time.monotonic()
            served, status = await self._run(worker)
            if self._stop.is_set():
                return
            deaths = 1 if time.monotonic() - began > SOUND_AFTER else deaths + 1
            if not (served or self._served[worker.number].is_set()):
                raise WorkerLost(f"worker {worker.number} does not start: it ended with {status}")
            if deaths >= MOST_DEATHS:
                raise WorkerLost(
                    f"worker {worker.number} died {deaths} times in a row, the last time with {status}"
                )
            pause = min(FIRST_PAUSE * 2 ** (deaths - 1), LONGEST_PAUSE)
            log.error("worker_died", worker=worker.number, status=status, again_in_seconds=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)

    async def _run(self, worker: Worker) -> tuple[bool, int]:
        """Start the worker and wait for its end: whether it served, and its exit status."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "keeper_grpc.workers.worker",
            worker.to_json(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C at a terminal is for the parent, which tells the workers.
            process_group=0,
        )
        self._running[worker.number] = process
        if self._stop.is_set():
            process.terminate()
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        line = await process.stdout.readline()
        if line:
            self._served[worker.number].set()
        status = await process.wait()
        del self._running[worker.number]
        return bool(line), status

    def _reload_all(self) -> None:
        """Let every worker read certificates and identities again."""
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGHUP)

    async def _end_all(self) -> None:
        """Tell every worker to drain, and kill those that do not end."""
        ending = list(self._running.values())
        for process in ending:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        waiting = [asyncio.create_task(process.wait()) for process in ending]
        if waiting:
            drain = self._settings.drain_delay + self._settings.drain_grace
            await asyncio.wait(waiting, timeout=drain.total_seconds() + LAST_WAIT)
        for process in ending:
            if process.returncode is None:
                log.error("worker_killed", pid=process.pid)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


async def supervise(settings: Settings, workers: int) -> None:
    """Serve with so many workers until a signal; see Supervisor.run."""
    await Supervisor(settings, workers).run()
