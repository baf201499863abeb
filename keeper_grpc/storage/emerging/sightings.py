"""Writing a sighting: what the emerging-pattern detector will see of a capture or an enhancement."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.model import RENEWAL
from keeper_grpc.domain.insight import AnonymizedInsight
from keeper_grpc.storage.database import Connection


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

    Nothing is written when the same was seen a moment ago: a hot loop costs the detector nothing.
    """
    await connection.execute(
        """
        INSERT INTO sightings (account_key, pattern_type, business_category, embedding_model,
                               embedding, rendered, rendered_hash, confidence,
                               potential_value, seen_time, action)
        VALUES ($1, $2, $3, $4, $5, $6, sha256(convert_to($6, 'UTF8')), $7, $8, $9, $11)
        ON CONFLICT (account_key, rendered_hash, embedding_model) DO UPDATE
           SET confidence = excluded.confidence, potential_value = excluded.potential_value,
               seen_time = greatest(sightings.seen_time, excluded.seen_time), pending = true
         WHERE sightings.seen_time < excluded.seen_time - $10::interval
        """,
        account_key,
        insight.type,
        insight.business_category,
        embedding_model,
        embedding,
        insight.render(),
        insight.confidence,
        insight.potential_value,
        seen_time,
        RENEWAL,
        insight.action,
    )
