from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest

from keeper_grpc.domain.errors import (
    AccountBeingForgotten,
    EnhancementNotFound,
    KeeperError,
    RequestIdReused,
)
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.evidence.recounting import in_parts
from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight, Outcome, UnknownWord
from keeper_grpc.domain.observation import Disposition, Vectors
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.storage.advice.published.versions import scope_versions
from keeper_grpc.storage.database import Change, Database
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from keeper_grpc.storage.locks import lock_scope
from keeper_grpc.storage.patterns.groups import PostgresGroups
from keeper_grpc.storage.patterns.places_memory import PlacesMemory
from keeper_grpc.storage.patterns.versions import touch
from keeper_grpc.usecases.patterns.group_entries import CaptureEntry, Written
from keeper_grpc.usecases.patterns.scope_group import WriteGroup
from tests.integration.observations import START, opened, register, scope, vector

RULE = PublicationRule(3)
THRESHOLDS = Thresholds(merge=0.8, cluster=0.7, retrieval=0.4)
ACTIONS = ("Send the guest a reminder", "Offer a package of massages", "Raise the prices by 10%")
OWNERS = 5


def group_of(database: Database, step: int, memory: PlacesMemory | None = None) -> WriteGroup:
    """The use case under test."""
    counting = Counting(RULE, timedelta(days=45), step)
    return WriteGroup(store=PostgresGroups(database, counting, memory), rule=RULE, new_id=uuid4)


def remembering(database: Database) -> PlacesMemory:
    """A memory that knows what this process commits."""
    memory = PlacesMemory(database, limit=64 * 2**20)
    database.on_change(memory.committed)
    return memory


async def until_loaded(memory: PlacesMemory, place: Scope) -> None:
    """Wait for the load that the last group began."""
    await memory.until_loaded()
    assert memory.held(place) is not None


def entry(
    place: Scope,
    account: str,
    *,
    number: int = 0,
    action: str = ACTIONS[0],
    vectors: Vectors | None = None,
    outcome: Outcome | None = None,
    **changes: Any,
) -> CaptureEntry:
    """A capture, the how-manieth it is."""
    when = START + timedelta(minutes=number)
    made = CaptureEntry(
        account_key=account,
        request_id=uuid4(),
        fingerprints=(b"fingerprint",),
        insight=AnonymizedInsight(
            place.pattern_type,
            place.business_category,
            {"day_of_week": ("Monday", "Friday")[number % 2]},
            action,
            f"hello {number % 3}" * (number % 2),
            0.5,
            0.0,
            10.0,
        ),
        report=AnonymizationReport(),
        unknown_words=(),
        context=None,
        outcome=outcome or Outcome(success=True),
        vectors=vectors or Vectors(vector(1), vector(1)),
        thresholds=THRESHOLDS,
        occurred_time=when,
        seen_time=when,
        recorded_time=when,
        instead_of=None,
    )
    return replace(made, **changes)


def drawn(seed: int, place: Scope, accounts: Sequence[str]) -> list[CaptureEntry]:
    """Captures of a few things by a few accounts, some of them retries, with all that an outcome may say."""
    chance = np.random.default_rng(seed)
    entries: list[CaptureEntry] = []
    for number in range(60):
        if entries and chance.random() < 0.15:
            entries.append(entries[int(chance.integers(len(entries)))])
            continue
        direction, of = int(chance.integers(4)), int(chance.integers(9))
        turned = vector(direction, noise=0.25, of=of)
        revenue = float(chance.integers(-8, 40)) / 4 if chance.random() < 0.6 else None
        entries.append(
            entry(
                place,
                accounts[int(chance.integers(len(accounts)))],
                number=number,
                action=ACTIONS[direction % 3],
                vectors=Vectors(turned, vector(direction, noise=0.1, of=of)),
                outcome=Outcome(
                    success=bool(chance.random() < 0.7),
                    revenue_impact=revenue,
                    cost=1.0 if chance.random() < 0.5 else None,
                    complained=bool(chance.random() < 0.2) if chance.random() < 0.5 else None,
                ),
                unknown_words=(UnknownWord(f"key:{seed}:{number % 4}", "4-6"),),
            )
        )
    return entries


