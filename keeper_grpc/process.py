"""One serving process: start, wait for a signal, drain."""

from __future__ import annotations

import asyncio
import signal

import structlog

from keeper_grpc.app import application
from keeper_grpc.settings import Settings

log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain: not ready, streams told, calls finished, closed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with application(settings) as app:
        log.info("serving", host=settings.host, port=app.port)
        await stop.wait()
        log.info("draining", grace_seconds=settings.drain_grace.total_seconds())
    log.info("stopped")
