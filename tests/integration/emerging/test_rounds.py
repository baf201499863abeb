from __future__ import annotations

from itertools import pairwise

import pytest

from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.usecases.emerging import detector as detector_module
from keeper_grpc.usecases.emerging import rounds
from tests.integration.emerging.detecting import ask, changes, detector, led, recorded, shown, told
from tests.integration.observations import (
    MODEL,
    opened,
    vector,
)


async def test_clusters_of_a_replaced_model_fade_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader of the new model ends them with all that is stored of them, a few sightings a step."""
    async with opened(database_url) as database:
        for account in "abcdef":
            await ask(database, "replaced", account, vector(11))
        await ask(database, "replaced", "alone", vector(111))
        await led(database)
        new = (await told(database, "replaced"))[0]
        await ask(database, "replaced", "late", vector(11))
        monkeypatch.setattr(rounds, "DISCARD", 2)
        store = PostgresDetection(database, "the-next-model")
        left = []
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            goes_on = True
            while goes_on:
                goes_on = await use_case.step(leadership)
                left.append(await sightings_of(database, "replaced"))
                if len(left) == 1:
                    async with database.connection() as connection:
                        row = await connection.fetchrow(
                            "SELECT state, common_pattern, label, account_count"
                            "  FROM emerging_patterns WHERE id = $1",
                            new.emerging_pattern_id,
                        )
                    assert row is not None
                    assert tuple(row) == ("forming", "", "", 0)
        async with database.connection() as connection:
            clusters = await connection.fetchval(
                "SELECT count(*) FROM emerging_patterns WHERE pattern_type = 'replaced'"
            )
        assert [change for change, _ in await changes(database, "replaced")] == ["new", "faded"]
        assert (await told(database, "replaced"))[1] == new
        # What nobody has looked at waits for a leader of its model, or for the end of the window.
        await led(database)
        assert await shown(database, "replaced") == []
    assert clusters == 0
    assert (left[0], left[-1]) == (8, 1)
    assert all(before - after <= 2 for before, after in pairwise(left))


async def sightings_of(database: Database, pattern_type: str) -> int:
    """How many sightings of a type are stored."""
    async with database.connection() as connection:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM sightings WHERE pattern_type = $1", pattern_type
        )
    return count


async def test_a_step_that_was_not_full_is_the_last_for_now(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after it shares the next: a step for each sighting would look at its cluster each time."""
    monkeypatch.setattr(detector_module, "BATCH", 2)
    async with opened(database_url) as database:
        await led(database)
        for account in "abc":
            await ask(database, "a_few", account, vector(31))
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            assert [await use_case.step(leadership) for _ in range(2)] == [True, False]
        assert len(await shown(database, "a_few")) == 1


async def test_the_first_look_goes_on_while_news_keep_coming(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few clusters a step, each of them once, though no step finds nothing new."""
    kinds = [f"looked_at_{n}" for n in range(5)]
    async with opened(database_url) as database:
        for kind in kinds:
            for account in "abcdef":
                who = "the mayor" if account < "d" else "guests"
                await ask(database, kind, account, vector(21), action=f"offer {who} a towel")
        await led(database)
        store = PostgresDetection(database, MODEL)
        monkeypatch.setattr(rounds, "LOOK", 2)
        monkeypatch.setattr(detector_module, "BATCH", 1)
        looked_at = recorded(monkeypatch)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store, k=5)
            await use_case.restore(leadership)
            for number in range(200):
                await ask(database, "news_of_one", str(number), vector(1000 + number))
                assert await use_case.step(leadership)
                if all([len(await told(database, kind)) > 1 for kind in kinds]):
                    break
        for kind in kinds:
            before, after = await told(database, kind)
            assert "mayor" in before.common_pattern
            assert "mayor" not in after.common_pattern
    assert max(len(clusters) for clusters in looked_at) == 2
    assert len(set().union(*looked_at)) == sum(map(len, looked_at))
