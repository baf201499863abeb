"""Who runs a command on this machine, as the audit log names it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from uuid import uuid4

from keeper_grpc.composition.shared import utc_now
from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.storage.accounts.audit import PostgresAudit
from keeper_grpc.storage.database import Database


def local_operator() -> str:
    """`local:` and the name of this process's user, or its number where it has no name."""
    user = os.geteuid()
    try:
        return f"local:{pwd.getpwuid(user).pw_name}"
    except KeyError:  # a container's arbitrary user
        return f"local:{user}"


async def record(pool: Database, action: str, counts: Mapping[str, int]) -> None:
    """Write to the audit log what a command of this machine's user did."""
    event = AuditEvent(uuid4(), action, counts, utc_now(), actor=local_operator())
    await PostgresAudit(pool).append(event)
