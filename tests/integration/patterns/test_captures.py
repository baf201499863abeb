from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import numpy as np
import pytest
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.model import Emergence, Proven
from keeper_grpc.domain.errors import RequestIdReused
from keeper_grpc.domain.evidence.evidence import Share, weigh
from keeper_grpc.domain.insight import Outcome
from keeper_grpc.storage.database import Database, to_array
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.usecases.emerging.detector import DetectEmerging, DetectorTiming
from tests.integration.emerging.detecting import SCALE
from tests.integration.observations import (
    MODEL,
    RULE,
    START,
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)

ACCOUNTS = tuple(f"account-{n}" for n in range(5))

# What the ledger says about each pattern, in the words of network_patterns, and by account.
RECOUNTED = """
    SELECT pattern_id AS id, count(*)::integer AS account_count,
           min(first) AS first_discovered, max(last) AS last_validated,
           array_agg(occurrences ORDER BY account_key) AS trials,
           array_agg(successes ORDER BY account_key) AS successes
      FROM (SELECT pattern_id, account_key, count(*) AS occurrences,
                   count(*) FILTER (WHERE success) AS successes, min(occurred_time) AS first,
                   max(occurred_time) AS last
              FROM observations GROUP BY 1, 2) share
     GROUP BY 1
"""
TOTALS = """
    SELECT id, account_count, first_discovered, last_validated, occurrence_count, success_count
      FROM network_patterns
"""
SHARES = (
    """
    SELECT pattern_id, account_key, count(*), count(*) FILTER (WHERE success),
           coalesce(sum(revenue_impact), 0), count(revenue_impact) FROM observations GROUP BY 1, 2
    """,
    """
    SELECT pattern_id, account_key, occurrence_count, success_count, revenue_total, revenue_count
      FROM pattern_accounts
    """,
)
SCRIPTS = (
    """
    SELECT pattern_id, script, account_key, count(*), count(*) FILTER (WHERE success)
      FROM observations WHERE script <> '' GROUP BY 1, 2, 3
    """,
    """
    SELECT s.pattern_id, s.template, a.account_key, a.occurrence_count, a.success_count
      FROM pattern_scripts s JOIN script_accounts a ON a.scope_id = s.scope_id AND a.script_id = s.id
    """,
)


async def rows(database: Database, sql: str) -> set[tuple[object, ...]]:
    """The rows of a query."""
    async with database.connection() as connection:
        return {tuple(row) for row in await connection.fetch(sql)}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_total_is_what_the_ledger_adds_up_to(database_url: str, seed: int) -> None:
    """After a random sequence of captures, a recount of the ledger gives every stored number."""
    chance = np.random.default_rng(seed)
    async with opened(database_url) as database:
        await register(database, *ACCOUNTS)
        store, place = groups_of(database), scope(f"recount_{seed}")
        for _ in range(80):
            # Quarters add up exactly in binary, in whatever order.
            revenue = float(chance.integers(-200, 400)) / 4 if chance.random() < 0.6 else None
            await capture(
                store,
                observation(
                    place,
                    str(chance.choice(ACCOUNTS)),
                    script=str(chance.choice(["", "hello", "good day"])),
                    outcome=Outcome(success=bool(chance.random() < 0.7), revenue_impact=revenue),
                    occurred=START + timedelta(hours=int(chance.integers(0, 500))),
                ),
                vector(int(chance.integers(0, 4))),
            )

        recounted = set()
        async with database.connection() as connection:
            ledger = await connection.fetch(RECOUNTED)
        for *own, trials, successes in ledger:
            weighed = weigh(map(Share, trials, successes), RULE.k)
            recounted.add((*own, weighed.trials, weighed.successes))
        assert recounted == await rows(database, TOTALS)
        for counted, stored in (SHARES, SCRIPTS):
            assert await rows(database, counted) == await rows(database, stored)
        rates = await rows(
            database,
            """
            SELECT id FROM network_patterns WHERE occurrence_count = 0
                OR success_rate <> success_count::double precision / occurrence_count
            """,
        )
        assert not rates


