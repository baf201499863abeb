"""Writes sightings of captures and enhancements, for the emerging-pattern detector."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

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
        NOT EXISTS (SELECT FROM accounts a
                     WHERE a.account_key = {sighting}.account_key
                       AND NOT (a.qualified AND a.business_category = {sighting}.business_category))
    """


_TYPES = SIGHTINGS.types | {
    "scope_id": "bigint",
    "account_key": "text",
    "embedding_model": "text",
    "embedding": "vector",
    "rendered": "text",
    "rendered_hash": "bytea",
    "seen_time": "timestamptz",
}
_COLUMNS = ", ".join(_TYPES)
_ARRAYS = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_TYPES.values(), 1))
_BEFORE = f"${len(_TYPES) + 1}::timestamptz[]"

_WRITE = f"""
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest({_ARRAYS}, {_BEFORE}) AS g ({_COLUMNS}, before)
    ), last AS MATERIALIZED (
        -- One by one, by their key: rows are as wide as their vectors, and a join might read all of them.
        SELECT g.*, found.id AS last_id, found.seen_time AS last_time
          FROM given g LEFT JOIN LATERAL (
               SELECT s.id, s.seen_time FROM sightings s
                WHERE s.scope_id = g.scope_id AND s.account_key = g.account_key
                  AND s.rendered_hash = g.rendered_hash AND s.embedding_model = g.embedding_model
                LIMIT 1) found ON true
    ), renewed AS MATERIALIZED (
        -- In the order of ids, as the detector takes them.
        SELECT FROM sightings
         WHERE id = ANY (ARRAY(SELECT last_id FROM last WHERE last_time < before)) ORDER BY id FOR UPDATE
    )
    INSERT INTO sightings AS s ({_COLUMNS}, pending)
    SELECT {_COLUMNS}, {counts("l")}
      FROM last l
     WHERE (SELECT count(*) FROM renewed) >= 0
       AND coalesce(last_time < before, true)
     ORDER BY account_key, rendered_hash
    ON CONFLICT (scope_id, account_key, rendered_hash, embedding_model) DO UPDATE
       SET confidence = excluded.confidence, potential_value = excluded.potential_value,
           seen_time = greatest(s.seen_time, excluded.seen_time),
           pending = excluded.pending
"""  # noqa: S608 - only constants are interpolated


async def write_sightings(connection: Connection, seen: Sequence[Seen]) -> None:
    """Add or renew sightings, in their order, within the caller's transaction.

    Nothing is written where the last sighting is recent, so that a hot loop costs the detector nothing. Those of an
    account that does not count wait. The caller has made sure that the model is the database's, and holds the
    accounts.
    """
    rows: dict[tuple[str, bytes, str], tuple[Seen, str]] = {}
    for one in seen:
        rendered = one.insight.render()
        key = (
            one.account_key,
            hashlib.sha256(rendered.encode()).digest(),
            one.embedding_model,
        )
        earlier = rows.get(key)
        if earlier is None:
            rows[key] = one, rendered
        elif earlier[0].seen_time < one.seen_time - RENEWAL:
            rows[key] = replace(one, embedding=earlier[0].embedding), rendered
    if not rows:
        return
    columns: dict[str, list[object]] = {column: [] for column in _TYPES}
    for (_, digest, _), (one, rendered) in rows.items():
        row = SIGHTINGS.values(one.insight) | {
            "scope_id": scope_id(one.insight.type, one.insight.business_category),
            "account_key": one.account_key,
            "embedding_model": one.embedding_model,
            "embedding": Vector(one.embedding),
            "rendered": rendered,
            "rendered_hash": digest,
            "seen_time": one.seen_time,
        }
        for column, values in columns.items():
            values.append(row[column])
    await connection.execute(
        _WRITE, *columns.values(), [one.seen_time - RENEWAL for one, _ in rows.values()]
    )
