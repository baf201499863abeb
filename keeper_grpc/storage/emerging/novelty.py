"""The detector's reads of patterns, in statements of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from keeper_grpc.domain.emerging.model import Family, Proven
from keeper_grpc.domain.emerging.novelty import Known, Progress, portions
from keeper_grpc.storage.database import Connection, to_array
from keeper_grpc.storage.evidence.publication import published

PAIRS = 500_000
"""Clusters times patterns that one statement compares: one second at most (0.6 to 1.7 µs each, where
vectors are in memory), a tenth of the time that a statement may take. One cluster is the least, so a
type may have some millions of patterns."""

KNOWN_FOR = timedelta(days=1)
"""How much older than a cluster a pattern must be to have been known before. One that its own sightings made,
or captures that began the same day, is part of the discovery."""


NEIGHBOURS = 20
"""Patterns, the nearest by sentence, whose actions are compared: as many as a capture looks at."""


async def nearest_known(
    connection: Connection,
    centres: Mapping[UUID, tuple[Family, NDArray[np.float32]]],
    actions: Mapping[UUID, NDArray[np.float32]],
    proven: Proven,
    first_seen: Mapping[UUID, datetime],
) -> Mapping[UUID, Known]:
    """The known patterns near these centres, of clusters that were first seen then.

    Known before: a discovery makes a pattern of its own, at no distance from itself.
    """
    sizes = await _sizes(connection, {family for family, _ in centres.values()})
    known: dict[UUID, Known] = {}
    for portion in portions({key: sizes[family] for key, (family, _) in centres.items()}, PAIRS):
        rows = await connection.fetch(
            f"""
            SELECT c.id, nearest.*
              FROM unnest($1::uuid[], $2::text[], $3::text[], $4::vector[], $8::timestamptz[], $10::vector[])
                   AS c (id, model, type, centre, first_seen, action)
             CROSS JOIN LATERAL (
                WITH k AS MATERIALIZED (
                    SELECT p.scope_id, p.id, p.pattern_embedding <=> c.centre AS distance,
                           p.first_discovered < c.first_seen - $9::interval AS before,
                           {published("p", "$5")} AND p.confidence_score >= $6
                           AND NOT p.fading AS sure,
                           {published("p", "$5")} AND p.fading AS fading
                      FROM network_patterns p
                     WHERE p.scope_id IN (SELECT scope_id FROM scopes
                                           WHERE pattern_type = c.type)
                       AND p.embedding_model = c.model),
                neighbours AS (
                    SELECT scope_id, id FROM k WHERE before ORDER BY distance, id LIMIT $11)
                SELECT (SELECT min(distance) FROM k WHERE before) AS distance,
                       (SELECT min(a.action_embedding <=> c.action)
                          FROM neighbours n JOIN pattern_actions a
                            ON a.scope_id = n.scope_id AND a.pattern_id = n.id
                         WHERE c.action IS NOT NULL) AS action_distance,
                       (SELECT id FROM k WHERE sure AND 1 - distance >= $7
                         ORDER BY distance, id LIMIT 1) AS proven,
                       (SELECT id FROM k WHERE fading AND 1 - distance >= $7
                         ORDER BY distance, id LIMIT 1) AS fading) nearest
            """,  # noqa: S608 - a constant
            portion,
            [centres[key][0][0] for key in portion],
            [centres[key][0][1] for key in portion],
            [Vector(centres[key][1]) for key in portion],
            proven.k,
            proven.min_lower_bound,
            proven.min_similarity,
            [first_seen[key] for key in portion],
            KNOWN_FOR,
            [Vector(actions[key]) if key in actions else None for key in portion],
            NEIGHBOURS,
        )
        known |= {
            row["id"]: Known(row["distance"], row["action_distance"], row["proven"], row["fading"])
            for row in rows
        }
    return known


async def still_published(
    connection: Connection, pattern_ids: Collection[UUID], k: int
) -> set[UUID]:
    """The patterns among these that exist, are published and do not fade."""
    rows = await connection.fetch(
        f"SELECT p.id FROM network_patterns p"  # noqa: S608 - a constant
        f" WHERE p.id = ANY($1::uuid[]) AND {published('p', '$2')} AND NOT p.fading",
        list(pattern_ids),
        k,
    )
    return {row["id"] for row in rows}


async def current_progress(connection: Connection) -> Progress:
    """The progress before all unfinished and future transactions."""
    oldest, _ = await _transactions(connection)
    return Progress.before(oldest)


async def proven_since(
    connection: Connection, embedding_model: str, progress: Progress, proven: Proven, limit: int
) -> tuple[Sequence[tuple[Family, NDArray[np.float32]]], Progress]:
    """At most this many patterns of the model that are proven or fade and changed since, and the progress
    after them.
    """
    if not progress.in_progress:
        oldest, coming = await _transactions(connection)
        progress = replace(progress, until=coming, following=oldest)
    rows = await connection.fetch(
        f"""
        SELECT p.id, p.pattern_type, p.pattern_embedding, p.changed_in FROM network_patterns p
         WHERE p.embedding_model = $1 AND (p.changed_in, p.id) > ($2::xid8, $3::uuid)
           AND p.changed_in < $4::xid8
           AND {published("p", "$5")} AND (p.confidence_score >= $6 OR p.fading)
         ORDER BY p.changed_in, p.id LIMIT $7
        """,  # noqa: S608 - a constant
        embedding_model,
        *progress.after,
        progress.until,
        proven.k,
        proven.min_lower_bound,
        limit,
    )
    found = [
        ((embedding_model, row["pattern_type"]), to_array(row["pattern_embedding"])) for row in rows
    ]
    if len(rows) < limit and progress.following is not None:
        return found, Progress.before(progress.following)
    return found, replace(progress, after=(rows[-1]["changed_in"], rows[-1]["id"]))


async def _transactions(connection: Connection) -> tuple[int, int]:
    """The oldest unfinished transaction, and an upper bound of all finished ones."""
    (row,) = await connection.fetch(
        "SELECT pg_snapshot_xmin(now), pg_snapshot_xmax(now) FROM pg_current_snapshot() AS now"
    )
    return row[0], row[1]


async def _sizes(connection: Connection, families: Collection[Family]) -> Mapping[Family, int]:
    """The number of patterns of each of these models and types."""
    scopes = await connection.fetch(
        "SELECT scope_id, pattern_type FROM scopes WHERE pattern_type = ANY($1::text[])",
        list({pattern_type for _, pattern_type in families}),
    )
    type_of = {row["scope_id"]: row["pattern_type"] for row in scopes}
    rows = await connection.fetch(
        """
        SELECT scope_id, embedding_model, count(*) AS size FROM network_patterns
         WHERE scope_id = ANY($1::bigint[]) GROUP BY 1, 2
        """,
        list(type_of),
    )
    sizes = dict.fromkeys(families, 0)
    for row in rows:
        family = row["embedding_model"], type_of[row["scope_id"]]
        if family in sizes:
            sizes[family] += row["size"]
    return sizes