async def test_groups_of_two_scopes_and_the_detector_never_lock_each_other_up(
    database_url: str,
) -> None:
    """Many captures at once, beside the detector on the same rows, all end and all count."""
    async with opened(database_url, pool_size=12) as database:
        await register(database, *ACCOUNTS)
        store = groups_of(database)
        detector = asyncio.create_task(detection(database).run())
        await asyncio.gather(
            *(
                capture(
                    store,
                    observation(scope(f"parallel_{n % 2}"), ACCOUNTS[n % 5], script=f"s{n % 3}"),
                    vector(100 + n % 6),
                )
                for n in range(120)
            )
        )
        detector.cancel()
        await asyncio.wait([detector])
        counted = await rows(
            database,
            """
            SELECT pattern_type, count(*), sum(occurrence_count)::bigint FROM network_patterns
             WHERE pattern_type LIKE 'parallel%' GROUP BY 1
            """,
        )
    # 120 captures over 6 places: the even ones are in one scope, the odd ones in the other.
    assert counted == {("parallel_0", 3, 60), ("parallel_1", 3, 60)}


def detection(database: Database) -> DetectEmerging:
    """A detector that looks as often as it can."""
    return DetectEmerging(
        store=PostgresDetection(database, MODEL),
        cluster_threshold=0.8,
        emergence=Emergence(min_accounts=3, min_similarity=0.8),
        proven=Proven(min_similarity=0.9, min_lower_bound=0.6, k=3),
        k=3,
        embedder=None,
        scale=SCALE,
        timing=DetectorTiming(window=timedelta(days=3650), poll=timedelta(milliseconds=1)),
        clock=lambda: datetime.now(UTC),
        new_id=uuid4,
    )


async def test_a_failed_capture_leaves_nothing(database_url: str) -> None:
    """An error anywhere in the transaction undoes pattern, counts, ledger and sighting."""
    async with opened(database_url) as database:
        await register(database, *ACCOUNTS)
        store, place = groups_of(database), scope("undone")
        first = observation(place, ACCOUNTS[0], script="hello")
        await capture(store, first, vector(7))
        tables = ("network_patterns", "pattern_accounts", "script_accounts", "sightings")
        before = [await rows(database, f"SELECT t::text FROM {table} t") for table in tables]  # noqa: S608 - constants

        reused = observation(place, ACCOUNTS[0], action="something else", script="good day")
        with pytest.raises(RequestIdReused):
            await capture(store, replace(reused, request_id=first.request_id), vector(8))

        assert before == [
            await rows(database, f"SELECT t::text FROM {table} t")  # noqa: S608 - constants
            for table in tables
        ]


async def centres(
    database: Database, order: Sequence[NDArray[np.float32]], name: str
) -> list[NDArray[np.float32]]:
    """Capture vectors in this order into one pattern: where its sentence and its action end up."""
    store = groups_of(database)
    (pattern_id,) = {
        await capture(store, observation(scope(name), ACCOUNTS[0]), place) for place in order
    }
    async with database.connection() as connection:
        row = await connection.fetchrow(
            """
            SELECT p.pattern_embedding, a.action_embedding
              FROM network_patterns p JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
             WHERE p.id = $1
            """,
            pattern_id,
        )
    assert row is not None
    return [to_array(column) for column in row]


async def test_a_patterns_centre_is_the_mean_direction_in_any_order(database_url: str) -> None:
    """However the same observations arrive, the pattern lies within 1e-5 of their mean direction."""
    vectors = [vector(3, noise=0.3, of=n) for n in range(4)]
    mean = np.mean([v.astype(np.float64) for v in vectors], axis=0)
    mean /= np.linalg.norm(mean)
    async with opened(database_url) as database:
        await register(database, *ACCOUNTS)
        for n, order in enumerate(itertools.permutations(vectors)):
            for centre in await centres(database, order, f"order_{n}"):
                assert np.abs(centre - mean).max() < 1e-5
                assert abs(float(np.linalg.norm(centre)) - 1) < 1e-5


async def test_a_ledger_entry_cannot_lose_its_pattern(database_url: str) -> None:
    """The database itself refuses to delete a pattern that observations speak of."""
    async with opened(database_url) as database:
        await register(database, *ACCOUNTS)
        kept = await capture(
            groups_of(database), observation(scope("kept"), ACCOUNTS[0]), vector(9)
        )
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with database.connection() as connection:
                await connection.execute("DELETE FROM network_patterns WHERE id = $1", kept)
