"""What the servers of a database do: the model, the counting of evidence, the leader, what waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from keeper_grpc.composition.shared import counting_of
from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.embedding.unusable import ModelUnusable
from keeper_grpc.models.choice import wanted_recipe
from keeper_grpc.models.make import make_bare_model
from keeper_grpc.operations.doctor.finding import Finding, ok, problem, warning
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.settings import Settings
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from keeper_grpc.storage.locks import AdvisoryLock
from keeper_grpc.storage.models.space import PostgresSpace
from keeper_grpc.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection, Database

OVERDUE = timedelta(days=1)
"""What has been due for so long is not about to go."""

MANY = 1.1
"""Times the vectors that are kept: a few more come between two looks."""

BACKLOG = timedelta(minutes=5)
"""The detector and the folding of measures look several times a minute."""


async def model(settings: Settings, pool: Database) -> Finding:
    """Whether the database's model can be made here, and answers. A remote one is asked once."""
    space = await PostgresSpace(pool).read()
    try:
        embedder = await make_bare_model(settings, wanted_recipe(settings, space), Telemetry())
    except ModelUnusable as error:
        return _unusable(error)
    try:
        # Not through the cache, which would answer for a provider that is away.
        await embedder.embed(["ready"])
    except (EmbedderUnavailable, ModelUnusable) as error:
        return _unusable(error)
    finally:
        await embedder.aclose()
    if space is not None and space.present.model != embedder.model:
        return problem(
            "model",
            f"the settings name {embedder.model}, the database's patterns belong to {space.present.model}",
            "unset KEEPER_EMBEDDER, or move the patterns: keeper reembed",
        )
    if space is not None and (space.next is not None or space.unsettled):
        return warning("model", "a move to another model is unfinished", "go on: keeper reembed")
    return ok("model", f"{embedder.model} answers")


def _unusable(error: Exception) -> Finding:
    found, _, cure = str(error).partition(": ")
    return problem("model", found, cure or "see docs/models.md")


async def evidence(settings: Settings, pool: Database) -> Finding:
    """Whether what is counted was counted with these settings."""
    counting = counting_of(settings)
    try:
        with_settings = await PostgresRebuild(pool).counted_with(counting)
    except OperatorError as error:
        return problem("evidence", str(error), "stop every server and run keeper rebuild")
    if with_settings.half_life != counting.half_life:
        return problem(
            "evidence",
            "it was counted with another KEEPER_EVIDENCE_HALF_LIFE, and no server starts",
            "set that back, or stop every server and run keeper rebuild",
        )
    return ok("evidence", "counted with these settings")


async def leader(connection: Connection) -> Finding:
    """Whether a process detects emerging patterns."""
    key = int(AdvisoryLock.LEADER)
    row = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'keeper'
                   AND pid <> pg_backend_pid()) AS sessions,
               l.pid, a.application_name AS name, coalesce(host(a.client_addr), 'this machine') AS host
          FROM (SELECT) one
          LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
               AND l.classid = $1 AND l.objid = $2
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          LEFT JOIN pg_stat_activity a ON a.pid = l.pid
        """,
        key >> 32,
        key & 0xFFFFFFFF,
    )
    assert row is not None  # noqa: S101 - one row on the left
    if row["pid"] is None:
        if row["sessions"] == 0:
            return ok("leader", "no server is connected, so none detects emerging patterns")
        return warning(
            "leader",
            "servers are connected and none detects emerging patterns",
            "wait a few seconds and look again; then see emerging_detector in their logs",
        )
    if row["name"] != "keeper":
        return problem(
            "leader",
            f"a session that is no server's holds the detector's lock (pid {row['pid']})",
            f"SELECT pg_terminate_backend({row['pid']})",
        )
    return ok("leader", f"a server at {row['host']} detects emerging patterns")


async def backlogs(connection: Connection) -> Sequence[Finding]:
    """What waits for the detector, and for the fold of the measures."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT now() - min(s.seen_time) FROM sightings s JOIN accounts a USING (account_key)
                 WHERE s.pending AND a.qualified) AS feed,
               (SELECT count(*) FROM measure_changes) AS changes
        """
    )
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    waiting = row["feed"] or timedelta(0)
    if waiting > BACKLOG:
        feed = warning(
            "feed",
            f"the oldest sighting has waited {_minutes(waiting)} for the detector",
            "without a server this is right; else see KeeperDetectorStuck in docs/operations.md",
        )
    else:
        feed = ok("feed", "no sighting waits for the detector")
    if row["changes"] > 100_000:  # noqa: PLR2004 - a fold takes all there are
        measures = warning(
            "measures",
            f"{row['changes']} changes wait to be folded into the days of the metrics",
            "without a server this is right; else see measures_not_folded in the log",
        )
    else:
        measures = ok("measures", f"{row['changes']} changes wait to be folded")
    return [feed, measures]


async def retention(connection: Connection, settings: Settings) -> Finding:
    """Whether what is old goes: the oldest of each kind against its retention."""
    # Twice the interval: a look may have begun just before something came of age.
    late = 2 * settings.maintenance_interval + OVERDUE
    row = await connection.fetchrow(
        """
        SELECT (SELECT now() - min(created_at) FROM enhancements WHERE NOT kept) AS questions,
               (SELECT now() - min(recorded_time) FROM outcome_requests) AS requests,
               (SELECT now() - min(created_at) FROM audit_events) AS audit,
               (SELECT count(*) FROM embedding_cache) AS vectors
        """
    )
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    bounds = {
        "questions": settings.enhancement_retention,
        "requests": settings.request_retention,
        "audit": settings.audit_retention,
    }
    overdue = [
        f"{kind} of {row[kind].days} days"
        for kind, bound in bounds.items()
        if row[kind] is not None and row[kind] > bound + late
    ]
    if row["vectors"] > settings.embedding_store_size * MANY:
        overdue.append(f"{row['vectors']} vectors")
    if overdue:
        return warning(
            "retention",
            f"what should have gone is there: {', '.join(overdue)}",
            "without a server this is right; else see retention_postponed in the log, and long transactions",
        )
    return ok("retention", f"nothing is overdue; {row['vectors']} vectors are kept")


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} minutes"
