from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.metrics.inputs import Gathered
from keeper_grpc.storage.accounts.accounts import PostgresAccounts
from keeper_grpc.storage.accounts.qualification import PostgresQualification
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.metrics.inputs import PostgresMetrics
from tests.e2e.waiting import SOON
from tests.integration.audited import audited
from tests.integration.metrics.counting import Row
from tests.integration.metrics.ledger import Ledger
from tests.integration.observations import opened

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
K = 3
DIGITS = 9
"""More than the six of a product of two shares, fewer than a float holds."""
CATEGORIES = ("spa", "gym")
# Few, so that ties and windows' edges occur: at, before and after a midnight.
TIMES = [
    NOW - timedelta(days=days, seconds=seconds)
    for days in (0, 1, 6, 30)
    for seconds in (0, 12 * 3600, 12 * 3600 + 1)
]

times = st.sampled_from(TIMES)
# In thousandths, of which sums in millionths lose nothing: numbers that should be equal are, but for the
# last digits of a float, and lists of them are in one order.
shares = st.integers(0, 1_000).map(lambda thousandths: thousandths / 1_000)
money = st.integers(-1_000_000, 1_000_000).map(lambda cents: cents / 100)
accounts = st.lists(
    st.fixed_dictionaries(
        {"category": st.sampled_from(CATEGORIES), "joined": times, "registered": st.booleans()}
    ),
    min_size=1,
    max_size=4,
)
patterns = st.lists(
    st.fixed_dictionaries(
        {
            "category": st.sampled_from(CATEGORIES),
            "discovered": times,
            "validated": times,
            "accounts": st.integers(1, 4),
            "occurrences": st.integers(0, 10),
            "authored": st.booleans(),
            "words": st.sampled_from(["act", "act", ""]),
            # Whose words it may speak in, of those before it.
            "from": st.none() | st.integers(0, 3),
            "retired": st.sampled_from([False, False, True]),
        }
    ),
    min_size=1,
    max_size=6,
)
outcome = st.fixed_dictionaries(
    {
        "success": st.booleans(),
        "revenue": st.none() | money,
        "retained": st.none() | st.booleans(),
        "at": times,
    }
)
chosen = st.one_of(st.integers(0, 3), st.integers(0, 3), st.none())
ask = st.fixed_dictionaries(
    {
        "do": st.just("ask"),
        "who": st.integers(0, 3),
        "pattern": chosen,
        "held_out": st.booleans(),
        "share": st.sampled_from([0.0, 0.25, 0.5]),
        "instead": st.booleans(),
        "base": shares,
        "expected": shares,
        "deviation": st.none() | shares,
        "loss": st.just(0.0) | shares.map(lambda share: share - 0.2),
        "at": times,
        "outcome": st.one_of(outcome, outcome, st.none()),
    }
)
capture = st.fixed_dictionaries(
    {"do": st.just("capture"), "who": st.integers(0, 3), "pattern": chosen, "outcome": outcome}
)
forget = st.fixed_dictionaries({"do": st.just("forget"), "who": st.integers(0, 3)})
register = st.fixed_dictionaries(
    {"do": st.just("register"), "who": st.integers(0, 3), "joined": st.none() | times}
)
fold = st.fixed_dictionaries({"do": st.just("fold")})
roll = st.fixed_dictionaries({"do": st.just("roll"), "before": times})
qualify = st.fixed_dictionaries(
    {"do": st.just("qualify"), "who": st.integers(0, 3), "qualified": st.booleans()}
)
# Mostly questions: most of what is counted hangs on their outcomes.
steps = st.lists(
    st.one_of(ask, ask, ask, ask, capture, register, forget, fold, roll, qualify),
    min_size=10,
    max_size=40,
)


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    """The module's pool."""
    async with opened(database_url) as pool:
        yield pool


@pytest.fixture(scope="module")
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """The module's database, to be written to as the test likes."""
    connection = await asyncpg.connect(database_url)
    try:
        yield Ledger(connection)
    finally:
        await connection.close()


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # Without shrinking: an example is a hundred statements, and a failure must not become a timeout.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(accounts=accounts, patterns=patterns, steps=steps)
async def test_the_numbers_are_what_the_ledger_says(
    ledger: Ledger,
    database: Database,
    accounts: list[dict[str, Any]],
    patterns: list[dict[str, Any]],
    steps: list[dict[str, Any]],
) -> None:
    """After any history of questions, outcomes, accounts that are registered late, forgotten, or begin and cease
    to count, questions that are rolled up, and folds, counted one by one.
    """
    await ledger.clear()
    store = PostgresMetrics(database)
    await play(ledger, database, accounts, patterns, steps)
    for category in ("", *CATEGORIES):
        for days in (0, 1, 7, 365):
            start = (NOW - timedelta(days=days)).replace(hour=0)
            counted = await ledger.counted(category, start, K)
            assert same(await store.gather(category, start, K), counted), (category, days)
    assert await ledger.connection.fetchval("SELECT rebuild_measures()") == 0
    assert await ledger.connection.fetchval("SELECT rebuild_experiment()") == 0


