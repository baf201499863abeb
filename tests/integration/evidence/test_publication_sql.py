from __future__ import annotations

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Evidence
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.storage.evidence.publication import enough_accounts, published

EVIDENCE = st.builds(
    lambda trials: Evidence(
        trials=sum(trials), accounts=len(trials), largest_account_trials=max(trials, default=0)
    ),
    st.lists(st.integers(1, 4), max_size=7),
)
"""Evidence of a few accounts with few trials each: the rule turns within it."""

K = st.integers(2, 5)


@given(st.lists(EVIDENCE, min_size=1, max_size=50), K)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_database_publishes_what_the_domain_does(
    database_url: str, evidence: list[Evidence], k: int
) -> None:
    """The rule in SQL and the rule of the domain agree on every evidence."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        f"""
        SELECT {published("p", "$4")} AS published, {enough_accounts("account_count", "$4")} AS enough
          FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) WITH ORDINALITY
               AS p (occurrence_count, account_count, largest_account_occurrences, position)
         ORDER BY position
        """,  # noqa: S608 - what is tested
        [known.trials for known in evidence],
        [known.accounts for known in evidence],
        [known.largest_account_trials for known in evidence],
        k,
    )
    await connection.close()

    rule = PublicationRule(k)
    assert [row["published"] for row in rows] == [
        rule.withheld(known) is None for known in evidence
    ]
    assert all(row["enough"] for row in rows if row["published"])


@pytest.mark.parametrize(("accounts", "enough"), [(2, False), (3, True)])
async def test_enough_accounts_turns_at_k(database_url: str, accounts: int, enough: bool) -> None:
    """The half of the rule that is used alone turns exactly at k."""
    connection = await asyncpg.connect(database_url)
    found = await connection.fetchval(f"SELECT {enough_accounts('$1::integer', '3')}", accounts)
    await connection.close()
    assert found is enough
