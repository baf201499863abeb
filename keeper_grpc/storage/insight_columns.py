"""The columns that hold an anonymized insight, for each table that stores one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keeper_grpc.domain.insight import AnonymizedInsight

if TYPE_CHECKING:
    from asyncpg import Record

_COLUMNS: Mapping[str, str] = {
    "type": "pattern_type",
    "business_category": "business_category",
    "conditions": "context",
    "action": "action",
    "script": "script",
    "confidence": "confidence",
    "dollar_value": "dollar_value",
    "potential_value": "potential_value",
}
"""Every field of AnonymizedInsight and its column. A field that is added here is stored in the ledger and
with the enhancements; its migration adds the column to both tables."""


_TYPES: Mapping[str, str] = {
    "conditions": "jsonb",
    "confidence": "float8",
    "dollar_value": "float8",
    "potential_value": "float8",
}
"""The type of a field's column where it is not text."""


class InsightColumns:
    """The columns of one table that hold an insight, or the fields of it that the table needs."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns

    @property
    def names(self) -> str:
        """The columns, for a SELECT that `read` takes."""
        return ", ".join(self._columns.values())

    @property
    def types(self) -> dict[str, str]:
        """The type of each column, for `insert_rows`."""
        return {column: _TYPES.get(field, "text") for field, column in self._columns.items()}

    def values(self, insight: AnonymizedInsight) -> dict[str, object]:
        """The insight by column, for `insert_row`."""
        return {column: getattr(insight, field) for field, column in self._columns.items()}

    def read(self, row: Record | Mapping[str, Any]) -> AnonymizedInsight:
        """The insight of a row with the columns of `names`. Only for tables that hold every field."""
        return AnonymizedInsight(**{field: row[column] for field, column in self._columns.items()})


OBSERVATIONS = InsightColumns(_COLUMNS)
ENHANCEMENTS = InsightColumns(
    # `script` and `confidence` there are the advice's.
    {**_COLUMNS, "script": "asked_script", "confidence": "base_confidence"}
)
SIGHTINGS = InsightColumns(
    # Only what the detector needs: forgetting strips a sighting field by field.
    {
        field: _COLUMNS[field]
        for field in ("type", "business_category", "action", "confidence", "potential_value")
    }
)
