from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Share, weigh
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.storage.evidence.publication import enough_accounts

SHARES = st.lists(
    st.integers(0, 60).flatmap(
        lambda trials: st.builds(Share, st.just(trials), st.integers(0, trials))
    ),
    max_size=12,
)
K = st.integers(2, 5)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to a database with the schema."""
    opened = await asyncpg.connect(database_url)
    yield opened
    await opened.close()


@given(SHARES, K)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_database_weighs_and_publishes_as_the_domain_does(
    connection: asyncpg.Connection[asyncpg.Record], shares: list[Share], k: int
) -> None:
    """The function in SQL gives what `weigh` does, to the last outcome, and the rule the same answer."""
    evidence = weigh(shares, k)
    row = await connection.fetchrow(
        f"SELECT w.*, {enough_accounts('w.accounts', '$3')} AS shown FROM weigh($1, $2, $3) w",  # noqa: S608 - what is tested
        [share.trials for share in shares],
        [share.successes for share in shares],
        k,
    )
    assert row is not None
    assert tuple(row) == (
        evidence.accounts,
        evidence.trials,
        evidence.successes,
        not PublicationRule(k).withheld(evidence),
    )


@pytest.mark.parametrize(("accounts", "enough"), [(2, False), (3, True)])
async def test_enough_accounts_turns_at_k(
    connection: asyncpg.Connection[asyncpg.Record], accounts: int, enough: bool
) -> None:
    """The rule in SQL turns exactly at k."""
    found = await connection.fetchval(f"SELECT {enough_accounts('$1::integer', '3')}", accounts)
    assert found is enough