async def play(
    ledger: Ledger,
    database: Database,
    accounts: list[dict[str, Any]],
    patterns: list[dict[str, Any]],
    steps: list[dict[str, Any]],
) -> None:
    """Write a history."""
    known: dict[int, Mapping[str, Any]] = {}
    for number, account in enumerate(accounts):
        known[number] = {"key": f"key-{number}", "category": account["category"]}
        await ledger.account(
            f"key-{number}",
            account["category"],
            account["joined"],
            registered=account["registered"],
        )
    rows = await _write_patterns(ledger, patterns)
    for step in steps:
        if await _of_nobody(ledger, database, step):
            continue
        who = known.get(step["who"] % len(accounts))
        if who is None:
            continue
        if step["do"] == "forget":
            await ledger.forget(known.pop(step["who"] % len(accounts))["key"])
            continue
        if step["do"] == "register":
            await PostgresAccounts(database).register_known(
                who["key"], step["joined"], None, audited()
            )
            continue
        if step["do"] == "qualify":
            await PostgresQualification(database).qualify(who["key"], qualified=step["qualified"])
            continue
        chosen = None if step["pattern"] is None else rows[step["pattern"] % len(rows)]
        if step["do"] == "capture":
            await ledger.observation(
                who,
                step["outcome"],
                pattern=_own(chosen, who),
                enhancement=None,
            )
            continue
        enhancement = await ledger.enhancement(who, chosen, step)
        if step["outcome"] is not None:
            await ledger.observation(
                who,
                step["outcome"],
                pattern=_own(chosen, who),
                enhancement=None if step.get("instead") else enhancement,
                instead_of=enhancement if step.get("instead") else None,
            )


