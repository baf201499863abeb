"""Looks at everything, each for itself: what cannot be looked at is said, and the rest is looked at all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import TypeAlias

import asyncpg

from keeper_grpc.composition.shared import open_pool
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.operations.doctor.checks import database, keys, network, process
from keeper_grpc.operations.doctor.checks.replica import replica
from keeper_grpc.operations.doctor.finding import Finding, Verdict, problem, unknown
from keeper_grpc.operations.existing_database import NoDatabase, existing_database
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.settings import Settings
from keeper_grpc.storage.schema.preflight import connect

CHECK_TIMEOUT = 30.0
"""Seconds for one check: a local model is loaded in a few."""

STATEMENT_TIMEOUT = 5_000
"""Milliseconds for one statement on a database that may be overloaded."""

Check: TypeAlias = Awaitable[Finding | Sequence[Finding]]

_NEED_A_DATABASE = (
    "schema", "rights", "connections", "clock", "replicas", "leader", "feed", "measures", "retention", "evidence", "model",
)  # fmt: skip


async def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which causes come before what they cause. Raises nothing of the database's."""
    findings = [
        process.program(),
        *process.settings_found(),
        process.listening(settings),
        keys.keys_at_hand(settings),
        await process.disk(settings),
    ]
    async with AsyncExitStack() as stack:
        try:
            dsn = await stack.enter_async_context(existing_database(settings))
            connection = await connect(dsn)
        except OperatorError as error:
            findings += _without_database(error)
        else:
            stack.push_async_callback(connection.close)
            await connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT}")
            findings += await _all_of_the_database(settings, dsn, connection)
    findings.append(await process.server(settings))
    return findings


def worst(findings: Iterable[Finding]) -> Verdict:
    """A problem if there is one, else a warning if there is one."""
    verdicts = {finding.verdict for finding in findings}
    return next(
        (v for v in (Verdict.PROBLEM, Verdict.WARNING, Verdict.UNKNOWN) if v in verdicts),
        Verdict.OK,
    )


async def _all_of_the_database(
    settings: Settings, dsn: str, connection: asyncpg.Connection[asyncpg.Record]
) -> list[Finding]:
    of_server: list[tuple[str, Callable[[], Check]]] = [
        ("database", lambda: database.versions(connection)),
        ("schema", lambda: database.schema(dsn)),
        ("move", lambda: database.moves(connection)),
        ("rights", lambda: database.rights(connection)),
        ("connections", lambda: database.connections(connection, settings)),
        ("clock", lambda: database.clock(connection)),
        ("replicas", lambda: database.replicas(connection)),
        ("leader", lambda: network.leader(connection)),
        ("feed", lambda: network.backlogs(connection)),
        ("retention", lambda: network.retention(connection, settings)),
    ]
    findings = [found for name, check in of_server for found in await _looked_at(name, check)]
    if any(found.check == "schema" and found.verdict is not Verdict.OK for found in findings):
        why = "looked at once the schema is this program's"
        return [*findings, *(unknown(name, why) for name in ("keys", "evidence", "model"))]
    try:
        async with open_pool(settings, dsn=dsn) as pool:
            of_network: list[tuple[str, Callable[[], Check]]] = [
                ("keys", lambda: keys.keys_agree(settings, pool)),
                ("keys", lambda: keys.keys_carried(settings, pool)),
                ("replica", lambda: replica(settings, pool)),
                ("evidence", lambda: network.evidence(settings, pool)),
                ("model", lambda: network.model(settings, pool)),
            ]
            for name, check in of_network:
                findings += await _looked_at(name, check)
    except (asyncpg.PostgresError, OSError, ValueError) as error:
        findings.append(
            problem(
                "connections", f"no pool can be opened: {_kind(error)}", "see the findings above"
            )
        )
    return findings


async def _looked_at(name: str, check: Callable[[], Check]) -> Sequence[Finding]:
    """What a check found, or why it could not look."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            found = await check()
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        return [unknown(name, "the database's schema is an older one")]
    except asyncpg.InsufficientPrivilegeError as error:
        return [unknown(name, f"this role may not look: {error}")]
    except TimeoutError:
        return [unknown(name, f"no answer within {CHECK_TIMEOUT:g} seconds")]
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, StorageUnavailable) as error:
        return [unknown(name, f"the database did not answer: {_kind(error)}")]
    except OperatorError as error:
        return [problem(name, str(error), "see docs/operations.md")]
    return [found] if isinstance(found, Finding) else found


def _without_database(error: OperatorError) -> list[Finding]:
    line = str(error).splitlines()[0]
    if isinstance(error, NoDatabase):
        found, _, cure = line.partition(": ")
    else:
        found, _, cure = line.rpartition("; ")
    why = "not looked at: there is no database to ask"
    return [
        problem("database", found or line, cure if found else "see docs/operations.md"),
        *(unknown(name, why) for name in _NEED_A_DATABASE),
    ]


def _kind(error: BaseException) -> str:
    """Its class and SQLSTATE: a message of the driver's may quote values."""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__}{f' {state}' if state else ''}"
