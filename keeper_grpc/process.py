"""One serving process: start, wait for a signal, drain."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable

import structlog

from keeper_grpc.app import App, application
from keeper_grpc.hangup import on_hangup
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.settings import Settings
from keeper_grpc.workers.place import Worker

log = structlog.get_logger()


COLLECTED_AFTER = (2_000, 20, 25)
"""The garbage collector's thresholds, 700, 10 and 10 by default. What is kept of patterns and questions grows in the first
minutes of load, and each growth by a quarter was a full collection. Calls leave hardly any cycles behind."""


class ServiceFailed(OperatorError):
    """A part of the service died. The process supervisor should restart the process."""


async def serve(settings: Settings, worker: Worker | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then drain: not ready, streams ended, calls finished, closed.

    A `worker` also drains when its standard input ends, which its parent holds, and writes a line to its standard
    output once it serves. At SIGHUP certificates and identities are read again.

    Raises ServiceFailed, after the same drain, when a part of the service died.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    starting = asyncio.current_task()

    def stop_now() -> None:
        stop.set()
        # A start may wait half a minute for a database; a signal ends it at once.
        if starting is not None:
            starting.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_now)
    if worker is not None:
        _when_orphaned(loop, stop_now)
    try:
        async with application(settings, worker=worker) as app:
            starting = None
            # The objects of the start (150,000: word lists, models, modules) stay until the end. A
            # full collection would look through all of it each time, for 110 ms in which nothing is
            # served (docs/streams.md).
            gc.collect()
            gc.freeze()
            gc.set_threshold(*COLLECTED_AFTER)
            on_hangup(loop, app.reload)
            _announce(app, settings, worker)
            failed = asyncio.create_task(app.failed.wait())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait((failed, stopped), return_when=asyncio.FIRST_COMPLETED)
            for waiting in (failed, stopped):
                waiting.cancel()
            log.info("draining", grace_seconds=settings.drain_grace.total_seconds())
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    log.info("stopped")
    if not stop.is_set():
        raise ServiceFailed("a part of the service died: see background_task_died in the log")


def _announce(app: App, settings: Settings, worker: Worker | None) -> None:
    log.info(
        "worker_serving" if worker else "serving",
        host=settings.host,
        port=app.port,
        admin_port=None if app.admin_port == app.port else app.admin_port,
        pid=os.getpid(),
        metrics_port=app.metrics_port,
        http_port=app.http_port,
        embedding_model=app.embedding_model,
    )
    if worker is not None:
        print("serving", flush=True)  # noqa: T201 - what the parent waits for


def _when_orphaned(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Call `stop` when the parent has ended, which holds the other end of standard input."""
    parent = sys.stdin.fileno()

    def ended() -> None:
        loop.remove_reader(parent)  # which stays readable
        stop()

    loop.add_reader(parent, ended)
