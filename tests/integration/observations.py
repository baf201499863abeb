"""Observations to capture at the level of storage, with vectors at chosen places."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.accounts.account import NewAccount
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight, JsonValue, Outcome
from keeper_grpc.domain.observation import Disposition, Observation, Vectors
from keeper_grpc.domain.patterns.group import GroupWrites, Seen
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.embedding.embedder import DIMENSIONS
from keeper_grpc.storage.accounts.accounts import PostgresAccounts
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.patterns.groups import PostgresGroups
from tests.e2e.waiting import SOON

MODEL = "model-of-a-test"

NEAR = 0.9
"""Similarity from which `capture` merges. Vectors of one seed are at 1, of two seeds about at 0."""

START = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def opened(
    dsn: str, *, pool_size: int = 8, acquire_timeout: float = SOON
) -> AsyncIterator[Database]:
    """A pool on a migrated database."""
    database = await Database.open(
        dsn, pool_size=pool_size, acquire_timeout=acquire_timeout, statement_timeout=SOON
    )
    try:
        yield database
    finally:
        await database.close()


RULE = PublicationRule(3)
COUNTING = Counting(RULE, timedelta(days=10_000))
"""Evidence that never ages."""


def groups_of(database: Database) -> PostgresGroups:
    """The store under test, with evidence that never ages."""
    return PostgresGroups(database, COUNTING)


def scope(pattern_type: str) -> Scope:
    """A spa's scope."""
    return Scope(pattern_type, "spa", MODEL)


def vector(seed: int, *, noise: float = 0.0, of: int = 0) -> NDArray[np.float32]:
    """A unit vector: the direction of `seed`, turned by `noise` in one of many directions."""
    direction = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    aside = np.random.default_rng((seed, of)).standard_normal(DIMENSIONS)
    turned = direction / np.linalg.norm(direction) + noise * aside / np.linalg.norm(aside)
    unit: NDArray[np.float32] = (turned / np.linalg.norm(turned)).astype(np.float32)
    return unit


def observation(
    place: Scope,
    account: str,
    *,
    action: str = "offer a package",
    script: str = "",
    outcome: Outcome | None = None,
    occurred: datetime = START,
    conditions: Mapping[str, JsonValue] | None = None,
) -> Observation:
    """An observation that is not yet of any pattern, under a request_id of its own."""
    return Observation(
        observation_id=uuid4(),
        account_key=account,
        request_id=uuid4(),
        fingerprint=b"fingerprint",
        scope=place,
        insight=AnonymizedInsight(
            type=place.pattern_type,
            business_category=place.business_category,
            conditions={"day_of_week": "Monday"} if conditions is None else conditions,
            action=action,
            script=script,
            confidence=0.5,
            dollar_value=0.0,
            potential_value=10.0,
        ),
        report=AnonymizationReport(),
        outcome=outcome or Outcome(success=True),
        disposition=Disposition.CREATED,
        pattern_id=None,
        similarity=0.0,
        occurred_time=occurred,
        recorded_time=occurred,
    )


async def register(database: Database, *accounts: str) -> None:
    """Make the accounts known, as every use case does before it writes."""
    for account in accounts:
        await PostgresAccounts(database).add_account(
            NewAccount(account, "spa", START, START, registered=True, qualified=True), []
        )


async def capture(store: PostgresGroups, seen: Observation, place: NDArray[np.float32]) -> UUID:
    """The steps of a capture, in the use case's order: the pattern that took the observation."""
    vectors = Vectors(place, place)
    async with store.group() as transaction:
        await transaction.enter([seen.scope])
        places = (await transaction.places({seen.scope: [vectors]}))[seen.scope]
        neighbours = places.near(vectors)
        merges = bool(neighbours) and neighbours[0].similarity >= NEAR
        pattern_id = neighbours[0].pattern_id if merges else uuid4()
        key = PatternKey(seen.scope.scope_id, pattern_id)
        told = replace(
            seen,
            pattern_id=pattern_id,
            disposition=Disposition.MERGED if merges else Disposition.CREATED,
        )
        if merges:
            places.know(await transaction.positions([key]))
            places.join(neighbours[0], vectors)
        else:
            places.begin(pattern_id, told.insight.action, vectors)
        writes = GroupWrites(
            [told],
            {} if merges else {pattern_id: told},
            {key: {**places.created, **places.moved}[pattern_id]},
            seen=[Seen(told.account_key, told.insight, MODEL, place, told.occurred_time)],
        )
        await transaction.count(writes)
        await transaction.write(writes)
    return pattern_id