KEPT = {
    "observations": """
        SELECT account_key, disposition, pattern_id, counted, measured_day, action, success,
               net_revenue, occurred_time
          FROM observations WHERE scope_id = $1
    """,
    "patterns": """
        SELECT id, action_template, shown_action, shown_context::text, occurrence_count,
               success_count, account_count, confidence_score, fading, first_discovered,
               last_validated, embedding_weight
          FROM network_patterns WHERE scope_id = $1
    """,
    "shares": """
        SELECT pattern_id, account_key, occurrence_count, success_count, revenue_total,
               revenue_count, recent_trials, recent_successes, fast_trials, slow_successes
          FROM pattern_accounts WHERE scope_id = $1
    """,
    "facets": """
        SELECT pattern_id, facet, account_key, occurrence_count, success_count, recent_trials
          FROM pattern_facets WHERE scope_id = $1
    """,
    "harms": """
        SELECT pattern_id, account_key, complaint_known, complaints, costed, net_revenue
          FROM pattern_harms WHERE scope_id = $1
    """,
    "wordings": "SELECT pattern_id, account_key, action FROM pattern_wordings WHERE scope_id = $1",
    "scripts": """
        SELECT s.pattern_id, s.template, a.account_key, a.occurrence_count, a.success_count
          FROM pattern_scripts s JOIN script_accounts a ON a.scope_id = s.scope_id AND a.script_id = s.id WHERE s.scope_id = $1
    """,
    "sightings": """
        SELECT account_key, action, confidence, seen_time, pending FROM sightings WHERE scope_id = $1
    """,
}


