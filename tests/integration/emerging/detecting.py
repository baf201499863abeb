"""Sightings, a detector that is run step by step, and the events that it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from keeper_grpc.domain.accounts.forgetting import Forgotten, Tombstone
from keeper_grpc.domain.emerging.model import Emergence, EmergingPattern, Family, Proven
from keeper_grpc.domain.emerging.novelty import Known, NoveltyScale
from keeper_grpc.domain.patterns.group import Seen
from keeper_grpc.embedding.local import THRESHOLDS
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.storage.emerging.detection_step import PostgresDetectionStep
from keeper_grpc.storage.emerging.rows import COLUMNS, from_json, from_row
from keeper_grpc.storage.emerging.sightings import write_sightings
from keeper_grpc.usecases.emerging.detector import (
    DetectEmerging,
    DetectorTiming,
)
from keeper_grpc.usecases.emerging.ports import Leadership
from keeper_grpc.usecases.ports import Embeds
from tests.integration.audited import audited
from tests.integration.observations import (
    MODEL,
    capture,
    groups_of,
    observation,
    register,
    scope,
    vector,
)

THRESHOLD = 0.8
SCALE = NoveltyScale.of(THRESHOLDS)


async def sight(database: Database, pattern_type: str, accounts: int) -> None:
    """So many accounts see the same."""
    names = [f"{pattern_type}-{n}" for n in range(accounts)]
    await register(database, *names)
    for name in names:
        await capture(groups_of(database), observation(scope(pattern_type), name), vector(1))


def detector(
    store: PostgresDetection,
    full_pass: timedelta = timedelta(days=1),
    k: int = 3,
    sweep: timedelta = timedelta(seconds=5),
    embedder: Embeds | None = None,
) -> DetectEmerging:
    """A detector that is stepped by the test."""
    return DetectEmerging(
        store=store,
        cluster_threshold=THRESHOLD,
        emergence=Emergence(min_accounts=3, min_similarity=THRESHOLD),
        proven=Proven(min_similarity=0.95, min_lower_bound=0.99, k=3),
        k=k,
        embedder=embedder,
        scale=SCALE,
        timing=DetectorTiming(full_pass=full_pass, sweep=sweep),
        clock=lambda: datetime.now(UTC),
        new_id=uuid4,
    )


async def ask(
    database: Database,
    pattern_type: str,
    account: str,
    place: NDArray[np.float32],
    *,
    value: float = 10.0,
    action: str = "offer a package",
    later: timedelta = timedelta(0),
) -> None:
    """An account sees something, so much later than now. The action makes the sentence."""
    seen = observation(scope(pattern_type), account, action=action)
    async with database.transaction() as connection:
        await write_sightings(
            connection,
            [
                Seen(
                    account,
                    replace(seen.insight, potential_value=value),
                    MODEL,
                    place,
                    datetime.now(UTC) + later,
                )
            ],
        )


async def steps(use_case: DetectEmerging, leadership: Leadership) -> None:
    """Step until nothing is new."""
    while await use_case.step(leadership):
        pass


async def shown(database: Database, pattern_type: str) -> list[EmergingPattern]:
    """The clusters of a type that subscribers see, largest first."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            f"SELECT {COLUMNS} FROM emerging_patterns WHERE pattern_type = $1"  # noqa: S608 - a constant
            " AND state = 'emerging' ORDER BY sighting_count DESC",
            pattern_type,
        )
    return [from_row(row) for row in rows]


async def changes(database: Database, pattern_type: str) -> list[tuple[str, UUID]]:
    """The events of a type, in order."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT change, emerging_pattern_id FROM emerging_events"
            " WHERE state->>'pattern_type' = $1 ORDER BY sequence",
            pattern_type,
        )
    return [(row["change"], row["emerging_pattern_id"]) for row in rows]


async def told(database: Database, pattern_type: str) -> list[EmergingPattern]:
    """The descriptions that went with these changes."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT state FROM emerging_events WHERE state->>'pattern_type' = $1 ORDER BY sequence",
            pattern_type,
        )
    return [from_json(row["state"]) for row in rows]


async def forget(database: Database, *accounts: str) -> None:
    """What ForgetAccount does to an account that only asked."""
    for account in accounts:
        await PostgresForgetting(database).end_forgetting(
            account,
            Forgotten(),
            audited("forget_account"),
            Tombstone(account, datetime.now(UTC)),
        )


async def led(database: Database, model: str = MODEL, k: int = 3) -> None:
    """A new leader restores, and steps until nothing is new."""
    store = PostgresDetection(database, model)
    async with store.lead() as leadership:
        assert leadership is not None
        use_case = detector(store, k=k)
        await use_case.restore(leadership)
        await steps(use_case, leadership)


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[set[UUID]]:
    """The clusters that are compared with patterns from now on, step by step."""
    compared: list[set[UUID]] = []
    known = PostgresDetectionStep.known

    async def record(
        self: PostgresDetectionStep,
        centres: Mapping[UUID, tuple[Family, NDArray[np.float32]]],
        actions: Mapping[UUID, NDArray[np.float32]],
        proven: Proven,
        first_seen: Mapping[UUID, datetime],
    ) -> Mapping[UUID, Known]:
        compared.append(set(centres))
        return await known(self, centres, actions, proven, first_seen)

    monkeypatch.setattr(PostgresDetectionStep, "known", record)
    return compared
