from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.composition.shared import authored_patterns
from keeper_grpc.domain.evidence.evidence import Prior
from keeper_grpc.domain.insight import Outcome
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import AuthoredPattern, Pattern, Seeded
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.database import Database, to_array
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from keeper_grpc.storage.locks import lock_scope
from keeper_grpc.storage.patterns.authored import PostgresAuthored
from keeper_grpc.storage.patterns.keys import key_of
from keeper_grpc.storage.patterns.view import see_pattern
from tests.integration.locks import waiting_for_a_lock
from tests.integration.observations import (
    COUNTING,
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


def authored(key: str) -> AuthoredPattern:
    """The first version of an authored pattern: one of the catalog's in a scope of its own."""
    return replace(
        authored_patterns(load_catalog())[0],
        key=key,
        version=1,
        action_since=1,
        pattern_type=key,
        business_category="spa",
        action="offer a package",
        scripts=("Hello {name}", "Hi {name}"),
        claim=Claim(success_rate=0.8, learned_from=12),
    )


async def sow(database: Database, pattern: AuthoredPattern, seed: int) -> Seeded:
    """Seed one pattern whose text lies at the direction of `seed`."""
    vectors = Vectors(vector(seed), vector(seed))
    return await PostgresAuthored(database, RULE).seed(uuid4(), pattern, MODEL, vectors, START)


async def all_patterns(database: Database, key: str) -> dict[str, Pattern]:
    """The patterns of a type by their actions."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT scope_id, id FROM network_patterns WHERE pattern_type = $1", key
        )
        found = [await see_pattern(connection, key_of(row), RULE) for row in rows]
    return {pattern.action: pattern for pattern in found if pattern}


async def only_pattern(database: Database, key: str) -> Pattern:
    """The one pattern of a type."""
    (pattern,) = (await all_patterns(database, key)).values()
    return pattern


async def test_seeding_again_changes_nothing(database_url: str) -> None:
    """The second time finds every pattern as it is, in whatever order the versions come."""
    pattern = authored("seeded_twice")
    async with opened(database_url) as database:
        assert await sow(database, pattern, 1) is Seeded.ADDED
        before = await only_pattern(database, pattern.key)

        assert await sow(database, pattern, 1) is Seeded.UNCHANGED
        assert (
            await sow(database, replace(pattern, version=0, action="older"), 2) is Seeded.UNCHANGED
        )

        assert await only_pattern(database, pattern.key) == before


async def test_an_upgrade_brings_new_words_and_keeps_the_evidence(database_url: str) -> None:
    """What accounts observed stays, where they observed it; what the authors say is replaced."""
    pattern = authored("upgraded")
    async with opened(database_url) as database:
        await register(database, "a", "b", "c")
        await sow(database, pattern, 1)
        for account in ("a", "b", "c"):
            await capture(
                groups_of(database),
                observation(
                    scope(pattern.key),
                    account,
                    script="Hello {name}",
                    outcome=Outcome(success=account != "c", revenue_impact=10),
                ),
                vector(1),
            )
        before = await only_pattern(database, pattern.key)

        newer = replace(
            pattern,
            version=2,
            action="offer a gift",
            scripts=("Dear {name}", "Good day, {name}"),
            claim=Claim(
                follow_up_action="call",
                improvement_factor=2.5,
                improvement_days=14,
                reason="We think so.",
                guardrails=("Once.", "Not twice."),
            ),
        )
        assert await sow(database, newer, 2) is Seeded.UPGRADED

        after = await only_pattern(database, pattern.key)
        assert (after.pattern_id, after.evidence) == (before.pattern_id, before.evidence)
        assert after.evidence.trials == 3
        assert (after.action, after.prior) == ("offer a gift", Prior())
        assert (before.claim, after.claim) == (pattern.claim, newer.claim)
        scripts = {script.template: script for script in after.scripts}
        assert {text for text, script in scripts.items() if script.authored} == {*newer.scripts}
        assert not scripts["Hello {name}"].authored
        assert scripts["Hello {name}"].evidence.trials == 3
        async with database.connection() as connection:
            centre = await connection.fetchval(
                "SELECT pattern_embedding FROM network_patterns WHERE id = $1", after.pattern_id
            )
        assert float(to_array(centre) @ vector(1)) > 0.999


async def test_another_action_begins_without_the_evidence_of_the_one_before(
    database_url: str,
) -> None:
    """What accounts did and how it went stays together, in a pattern that is no longer authored."""
    pattern = authored("another_action")
    async with opened(database_url) as database:
        accounts = [f"another_action_{name}" for name in "abc"]
        await register(database, *accounts)
        await sow(database, pattern, 1)
        for account in accounts:
            await capture(
                groups_of(database),
                observation(scope(pattern.key), account, script="Hello {name}"),
                vector(1),
            )
        before = await only_pattern(database, pattern.key)

        other = replace(pattern, version=2, action_since=2, action="call the customer")
        assert await sow(database, other, 2) is Seeded.ADDED
        assert await sow(database, other, 2) is Seeded.UNCHANGED

        patterns = await all_patterns(database, pattern.key)
        assert set(patterns) == {"call the customer", pattern.action}
        fresh, left = patterns["call the customer"], patterns[pattern.action]
        assert (fresh.authored, fresh.evidence.trials) == (True, 0)
        assert (left.authored, left.claim, left.prior) == (False, None, Prior())
        assert (left.pattern_id, left.evidence) == (before.pattern_id, before.evidence)
        assert not any(script.authored for script in left.scripts)
        async with database.connection() as connection:
            score = await connection.fetchval(
                "SELECT confidence_score FROM network_patterns WHERE id = $1", left.pattern_id
            )
        assert score == pytest.approx(left.evidence.lower_bound())


async def test_an_upgrade_moves_a_pattern_that_nobody_observed(database_url: str) -> None:
    """Without observations the pattern lies where its new words do."""
    pattern = authored("moved")
    async with opened(database_url) as database:
        await sow(database, pattern, 1)

        await sow(database, replace(pattern, version=2, action="offer a gift"), 2)

        moved = await capture(
            groups_of(database), observation(scope(pattern.key), await known(database)), vector(2)
        )
        assert moved == (await only_pattern(database, pattern.key)).pattern_id


async def known(database: Database) -> str:
    """An account that is registered."""
    await register(database, "d")
    return "d"


async def test_seeding_waits_for_whoever_changes_the_scope(database_url: str) -> None:
    """A capture under way does not miss the pattern, and so makes no second one of the same words."""
    pattern = authored("seeded_meanwhile")
    async with opened(database_url) as database:
        account = await known(database)
        async with database.transaction() as owner:
            await lock_scope(owner, scope(pattern.key))
            seeding = asyncio.create_task(sow(database, pattern, 1))
            await waiting_for_a_lock(owner)
        assert await seeding is Seeded.ADDED
        merged = await capture(
            groups_of(database), observation(scope(pattern.key), account), vector(1)
        )
        assert merged == (await only_pattern(database, pattern.key)).pattern_id


@pytest.mark.parametrize("others", [False, True])
async def test_a_forgotten_account_leaves_no_time_in_an_authored_pattern(
    database_url: str, *, others: bool
) -> None:
    """It was discovered when it was seeded, or when an account that is left observed it earlier."""
    pattern = authored(f"seeded_later_than_seen_{others}".lower())
    longest_ago, long_ago = START - timedelta(days=300), START - timedelta(days=200)
    later = START + timedelta(days=9)
    async with opened(database_url) as database:
        await register(database, *(f"{pattern.key}_{name}" for name in "abc"))
        await sow(database, pattern, 1)
        seen = [("a", longest_ago), ("a", later + timedelta(days=1))]
        seen += [("b", long_ago), ("c", later)] if others else []
        for name, occurred in seen:
            await capture(
                groups_of(database),
                observation(scope(pattern.key), f"{pattern.key}_{name}", occurred=occurred),
                vector(1),
            )
        before = await only_pattern(database, pattern.key)
        assert before.first_discovered == longest_ago

        await PostgresForgetting(database).forget_in_pattern(
            before.key,
            f"{pattern.key}_a",
            None,
            RULE,
            model="",
            settle=False,
        )

        after = await only_pattern(database, pattern.key)
        assert after.first_discovered == (long_ago if others else START)
        assert after.last_validated == (later if others else None)
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE network_patterns SET first_discovered = $2, last_validated = $2 WHERE id = $1",
                after.pattern_id,
                longest_ago,
            )
        await PostgresRebuild(database).recount([after.key], COUNTING)
        assert await only_pattern(database, pattern.key) == after


async def test_an_authored_pattern_is_no_younger_than_its_seeding(database_url: str) -> None:
    """With only later observations left it was still discovered when it was seeded."""
    pattern = authored("seen_later_than_seeded")
    async with opened(database_url) as database:
        await register(database, "seen_early", "seen_late")
        await sow(database, pattern, 1)
        for account, days in (("seen_early", -5), ("seen_late", 5)):
            await capture(
                groups_of(database),
                observation(scope(pattern.key), account, occurred=START + timedelta(days=days)),
                vector(1),
            )
        key = (await only_pattern(database, pattern.key)).key
        await PostgresForgetting(database).forget_in_pattern(
            key, "seen_early", None, RULE, model="", settle=False
        )
        assert (await only_pattern(database, pattern.key)).first_discovered == START