async def _write_patterns(ledger: Ledger, patterns: list[dict[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    for pattern in patterns:
        before = [row["id"] for row in rows if row["category"] == pattern["category"]]
        borrows = before and pattern.get("from") is not None
        rows.append(
            {
                "category": pattern["category"],
                "id": await ledger.pattern(
                    pattern["category"],
                    pattern["discovered"],
                    pattern["validated"],
                    accounts=pattern["accounts"],
                    occurrences=pattern["occurrences"],
                    authored=pattern["authored"],
                    words=pattern.get("words", "act"),
                    worded_from=before[pattern["from"] % len(before)] if borrows else None,
                    retired=pattern.get("retired", False),
                ),
            }
        )
    return rows


async def _of_nobody(ledger: Ledger, database: Database, step: Row) -> bool:
    """Take a step that is no account's; whether it was one."""
    match step["do"]:
        case "fold":
            await PostgresMetrics(database).fold(3)
        case "roll":
            await ledger.roll_up(step["before"])
        case _:
            return False
    return True


def _own(chosen: Row | None, who: Row) -> UUID | None:
    """The pattern that counts an outcome: of the account's own line of business."""
    found: UUID | None = chosen["id"] if chosen and chosen["category"] == who["category"] else None
    return found


def same(one: object, other: object) -> bool:
    """Equal, but for the order of lists and for the last digits of floats."""
    return rounded(one) == rounded(other)


def rounded(value: object) -> object:
    """The same for what is the same."""
    if isinstance(value, float):
        return round(value, DIGITS) + 0.0  # of two zeros, the positive one
    if isinstance(value, (list, tuple)):  # all of them are sets that may hold something twice
        return sorted(map(rounded, value), key=repr)
    if is_dataclass(value) and not isinstance(value, type):
        return [rounded(getattr(value, field.name)) for field in fields(value)]
    return value


async def test_damage_is_found_and_corrected_by_a_recount(
    ledger: Ledger, database: Database
) -> None:
    """rebuild_measures says how many rows were wrong, and leaves what the ledger says."""
    await ledger.clear()
    store = PostgresMetrics(database)
    outcome = {"success": True, "revenue": 5.0, "retained": None, "at": NOW}
    step = {"do": "ask", "who": 0, "pattern": 0, "held_out": False, "base": 0.5, "expected": 0.7}
    await play(
        ledger,
        database,
        [{"category": "spa", "joined": NOW, "registered": True}],
        [
            {
                "category": "spa",
                "discovered": NOW,
                "validated": NOW,
                "accounts": 3,
                "occurrences": 3,
                "authored": False,
            }
        ],
        [step | {"deviation": 0.1, "at": NOW, "outcome": outcome}],
    )
    before = await store.gather("spa", NOW.replace(hour=0), K)
    assert before.totals.advised.trials == 1
    for damage in (
        "UPDATE measure_changes SET observations = 7",
        "UPDATE pattern_advice SET outcomes = 9",
        "UPDATE account_milestones SET first_success_time = NULL",
        "INSERT INTO waiting_outcomes VALUES (gen_random_uuid(), 1, 'key-0', 'spa')",
    ):
        await ledger.connection.execute(damage)
    assert await store.gather("spa", NOW.replace(hour=0), K) != before
    assert await ledger.connection.fetchval("SELECT rebuild_measures()") == 4
    assert await store.gather("spa", NOW.replace(hour=0), K) == before


async def test_the_version_changes_with_what_is_measured_and_not_by_itself(
    ledger: Ledger, database: Database
) -> None:
    """A stream looks at it to know whether a report could differ; looking changes nothing."""
    await ledger.clear()
    store = PostgresMetrics(database)
    who = {"key": "key-0", "category": "spa"}
    outcome = {"success": True, "revenue": None, "retained": None, "at": NOW}

    async def unchanged_by_looking() -> str:
        """The version, once nothing else of the server wrote between two looks, as autovacuum may."""
        async with asyncio.timeout(SOON):
            while True:
                version = await store.version()
                await store.gather("spa", NOW, K)
                assert await store.fold(10) == 0
                if await store.version() == version:
                    return version

    versions = [await unchanged_by_looking()]
    await ledger.account("key-0", "spa", NOW)
    versions.append(await unchanged_by_looking())
    await ledger.observation(who, outcome, pattern=None, enhancement=None)
    await store.fold(10)
    versions.append(await unchanged_by_looking())
    await ledger.forget("key-0")
    await store.fold(10)
    versions.append(await unchanged_by_looking())
    assert len(set(versions)) == 4


async def test_processes_that_fold_at_once_take_turns(ledger: Ledger, database: Database) -> None:
    """While one holds the changes, another one has nothing to do, and nothing is counted twice."""
    await ledger.clear()
    store = PostgresMetrics(database)
    await ledger.account("key-0", "spa", NOW)
    who = {"key": "key-0", "category": "spa"}
    outcome = {"success": True, "revenue": None, "retained": None, "at": NOW}
    await ledger.observation(who, outcome, pattern=None, enhancement=None)
    async with ledger.connection.transaction():
        await lock(ledger.connection, AdvisoryLock.FOLD)
        assert await store.fold(10) == 0
    assert await store.fold(10) == 1
    assert same(await store.gather("gym", NOW.replace(hour=0), K), Gathered())
    assert (await store.gather("spa", NOW.replace(hour=0), K)).totals.observations == 1


@pytest.mark.one_server("workers read the patterns, and count what they read")
async def test_a_report_counts_patterns_in_indexes(ledger: Ledger, database_url: str) -> None:
    """A row of a pattern fills a page with its vector: reading rows would cost a report a page a pattern."""
    await ledger.clear()
    for number in range(30):
        await ledger.pattern(
            "spa", NOW - timedelta(days=number), NOW, accounts=number % 6, occurrences=number
        )
    async with asyncio.timeout(SOON):
        # A transaction that is older than a row, such as autovacuum's, keeps its page from being marked.
        while not await ledger.connection.fetchval(
            "SELECT relallvisible = relpages AND relpages > 0 FROM pg_class WHERE relname = 'network_patterns'"
        ):
            await ledger.connection.execute("VACUUM ANALYZE network_patterns")
    # A new pool, which keeps no plans yet.
    async with opened(database_url) as pool, pool.transaction(read_only=True) as connection:
        # Thirty rows are read faster than an index, and what is asked here is how thirty thousand would be.
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_bitmapscan = off")
        store = PostgresMetrics(pool, Within(connection))
        assert (await store.gather("spa", NOW - timedelta(days=7), K)).patterns.published
        (scans,) = await connection.fetch(
            "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'network_patterns'"
        )
    assert tuple(scans) == (0, 0)


class Within:
    """Reads within a transaction that is open."""

    def __init__(self, connection: Connection) -> None:
        self._open = connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Its connection."""
        yield self._open

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Connection]:
        """The transaction."""
        assert read_only
        yield self._open
