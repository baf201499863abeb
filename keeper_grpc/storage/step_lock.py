"""The lock of whoever changes sightings and their clusters together."""

from __future__ import annotations

from keeper_grpc.storage.database import Connection

_LOCK = 0x6B65_6570_7374_6570
"""Advisory lock: "keepstep" in ASCII."""


async def lock_step(connection: Connection) -> None:
    """Until the transaction ends, no detector's step and no ForgetAccount is amid them but this one.

    A step goes from sightings to clusters and, where a cluster ends, back to sightings: no order of row
    locks would keep the two from waiting for each other.
    """
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
