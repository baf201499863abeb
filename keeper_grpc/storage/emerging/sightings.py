"""Writes a sighting of a capture or an enhancement, for the emerging-pattern detector."""

from __future__ import annotations

import hashlib
from datetime import datetime

import asyncpg
import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.model import RENEWAL
from keeper_grpc.domain.errors import PatternsMoved
from keeper_grpc.domain.insight import AnonymizedInsight
from keeper_grpc.domain.patterns.pattern import scope_id
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.insight_columns import SIGHTINGS
from keeper_grpc.storage.rows import insert_row

REPLACED = "KP001"
"""SQLSTATE of the trigger on sightings: the vector is of a model that is no longer the database's."""

_RENEW = f"""
    ON CONFLICT (scope_id, account_key, rendered_hash, embedding_model) DO UPDATE
       SET confidence = excluded.confidence, potential_value = excluded.potential_value,
           seen_time = greatest(sightings.seen_time, excluded.seen_time), pending = true
     WHERE sightings.seen_time < excluded.seen_time - interval '{RENEWAL.total_seconds()} seconds'
"""  # noqa: S608 - only a constant is interpolated


async def insert_sighting(
    connection: Connection,
    *,
    account_key: str,
    insight: AnonymizedInsight,
    embedding_model: str,
    embedding: NDArray[np.float32],
    seen_time: datetime,
) -> None:
    """Add or renew one sighting within the caller's transaction.

    Nothing is written when the last sighting is recent, so that a hot loop costs the detector nothing.
    """
    rendered = insight.render()
    row = SIGHTINGS.values(insight) | {
        "scope_id": scope_id(insight.type, insight.business_category),
        "account_key": account_key,
        "embedding_model": embedding_model,
        "embedding": embedding,
        "rendered": rendered,
        "rendered_hash": hashlib.sha256(rendered.encode()).digest(),
        "seen_time": seen_time,
    }
    try:
        await insert_row(connection, "sightings", row, conflict=_RENEW)
    except asyncpg.PostgresError as error:
        if error.sqlstate == REPLACED:
            raise PatternsMoved from error
        raise
