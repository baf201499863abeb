"""What this machine shows without a database: the program, its settings, where it listens, its server, its disk."""

from __future__ import annotations

import asyncio
import platform
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from keeper_grpc.client.credentials import Credentials
from keeper_grpc.composition.guarded_access import GuardedAccess
from keeper_grpc.health import own_address
from keeper_grpc.listening import authenticates, is_loopback
from keeper_grpc.operations.doctor.finding import Finding, ok, problem, unknown, warning
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.own_tls import way_to_own_server
from keeper_grpc.settings import Settings
from keeper_grpc.storage.schema.migrate import packaged_migrations
from keeper_grpc.version import version

HEALTH_TIMEOUT = 5.0
"""Seconds for the server on this machine to answer."""

RENEWED_BY = timedelta(days=14)
"""Before its end a certificate should have been exchanged."""

LITTLE_SPACE, NO_SPACE = 2 * 2**30, 256 * 2**20
"""Bytes that are free: below the first PostgreSQL may not finish a large vacuum, below the second it soon stops."""

LITTLE_SHARE = 0.05
"""A disk that is this empty is watched, however large it is."""


def program() -> Finding:
    """Which program this is."""
    return ok(
        "program",
        f"keeper {version()}, Python {platform.python_version()}, schema {packaged_migrations()[-1].name}",
    )


def settings_found() -> Sequence[Finding]:
    """Variables that look like settings and are none."""
    strays = Settings.unknown()
    if not strays:
        return [ok("settings", "every KEEPER_ variable is a setting, and valid")]
    return [
        warning("settings", f"{stray.name} is no setting", "correct or remove it: " + str(stray))
        for stray in strays
    ]


def listening(settings: Settings) -> Finding:
    """Whether who may not be trusted can reach the port, and until when the certificate holds."""
    try:
        expires = GuardedAccess(settings).certificate_expires
    except OperatorError as error:
        return problem("address", str(error), "correct the setting, or the file that it names")
    if expires is not None and expires - datetime.now(UTC) < RENEWED_BY:
        return warning(
            "address",
            f"the certificate of {settings.address} expires on {expires:%Y-%m-%d}",
            "renew it, and put the new files in its place: the server follows them",
        )
    if is_loopback(settings.host):
        return ok("address", f"listens on {settings.address}, which only this machine reaches")
    if not authenticates(settings):
        return warning(
            "address",
            f"listens on {settings.address} without authentication: whoever reaches it may read, write and administer",
            "set KEEPER_IDENTITIES_FILE or KEEPER_JWT_KEYS (docs/security.md), KEEPER_HOST to a loopback address, or "
            "let nothing but the trusted network reach the port",
        )
    if expires is None:
        return warning(
            "address",
            f"listens on {settings.address} without TLS: tokens can be read on the way",
            "set KEEPER_TLS_CERTIFICATE and KEEPER_TLS_KEY, or see to it that a proxy or a mesh encrypts",
        )
    return ok(
        "address",
        f"listens on {settings.address} with TLS until {expires:%Y-%m-%d}, and asks who calls",
    )


async def server(settings: Settings) -> Finding:
    """Whether the server of these settings serves."""
    address = own_address(settings)
    way = way_to_own_server(settings, Credentials(), address)
    async with (
        grpc.aio.insecure_channel(address, options=way.options)
        if way.credentials is None
        else grpc.aio.secure_channel(address, way.credentials, options=way.options)
    ) as channel:
        try:
            answer = await HealthStub(channel).Check(  # type: ignore[attr-defined]  # its stubs forgot it
                health_pb2.HealthCheckRequest(), timeout=HEALTH_TIMEOUT
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return warning("server", f"nothing answers on {address}", "start it: keeper serve")
            return problem(
                "server",
                f"{address} answers {error.code().name}",
                "see whether another program has the port, and the server's log",
            )
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ok("server", f"{address} serves")
    return problem(
        "server",
        f"{address} runs and does not serve",
        "its database does not answer or takes no writes: see the findings about it",
    )


async def disk(settings: Settings) -> Finding:
    """Room for the bundled database, or for what is beside an external one."""
    there = next(step for step in (settings.data_dir, *settings.data_dir.parents) if step.exists())
    try:
        usage = await asyncio.to_thread(shutil.disk_usage, there)
    except OSError as error:
        return unknown("disk", f"{there}: {error.strerror}")
    return judged_disk(there, usage.free, usage.total)


def judged_disk(directory: Path, free: int, total: int) -> Finding:
    """What so many free bytes mean."""
    found = f"{directory} has {free / 2**30:.1f} of {total / 2**30:.1f} GB free"
    cure = "make room or enlarge it; KEEPER_*_RETENTION decides what is kept"
    if free < NO_SPACE:
        return problem("disk", found, cure)
    if free < LITTLE_SPACE or free < LITTLE_SHARE * total:
        return warning("disk", found, cure)
    return ok("disk", found)
