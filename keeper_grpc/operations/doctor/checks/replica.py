"""The standby that reads go to, where one is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from keeper_grpc.composition.shared import open_replica
from keeper_grpc.operations.doctor.finding import Finding, ok, problem, warning
from keeper_grpc.settings import Settings
from keeper_grpc.storage.connections.unfit import DatabaseUnfit
from keeper_grpc.storage.database import Database
from keeper_grpc.telemetry.telemetry import Telemetry

PATIENCE = 10.0
"""Seconds for it to show what the primary had written when it was asked."""

PAUSE = 0.25
"""Seconds between two looks."""


async def replica(settings: Settings, pool: Database) -> Sequence[Finding]:
    """Whether it is recent enough to be read from."""
    if settings.replica_database_url is None:
        return []
    time = asyncio.get_running_loop().time
    give_up = time() + min(PATIENCE, settings.replica_max_lag.total_seconds())
    try:
        async with open_replica(settings, pool, Telemetry()) as standby:
            await standby.look()
            while not standby.is_used and time() < give_up:
                await asyncio.sleep(PAUSE)
                await standby.look()
            if standby.is_used:
                return [ok("replica", f"it shows a state of {standby.lag:.1f} seconds ago")]
    except DatabaseUnfit as error:
        found, _, cure = str(error).partition(": ")
        return [problem("replica", found, cure or "correct KEEPER_REPLICA_DATABASE_URL")]
    return [
        warning(
            "replica",
            "it does not answer, lags, or is no standby of this primary: reads go to the primary",
            "see replica_left in the servers' logs for the reason",
        )
    ]
