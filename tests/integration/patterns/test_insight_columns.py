from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from uuid import uuid4

import pytest

from keeper_grpc.domain.insight import AnonymizedInsight
from keeper_grpc.storage.insight_columns import ENHANCEMENTS, OBSERVATIONS, InsightColumns
from keeper_grpc.storage.rows import insert_row
from tests.integration.observations import MODEL, START, opened, register

INSIGHT = AnonymizedInsight(
    type="churn_prevention",
    business_category="spa",
    conditions={"day_of_week": "Monday", "visits": 3},
    action="Call the guest",
    script="Good day",
    confidence=0.75,
    dollar_value=120.0,
    potential_value=-40.0,
)

QUESTION = {
    "embedding_model": MODEL,
    "similarity": 0.0,
    "confidence": 0.8,
    "expected_success_rate": 0.0,
    "transfer": 1.0,
    "script": "the advice's wording",
    "created_at": START,
}
OBSERVATION = {
    "disposition": "withheld",
    "similarity": 0.0,
    "embedding_model": MODEL,
    "success": True,
    "anonymization": {"masked": {}, "dropped": []},
    "occurred_time": START,
    "recorded_time": START + timedelta(seconds=1),
}


@pytest.mark.parametrize(
    ("table", "columns", "others"),
    [("observations", OBSERVATIONS, OBSERVATION), ("enhancements", ENHANCEMENTS, QUESTION)],
)
async def test_an_insight_comes_back_whole(
    database_url: str, table: str, columns: InsightColumns, others: dict[str, object]
) -> None:
    """What the ledger and the questions keep of an insight is all of it."""
    row_id, account = uuid4(), f"account_of_{table}"
    row: dict[str, object] = {"id": row_id, "scope_id": 1, "account_key": account, **others}
    async with opened(database_url) as database:
        await register(database, account)
        async with database.connection() as connection:
            await insert_row(connection, table, row | columns.values(INSIGHT))
            kept = await connection.fetchrow(
                f"SELECT {columns.names} FROM {table} WHERE id = $1",  # noqa: S608 - the test's own
                row_id,
            )
    assert kept
    assert columns.read(kept) == INSIGHT


@pytest.mark.parametrize("columns", [OBSERVATIONS, ENHANCEMENTS])
def test_every_field_has_a_column(columns: InsightColumns) -> None:
    """A new field of AnonymizedInsight that nothing keeps is noticed here."""
    assert len(columns.values(INSIGHT)) == len(fields(AnonymizedInsight))
