"""Runs a background job for ever, with a pause after each run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NoReturn

import structlog

from keeper_grpc.domain.errors import StorageUnavailable

log = structlog.get_logger()


async def periodically(
    job: Callable[[], Awaitable[object]], interval: timedelta, warning: str
) -> NoReturn:
    """Run `job`, wait for `interval`, and repeat. Raises what `job` raises, except StorageUnavailable:
    that is logged as `warning`, and the job runs again after `interval`. It must be one that may be late.
    """
    while True:
        try:
            await job()
        except StorageUnavailable:
            log.warning(warning)
        await asyncio.sleep(interval.total_seconds())
