from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from asyncpg import Record

from keeper_grpc.domain.evidence.evidence import Evidence
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.listing import Cursor, PatternFilter
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.patterns.read import PostgresPatterns
from tests.integration.observations import opened

RULE = PublicationRule(3)

# Every mixture of accounts, success and origin; scores come many times
# over, and zero as the score of published and of unpublished ones.
FILL = """
    WITH filled AS (
        SELECT i, 'type_' || i % 2 AS type, (ARRAY['spa', 'gym', 'salon'])[1 + i % 3] AS category
          FROM generate_series(1, 300) AS i
    ), places AS (
        INSERT INTO scopes (scope_id, pattern_type, business_category)
        SELECT DISTINCT hashtext(type || category), type, category FROM filled
    )
    INSERT INTO network_patterns (
        id, scope_id, pattern_type, business_category, embedding_model, pattern_embedding, context,
        action_template, shown_action, occurrence_count, success_count, account_count,
        confidence_score, catalog_key, catalog_version,
        first_discovered)
    SELECT gen_random_uuid(), hashtext(type || category), type, category, 'model',
           array_fill(1.0, ARRAY[1536])::vector, '{}', 'do ' || i, 'do ' || i, 10, i % 11, i % 5,
           (i % 4) / 4.0, CASE WHEN i % 7 < 3 THEN i::text END, 1, now()
      FROM filled
"""


def score(row: Record) -> float:
    """What a pattern is listed by: its lower bound, or nothing while its evidence is hidden."""
    return float(row["confidence_score"]) if shown(row) else 0.0


def shown(row: Record) -> bool:
    """Whether the evidence of a pattern may be shown."""
    return not RULE.withheld(Evidence(accounts=row["account_count"]))


@pytest.fixture(scope="module")
async def listing(database_url: str) -> AsyncIterator[tuple[Database, list[Record]]]:
    """A database with every mixture, and all of its rows."""
    async with opened(database_url) as database:
        async with database.connection() as connection:
            await connection.execute(FILL)
            rows = await connection.fetch("SELECT * FROM network_patterns")
        yield database, rows


@pytest.mark.parametrize("limit", [1, 7, 500])
@pytest.mark.parametrize(
    "where",
    [
        PatternFilter(),
        PatternFilter(pattern_type="type_1"),
        PatternFilter(business_category="gym"),
        PatternFilter(pattern_type="type_0", business_category="spa", min_success_rate=0.5),
        PatternFilter(min_success_rate=0.7),
    ],
    ids=["all", "type", "category", "all filters", "rate"],
)
async def test_pages_are_the_list_cut_into_pieces(
    listing: tuple[Database, list[Record]], where: PatternFilter, limit: int
) -> None:
    """Published patterns by score and authored ones at zero, each once, as counted by hand."""
    database, rows = listing
    expected = sorted(
        (-score(row), row["id"])
        for row in rows
        if (shown(row) or row["catalog_key"] is not None)
        and where.pattern_type in ("", row["pattern_type"])
        and where.business_category in ("", row["business_category"])
        and (row["success_rate"] if shown(row) else 0.0) >= where.min_success_rate
    )
    scores = {row["id"]: score(row) for row in rows}
    patterns = PostgresPatterns(
        database, half_life=timedelta(days=45), clock=lambda: datetime.now(UTC)
    )
    found: list[UUID] = []
    after: Cursor | None = None
    while page := await patterns.list_patterns(where, RULE, after, limit):
        found += [pattern.pattern_id for pattern in page]
        after = Cursor(scores[found[-1]], found[-1])

    assert found == [pattern_id for _, pattern_id in expected]
    assert found
