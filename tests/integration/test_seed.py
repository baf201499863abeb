from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from keeper_grpc import app
from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.domain.evidence import Prior
from keeper_grpc.domain.insight import Outcome
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.pattern import AuthoredPattern, Pattern, Seeded
from keeper_grpc.storage.authored import PostgresAuthored
from keeper_grpc.storage.database import Database, to_array
from tests.integration.observations import (
    MODEL,
    START,
    capture,
    captures_of,
    observation,
    opened,
    register,
    scope,
    vector,
)


def authored(key: str) -> AuthoredPattern:
    """The first version of an authored pattern: one of the catalog's in a scope of its own."""
    return replace(
        app._authored(load_catalog())[0],
        key=key,
        version=1,
        pattern_type=key,
        business_category="spa",
        action="offer a package",
        script="Hello {name}",
        prior=Prior(8, 2),
    )


async def sow(database: Database, pattern: AuthoredPattern, seed: int) -> Seeded:
    """Seed one pattern whose text lies at the direction of `seed`."""
    vectors = Vectors(vector(seed), vector(seed))
    return await PostgresAuthored(database).seed(uuid4(), pattern, MODEL, vectors, START)


async def only_pattern(database: Database, key: str) -> Pattern:
    """The one pattern of a type."""
    async with database.connection() as connection:
        (row,) = await connection.fetch(
            "SELECT id FROM network_patterns WHERE pattern_type = $1", key
        )
    async with captures_of(database).capture() as transaction:
        return await transaction.pattern(row["id"])


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
                captures_of(database),
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
            pattern, version=2, action="offer a gift", script="Dear {name}", prior=Prior(3, 1)
        )
        assert await sow(database, newer, 2) is Seeded.UPGRADED

        after = await only_pattern(database, pattern.key)
        assert (after.pattern_id, after.evidence) == (before.pattern_id, before.evidence)
        assert after.evidence.trials == 3
        assert (after.action, after.prior) == ("offer a gift", Prior(3, 1))
        scripts = {script.template: script for script in after.scripts}
        assert scripts["Dear {name}"].authored
        assert not scripts["Hello {name}"].authored
        assert scripts["Hello {name}"].evidence.trials == 3
        async with database.connection() as connection:
            centre = await connection.fetchval(
                "SELECT pattern_embedding FROM network_patterns WHERE id = $1", after.pattern_id
            )
        assert float(to_array(centre) @ vector(1)) > 0.999


async def test_an_upgrade_moves_a_pattern_that_nobody_observed(database_url: str) -> None:
    """Without observations the pattern lies where its new words do."""
    pattern = authored("moved")
    async with opened(database_url) as database:
        await sow(database, pattern, 1)

        await sow(database, replace(pattern, version=2, action="offer a gift"), 2)

        moved = await capture(
            captures_of(database), observation(scope(pattern.key), await known(database)), vector(2)
        )
        assert moved == (await only_pattern(database, pattern.key)).pattern_id


async def known(database: Database) -> str:
    """An account that is registered."""
    await register(database, "d")
    return "d"
