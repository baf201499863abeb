from __future__ import annotations

from datetime import UTC, datetime

from keeper_grpc.domain.emerging.figures import minute
from keeper_grpc.domain.emerging.model import RENEWAL
from keeper_grpc.storage.emerging.detection import PostgresDetection
from tests.integration.emerging.detecting import (
    ask,
    changes,
    detector,
    forget,
    led,
    shown,
    steps,
    told,
)
from tests.integration.observations import (
    MODEL,
    opened,
    vector,
)


async def test_a_faded_cluster_is_shown_as_it_was(database_url: str) -> None:
    """What is left is of fewer than k accounts: not a number and not a word of it leaves the leader."""
    async with opened(database_url) as database:
        for account in "abc":
            await ask(database, "faded", account, vector(9, noise=0.2, of=ord(account)))
        await led(database)
        await forget(database, "c")
        await led(database)
        assert [change for change, _ in await changes(database, "faded")] == ["new", "faded"]
        new, faded = await told(database, "faded")
        async with database.connection() as connection:
            (row,) = await connection.fetch(
                "SELECT state, account_count, common_pattern FROM emerging_patterns"
                " WHERE pattern_type = 'faded'"
            )
    assert faded == new
    assert tuple(row) == ("forming", 2, "")


async def test_small_renewals_make_an_event_once_they_add_up(database_url: str) -> None:
    """Each is a third of a minute after the last: subscribers hear of every third, not of none."""
    async with opened(database_url) as database:
        store = PostgresDetection(database, MODEL)
        third = RENEWAL / 3
        begin = minute(datetime.now(UTC)) + RENEWAL

        async def ask_at(account: str, thirds: float) -> None:
            later = begin + thirds * third - datetime.now(UTC)
            await ask(database, "adds_up", account, vector(17), later=later)

        await ask_at("oldest", -300)
        for number in range(9):
            await ask_at(str(number), number - 9.5)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            await steps(use_case, leadership)
            renewed = []
            for number in range(6):
                await ask_at(str(number), number + 0.5)
                await steps(use_case, leadership)
                renewed.append(len(await changes(database, "adds_up")))
        seen = [each.last_seen_time for each in await told(database, "adds_up")]
    assert renewed == [2, 2, 2, 3, 3, 3]
    assert seen == [begin - RENEWAL, begin, begin + RENEWAL]


async def test_no_word_of_fewer_than_k_accounts_is_shown(database_url: str) -> None:
    """Not in the common pattern and not in the label, though the sentence is the most typical."""
    async with opened(database_url) as database:
        for account, action in (
            ("a", "offer the mayor a warm towel"),
            ("b", "offer the mayor a warm towel"),
            ("c", "offer guests a warm towel"),
        ):
            await ask(database, "said_by_few", account, vector(18), action=action)
        await led(database)
        (first,) = await told(database, "said_by_few")
        await ask(database, "said_by_few", "d", vector(18), action="offer the mayor a warm towel")
        await led(database)
        _, second = await told(database, "said_by_few")
    assert first.common_pattern == (
        "When day of week is Monday, offer … a warm towel (said by few, spa)."
    )
    assert first.label == "Said by few: warm towel"
    assert second.common_pattern == (
        "When day of week is Monday, offer the mayor a warm towel (said by few, spa)."
    )
    assert second.label == "Offer the mayor a warm towel"


async def test_a_greater_k_holds_for_what_is_on_show_already(database_url: str) -> None:
    """The next leader checks every cluster's words once, though the insight was not seen again."""
    async with opened(database_url) as database:
        for account in "abcdef":
            who = "the mayor" if account < "d" else "guests"
            action = f"offer {who} a warm towel"
            await ask(database, "k_was_raised", account, vector(19), action=action)
        await led(database)
        (before,) = await shown(database, "k_was_raised")
        await led(database, k=5)
        (after,) = await shown(database, "k_was_raised")
    assert "mayor" in before.common_pattern + before.label
    assert "mayor" not in after.common_pattern + after.label
    assert after.account_count == 6
