from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.usecases.periodically import periodically


async def test_a_job_goes_on_after_an_outage_of_the_database() -> None:
    """Each turn that met it is a warning, and no more."""
    turns = 0
    enough = asyncio.Event()

    async def job() -> None:
        nonlocal turns
        turns += 1
        if turns == 2:
            raise StorageUnavailable("the database is away")
        if turns == 4:
            enough.set()

    with capture_logs() as logs:
        loop = asyncio.create_task(periodically(job, timedelta(0), "job_postponed"))
        async with asyncio.timeout(20):
            await enough.wait()
        loop.cancel()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("job_postponed", "warning")
    ]


async def test_a_defect_of_the_job_ends_the_loop() -> None:
    """It is not taken for an outage: the process notices that a loop of its own died."""

    async def job() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await periodically(job, timedelta(0), "job_postponed")
