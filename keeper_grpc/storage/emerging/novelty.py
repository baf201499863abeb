"""The detector's reads of patterns, in statements of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from asyncpg import Record
from numpy.typing import NDArray
from pgvector import Vector

from keeper_grpc.domain.emerging.model import Family, Proven
from keeper_grpc.domain.emerging.novelty import Known, Progress, portions
from keeper_grpc.storage.database import Connection, to_array
from keeper_grpc.storage.evidence.publication import published

PAIRS = 100_000
"""Clusters times patterns that one statement compares: half a second (5 µs each, where a network of 100,000 patterns is read
from the cache of the operating system), a twentieth of the time that a statement may take. One cluster is the least, so a
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
    families = {family for family, _ in centres.values()}
    type_of = await _scopes(connection, families)
    sizes = await _sizes(connection, families, type_of)
    known: dict[UUID, Known] = {}
    for model in {model for model, _ in families}:
        costs = {key: sizes[family] for key, (family, _) in centres.items() if family[0] == model}
        for portion in portions(costs, PAIRS):
            clusters = {key: (*centres[key], first_seen[key]) for key in portion}
            compared = await _compare(connection, model, clusters, proven, type_of)
            action_distances = await _action_distances(connection, compared, actions)
            # Of a type without a pattern nothing is known.
            known |= dict.fromkeys(portion, Known())
            known |= {
                key: Known(row["distance"], action_distances.get(key), row["proven"], row["fading"])
                for key, row in compared.items()
            }
    return known


async def _compare(
    connection: Connection,
    model: str,
    clusters: Mapping[UUID, tuple[Family, NDArray[np.float32], datetime]],
    proven: Proven,
    type_of: Mapping[int, str],
) -> Mapping[UUID, Record]:
    """What each of these clusters of a model is near to by sentence, with the neighbours that were there before it.

    One model at a time: an index finds its patterns, and none of their rows is asked for its model.
    """
    rows = await connection.fetch(
        f"""
        WITH k AS MATERIALIZED (
            SELECT c.id AS cluster, p.scope_id, p.id, p.pattern_embedding <=> c.centre AS distance,
                   p.first_discovered < c.first_seen - $9::interval AS before,
                   {published("p", "$5")} AND p.confidence_score >= $6 AND NOT p.fading AS sure,
                   {published("p", "$5")} AND p.fading AS fading
              FROM unnest($1::uuid[], $3::text[], $4::vector[], $8::timestamptz[])
                   AS c (id, type, centre, first_seen)
              JOIN unnest($11::bigint[], $12::text[]) AS s (scope_id, type) USING (type)
              JOIN network_patterns p ON p.scope_id = s.scope_id AND p.embedding_model = $2
        )
        SELECT cluster, min(distance) FILTER (WHERE before) AS distance,
               (array_agg(id ORDER BY distance, id) FILTER (WHERE sure AND 1 - distance >= $7))[1] AS proven,
               (array_agg(id ORDER BY distance, id) FILTER (WHERE fading AND 1 - distance >= $7))[1] AS fading,
               (array_agg(scope_id ORDER BY distance, id) FILTER (WHERE before))[:$10] AS near_scopes,
               (array_agg(id ORDER BY distance, id) FILTER (WHERE before))[:$10] AS near
          FROM k GROUP BY cluster
        """,  # noqa: S608 - a constant
        list(clusters),
        model,
        [pattern_type for (_, pattern_type), _, _ in clusters.values()],
        [Vector(centre) for _, centre, _ in clusters.values()],
        proven.k,
        proven.min_lower_bound,
        proven.min_similarity,
        [first_seen for _, _, first_seen in clusters.values()],
        KNOWN_FOR,
        NEIGHBOURS,
        list(type_of),
        list(type_of.values()),
    )
    return {row["cluster"]: row for row in rows}


async def _action_distances(
    connection: Connection,
    compared: Mapping[UUID, Record],
    actions: Mapping[UUID, NDArray[np.float32]],
) -> Mapping[UUID, float]:
    """The distance of each cluster's action to the nearest of its neighbours' actions."""
    near = [
        (cluster, scope_id, pattern_id)
        for cluster, row in compared.items()
        if cluster in actions
        for scope_id, pattern_id in zip(row["near_scopes"] or (), row["near"] or (), strict=True)
    ]
    if not near:
        return {}
    asked = list({cluster for cluster, _, _ in near})
    rows = await connection.fetch(
        """
        SELECT c.cluster, min(a.action_embedding <=> c.action) AS distance
          FROM unnest($1::uuid[], $2::vector[]) AS c (cluster, action)
          JOIN unnest($3::uuid[], $4::bigint[], $5::uuid[]) AS n (cluster, scope_id, pattern_id) USING (cluster)
          JOIN pattern_actions a ON a.scope_id = n.scope_id AND a.pattern_id = n.pattern_id
         GROUP BY c.cluster
        """,
        asked,
        [Vector(actions[cluster]) for cluster in asked],
        *(list(column) for column in zip(*near, strict=True)),
    )
    return {row["cluster"]: row["distance"] for row in rows}


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


async def _scopes(connection: Connection, families: Collection[Family]) -> Mapping[int, str]:
    """The scopes of these types, with the type of each."""
    rows = await connection.fetch(
        "SELECT scope_id, pattern_type FROM scopes WHERE pattern_type = ANY($1::text[])",
        list({pattern_type for _, pattern_type in families}),
    )
    return {row["scope_id"]: row["pattern_type"] for row in rows}


async def _sizes(
    connection: Connection, families: Collection[Family], type_of: Mapping[int, str]
) -> Mapping[Family, int]:
    """The number of patterns of each of these models and types."""
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