async def kept(database: Database, place: Scope, prefix: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that is kept of a scope, with patterns by their order and accounts without their prefix."""
    async with database.connection() as connection:
        order = [
            row["pattern_id"]
            for row in await connection.fetch(
                """
                SELECT pattern_id, min(recorded_time) FROM observations
                 WHERE scope_id = $1 GROUP BY 1 ORDER BY 2
                """,
                place.scope_id,
            )
        ]

        def plain(value: Any) -> Any:
            if isinstance(value, UUID):
                return order.index(value)
            if isinstance(value, str):
                return value.replace(prefix, "")
            return float(f"{value:.5e}") if isinstance(value, float) else value

        found = {}
        for name, sql in KEPT.items():
            rows = await connection.fetch(sql, place.scope_id)
            found[name] = sorted((tuple(map(plain, row)) for row in rows), key=repr)
        rows = await connection.fetch(
            "SELECT * FROM account_milestones WHERE starts_with(account_key, $1)", prefix
        )
        found["milestones"] = sorted((tuple(map(plain, row)) for row in rows), key=repr)
    return found


async def registered(database: Database, prefix: str) -> list[str]:
    """Accounts that count, with names of a prefix."""
    accounts = [f"{prefix}{number}" for number in range(OWNERS)]
    await register(database, *accounts)
    return accounts


@pytest.mark.parametrize(("seed", "step"), [(1, 1), (2, 5), (3, 3), (4, 5), (5, 1)])
async def test_a_group_leaves_what_its_captures_leave_one_by_one(
    database_url: str, seed: int, step: int
) -> None:
    """The same ledger, aggregates, sightings and milestones, and what a retry would then be told; a rebuild agrees.

    Groups are placed in memory once the scope is loaded, single captures by the database.
    """
    async with opened(database_url) as database:
        async with database.connection() as connection:
            await connection.execute(
                "INSERT INTO evidence_settings (step) VALUES ($1) ON CONFLICT (id) DO UPDATE SET step = $1",
                step,
            )
        memory = remembering(database)
        write, write_groups = group_of(database, step), group_of(database, step, memory)
        names = (f"alone_{seed}", f"grouped_{seed}")
        alone, grouped = (scope(name) for name in names)
        one_by_one = drawn(seed, alone, await registered(database, names[0]))
        together = drawn(seed, grouped, await registered(database, names[1]))
        answers = [(await write({alone: [each]}))[alone][0] for each in one_by_one]
        told: list[Any] = []
        chance, rest = np.random.default_rng(seed), together
        while rest:
            size = int(chance.integers(1, 25))
            told += (await write_groups({grouped: rest[:size]}))[grouped]
            rest = rest[size:]
            await memory.until_loaded()
        assert [facts(each) for each in told] == [facts(each) for each in answers]

        left = [
            await kept(database, place, name)
            for place, name in zip((alone, grouped), names, strict=True)
        ]
        assert left[1] == left[0]
        retried = [
            [(await write({place: [each]}))[place][0] for each in came]
            for place, came in ((alone, one_by_one), (grouped, together))
        ]
        assert [shown(each) for each in retried[1]] == [shown(each) for each in retried[0]]

        rebuild = PostgresRebuild(database)
        counting = Counting(RULE, timedelta(days=45), step)
        for keys in in_parts(await rebuild.patterns()):
            await rebuild.recount(keys, counting)
        assert await rebuild.recount_measures() == 0
        assert await kept(database, grouped, names[1]) == left[1]


def facts(answer: Any) -> tuple[Disposition, bool]:
    """What an answer says of its own capture."""
    assert isinstance(answer, Written)
    return answer.disposition, answer.replayed


def shown(answer: Any) -> tuple[Any, ...]:
    """What a retry is told of its pattern."""
    assert isinstance(answer, Written)
    pattern = answer.pattern
    return (
        answer.replayed,
        pattern
        and (
            pattern.action,
            dict(pattern.conditions),
            pattern.evidence.trials,
            pattern.evidence.successes,
            pattern.evidence.accounts,
            {(each.template, each.evidence.trials) for each in pattern.scripts},
        ),
    )


async def test_groups_of_many_callers_are_one_pattern(database_url: str) -> None:
    """Identical captures that come at once through several processes' stores are one row with all their counts."""
    async with opened(database_url) as one, opened(database_url) as other:
        accounts = await registered(one, "many")
        place = scope("many_at_once")
        writers = [group_of(one, 1), group_of(other, 1)]
        await asyncio.gather(
            *(
                writers[number % 2](
                    {place: [entry(place, accounts[(number + each) % OWNERS]) for each in range(5)]}
                )
                for number in range(8)
            )
        )
        async with one.connection() as connection:
            rows = await connection.fetch(
                "SELECT account_count, embedding_weight FROM network_patterns WHERE scope_id = $1",
                place.scope_id,
            )
            counted = await connection.fetchval(
                "SELECT sum(occurrence_count)::integer FROM pattern_accounts WHERE scope_id = $1",
                place.scope_id,
            )
    assert [(row["account_count"], round(row["embedding_weight"])) for row in rows] == [
        (OWNERS, 40)
    ]
    assert counted == 40


@pytest.mark.parametrize("seed", range(3))
async def test_processes_that_remember_write_one_scope_as_one(database_url: str, seed: int) -> None:
    """What another process wrote is read again before the next group, also where its outcome does not count yet."""
    async with opened(database_url) as one, opened(database_url) as other:
        names = (f"single_{seed}", f"taking_turns_{seed}")
        single, shared = (scope(name) for name in names)
        alone = drawn(seed, single, await registered(one, names[0]))
        together = drawn(seed, shared, await registered(one, names[1]))
        interim = Outcome(success=True, final=False)
        alone, together = (
            [replace(each, outcome=interim) if n % 3 == 0 else each for n, each in enumerate(came)]
            for came in (alone, together)
        )
        memories = [remembering(one), remembering(other)]
        writers = [
            group_of(database, 5, memory)
            for database, memory in zip((one, other), memories, strict=True)
        ]
        for each in alone:
            await group_of(one, 5)({single: [each]})
        chance, rest, turn = np.random.default_rng(seed), together, 0
        while rest:
            size = int(chance.integers(1, 9))
            await writers[turn % 2]({shared: rest[:size]})
            await memories[turn % 2].until_loaded()
            rest, turn = rest[size:], turn + 1
        left = [
            await kept(one, place, name)
            for place, name in zip((single, shared), names, strict=True)
        ]
    assert all(memory.held(shared) for memory in memories)
    assert left[1] == left[0]


async def by_shard(database: Database, name: str) -> list[list[Scope]]:
    """Scopes of this name, by the shard that they are of: all of one where tables are not spread."""
    found: dict[int | None, list[Scope]] = defaultdict(list)
    async with database.connection() as connection:
        for number in range(24):
            place = scope(f"{name}_{number}")
            shard = await connection.fetchval("SELECT shard_of($1)", place.scope_id)
            found[shard].append(place)
    return list(found.values())


async def test_a_group_of_several_scopes_is_written_together(database_url: str) -> None:
    """Each entry in its own scope; one request_id in two of them is one request with two bodies."""
    async with opened(database_url) as database:
        accounts = await registered(database, "several")
        places = max(await by_shard(database, "several"), key=len)[:3]
        again = entry(places[0], accounts[0])
        answers = await group_of(database, 1)(
            {
                places[0]: [again, entry(places[0], accounts[1])],
                places[1]: [
                    entry(places[1], accounts[0]),
                    entry(
                        places[1],
                        accounts[0],
                        request_id=again.request_id,
                        fingerprints=(b"another body",),
                    ),
                ],
                places[2]: [entry(places[2], accounts[2])],
            }
        )
        found = [
            [
                type(each) if isinstance(each, KeeperError) else facts(each)[0]
                for each in answers[place]
            ]
            for place in places
        ]
        rows = [await kept(database, place, "several") for place in places]
    assert found == [
        [Disposition.CREATED, Disposition.MERGED],
        [Disposition.CREATED, RequestIdReused],
        [Disposition.CREATED],
    ]
    assert [len(each["observations"]) for each in rows] == [2, 1, 1]
    assert [len(each["patterns"]) for each in rows] == [1, 1, 1]


@pytest.mark.cluster
async def test_a_group_is_of_one_shard(database_url: str) -> None:
    """Scopes of another one than the first's are left out, and from then on are known to be elsewhere."""
    async with opened(database_url) as database:
        accounts = await registered(database, "shards")
        (here, beside, *_), (elsewhere, *_), *_ = await by_shard(database, "shards")
        write = group_of(database, 1)
        entries = {place: [entry(place, accounts[0])] for place in (here, elsewhere, beside)}
        assert (await write(entries)).keys() == {here, beside}
        assert write.home(here) == write.home(beside)
        assert write.home(here) != write.home(elsewhere)
        assert (await write({elsewhere: entries[elsewhere]})).keys() == {elsewhere}


async def test_a_scope_that_somebody_else_owns_does_not_hold_up_the_others(
    database_url: str,
) -> None:
    """It is left out of the group, unless it comes first."""
    async with opened(database_url) as database:
        accounts = await registered(database, "owned")
        free, owned, *_ = max(await by_shard(database, "owned"), key=len)
        entries = {free: [entry(free, accounts[0])], owned: [entry(owned, accounts[0])]}
        async with database.transaction() as connection:
            await lock_scope(connection, owned)
            answers = await group_of(database, 1)(entries)
        assert answers.keys() == {free}
        assert (await group_of(database, 1)({owned: entries[owned]})).keys() == {owned}


async def test_a_group_that_fails_leaves_nothing_in_memory(database_url: str) -> None:
    """The next group finds the patterns where they were."""
    async with opened(database_url) as database:
        accounts = await registered(database, "undone")
        place = scope("undone_in_memory")
        memory = remembering(database)
        write = group_of(database, 1, memory)
        await write({place: [entry(place, accounts[0])]})
        await write({place: [entry(place, accounts[1])]})
        await until_loaded(memory, place)
        new = Vectors(vector(2), vector(2))
        bad = entry(place, accounts[2], action=ACTIONS[1], vectors=new)
        # The table refuses it, after the group was placed.
        bad = replace(bad, insight=replace(bad.insight, confidence=None))  # type: ignore[arg-type]
        with pytest.raises(asyncpg.PostgresError, match="violates not-null constraint"):
            await write({place: [entry(place, accounts[1]), bad]})
        (answer,) = (
            await write({place: [entry(place, accounts[2], action=ACTIONS[1], vectors=new)]})
        )[place]
        rows = await kept(database, place, "undone")
    assert facts(answer) == (Disposition.CREATED, False)
    assert sorted(row[-1] for row in rows["patterns"]) == [1.0, 2.0]


async def test_what_others_change_does_not_stay_in_memory(database_url: str) -> None:
    """A pattern that this process changed is dropped at its commit, one of another process at the next look."""
    async with opened(database_url) as one, opened(database_url) as other:
        accounts = await registered(one, "elsewhere")
        place = scope("changed_elsewhere")
        memory = remembering(one)
        write = group_of(one, 1, memory)
        for number in (2, 3):
            told = (
                await write(
                    {
                        place: [
                            entry(
                                place,
                                accounts[0],
                                action=ACTIONS[number - 1],
                                vectors=Vectors(vector(number), vector(number)),
                            )
                        ]
                    }
                )
            )[place]
            assert facts(told[0])[0] is Disposition.CREATED
        await write({place: [entry(place, accounts[0])]})
        await until_loaded(memory, place)
        # What was written while it was loaded is read by the next group.
        await write({place: [entry(place, accounts[0])]})
        held = memory.held(place)
        assert held is not None
        async with one.connection() as connection:
            keys = [
                PatternKey(place.scope_id, row["id"])
                for row in await connection.fetch(
                    "SELECT id FROM network_patterns WHERE scope_id = $1", place.scope_id
                )
            ]
        assert len(keys) == 3
        first, second, _ = keys
        async with one.transaction() as connection:
            await touch(connection, [first])
        assert [held.position(key.pattern_id) is None for key in keys] == [True, False, False]
        async with other.transaction() as connection:
            await touch(connection, [second])
        async with one.connection() as connection:
            await memory.seen(connection, await scope_versions(connection))
        assert [held.position(key.pattern_id) is None for key in keys] == [True, True, False]
        await write({place: [entry(place, accounts[1])]})
        assert [held.position(key.pattern_id) is None for key in keys] == [False] * 3


async def test_a_commit_that_is_told_of_late_takes_nothing_out_of_memory(database_url: str) -> None:
    """What is held was read after it; a capture that did not find its pattern any more would make it twice."""
    async with opened(database_url) as database:
        accounts = await registered(database, "told_late")
        place = scope("told_late_to_a_writer")
        memory = remembering(database)
        write = group_of(database, 1, memory)
        for account in accounts[:2]:
            await write({place: [entry(place, account)]})
        await until_loaded(memory, place)
        # What was written while it was loaded is read by the next group.
        await write({place: [entry(place, accounts[1])]})
        async with database.connection() as connection:
            pattern_id = await connection.fetchval(
                "SELECT id FROM network_patterns WHERE scope_id = $1", place.scope_id
            )
            (version,) = [
                one.version
                for one in await scope_versions(connection)
                if one.scope_id == place.scope_id
            ]
        memory.committed([Change(place.scope_id, version, frozenset({pattern_id}))])
        (again,) = (await write({place: [entry(place, accounts[2])]}))[place]
    assert facts(again)[0] is Disposition.MERGED


async def test_memory_beyond_its_limit_is_not_taken(database_url: str) -> None:
    """The database is searched instead."""
    async with opened(database_url) as database:
        accounts = await registered(database, "no_room")
        place = scope("no_room_for_it")
        memory = PlacesMemory(database, limit=1)
        write = group_of(database, 1, memory)
        answers = [
            (await write({place: [entry(place, account)]}))[place][0] for account in accounts
        ]
        await memory.aclose()
    assert memory.held(place) is None
    assert [facts(each)[0] for each in answers] == [
        Disposition.CREATED,
        *[Disposition.MERGED] * (OWNERS - 1),
    ]


async def test_an_entry_that_cannot_be_written_fails_alone(database_url: str) -> None:
    """Errors are in the place of answers, and the others of the group are written."""
    async with opened(database_url) as database:
        accounts = await registered(database, "alone")
        place = scope("fails_alone")
        good = entry(place, accounts[0])
        entries = [
            good,
            entry(place, "nobody"),
            entry(place, accounts[1], instead_of=uuid4()),
            replace(good, fingerprints=(b"another body",)),
            good,
            entry(place, accounts[2]),
        ]
        answers = (await group_of(database, 1)({place: entries}))[place]
    assert [type(each) if isinstance(each, KeeperError) else facts(each) for each in answers] == [
        (Disposition.CREATED, False),
        AccountBeingForgotten,
        EnhancementNotFound,
        RequestIdReused,
        (Disposition.CREATED, True),
        (Disposition.MERGED, False),
    ]
