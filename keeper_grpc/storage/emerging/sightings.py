"""Writes sightings of captures and enhancements, for the emerging-pattern detector."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from pgvector import Vector

from keeper_grpc.domain.emerging.model import RENEWAL
from keeper_grpc.domain.patterns.group import Seen
from keeper_grpc.domain.patterns.pattern import scope_id
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.insight_columns import SIGHTINGS


def counts(sighting: str) -> str:
    """The condition that the account of a row of sightings counts, as SQL of its alias: else the sighting waits.

    One whose account is gone is the detector's to take out.
    """
    return f"""
        NOT EXISTS (SELECT 1 FROM accounts a
                     WHERE a.account_key = {sighting}.account_key
                       AND NOT (a.qualified AND a.business_category = {sighting}.business_category))
    """  # noqa: S608 - only an alias is interpolated


_TYPES = SIGHTINGS.types | {
    "scope_id": "bigint",
    "account_key": "text",
    "embedding_model": "text",
    "embedding": "vector",
    "rendered": "text",
    "rendered_hash": "bytea",
    "seen_time": "timestamptz",
}
_ARRAYS = ", ".join(
    f"new_{column} => ${n}::{kind}[]" for n, (column, kind) in enumerate(_TYPES.items(), 1)
)
_BEFORE = f"renewed_before => ${len(_TYPES) + 1}::timestamptz[]"


@dataclass(frozen=True, slots=True)
class SightingArrays:
    """Sightings by column, one for each account and sentence, and their `places` among those that were given.

    `columns` end with the time before which the last sighting must have been for this one to be written.
    """

    places: Sequence[int]
    columns: Mapping[str, Sequence[object]]

    types: ClassVar[Mapping[str, str]] = _TYPES | {"before": "timestamptz"}


def sighting_arrays(seen: Sequence[Seen]) -> SightingArrays:
    """These sightings, in their order."""
    rows: dict[tuple[str, str, str], tuple[int, Seen]] = {}
    for place, one in enumerate(seen):
        key = (one.account_key, one.insight.render(), one.embedding_model)
        earlier = rows.get(key)
        if earlier is None:
            rows[key] = place, one
        elif earlier[1].seen_time < one.seen_time - RENEWAL:
            rows[key] = earlier[0], replace(one, embedding=earlier[1].embedding)
    columns: dict[str, list[object]] = {column: [] for column in SightingArrays.types}
    for (_, rendered, _), (_, one) in rows.items():
        row = SIGHTINGS.values(one.insight) | {
            "scope_id": scope_id(one.insight.type, one.insight.business_category),
            "account_key": one.account_key,
            "embedding_model": one.embedding_model,
            "embedding": Vector(one.embedding),
            "rendered": rendered,
            "rendered_hash": hashlib.sha256(rendered.encode()).digest(),
            "seen_time": one.seen_time,
            "before": one.seen_time - RENEWAL,
        }
        for column, values in columns.items():
            values.append(row[column])
    return SightingArrays([place for place, _ in rows.values()], columns)


async def write_sightings(connection: Connection, seen: Sequence[Seen]) -> None:
    """Add or renew sightings, in their order, within the caller's transaction.

    Nothing is written where the last sighting is recent, so that a hot loop costs the detector nothing. Those of an
    account that does not count wait. The caller has made sure that the model is the database's, and holds the
    accounts.
    """
    if not seen:
        return
    arrays = sighting_arrays(seen)
    await connection.execute(
        f"SELECT write_sightings({_ARRAYS}, {_BEFORE})", *arrays.columns.values()
    )
