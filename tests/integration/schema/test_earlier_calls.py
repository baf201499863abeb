"""Functions of the schema as a server of the version before calls them, while it runs beside this one."""

from __future__ import annotations

from tests.integration.observations import (
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)


async def test_outcomes_named_without_their_scopes_are_measured(database_of_its_own: str) -> None:
    """Outcomes whose ids alone are passed count in the metrics, too."""
    async with opened(database_of_its_own) as database:
        await register(database, "account")
        await capture(groups_of(database), observation(scope("upsell"), "account"), vector(1))
        async with database.transaction() as connection:
            await connection.execute("UPDATE observations SET measured_day = NULL")
            await connection.execute("DELETE FROM measure_changes")
            await connection.execute("SELECT measure_outcomes(ARRAY(SELECT id FROM observations))")
            assert await connection.fetchval("SELECT sum(observations) FROM measure_changes") == 1
            assert await connection.fetchval("SELECT count(measured_day) FROM observations") == 1


async def test_patterns_touched_without_their_words_touch_who_speaks_in_them(
    database_of_its_own: str,
) -> None:
    """Who speaks in a pattern's words is noted with it, as if these had changed."""
    async with opened(database_of_its_own) as database:
        await register(database, "account")
        store = groups_of(database)
        source = await capture(store, observation(scope("upsell"), "account"), vector(1))
        borrower = await capture(store, observation(scope("churn"), "account"), vector(2))
        async with database.transaction() as connection:
            await connection.execute(
                "UPDATE network_patterns SET worded_from_scope_id = $1, worded_from = $2 WHERE scope_id = $3",
                scope("upsell").scope_id,
                source,
                scope("churn").scope_id,
            )
            touched = await connection.fetch(
                "SELECT pattern_ids FROM touch_patterns(ARRAY[$1::bigint], ARRAY[$2::uuid], 'channel')",
                scope("upsell").scope_id,
                source,
            )
            assert {each for (ids,) in touched for each in ids} == {source, borrower}
            touched = await connection.fetch(
                "SELECT pattern_ids FROM touch_patterns(ARRAY[$1::bigint], ARRAY[$2::uuid], '{}', 'channel')",
                scope("upsell").scope_id,
                source,
            )
            assert {each for (ids,) in touched for each in ids} == {source}
