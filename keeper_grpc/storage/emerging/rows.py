"""Emerging patterns as rows of their table and as the JSON of their events."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from keeper_grpc.domain.emerging.model import EmergingPattern

if TYPE_CHECKING:
    from asyncpg import Record

EVENTS_CHANNEL = "keeper_emerging"
"""Notified when events were written."""

COLUMNS = """
    id, pattern_type, embedding_model, business_categories, common_pattern, account_count,
    sighting_count, mean_similarity, mean_confidence, total_potential_value, first_seen_time,
    last_seen_time, promoted_pattern_id, growth_rate, novelty, label, fading_pattern_id
"""


def from_row(row: Record) -> EmergingPattern:
    """One row with the columns of `COLUMNS`."""
    return EmergingPattern(
        emerging_pattern_id=row["id"],
        pattern_type=row["pattern_type"],
        embedding_model=row["embedding_model"],
        business_categories=tuple(row["business_categories"]),
        common_pattern=row["common_pattern"],
        account_count=row["account_count"],
        sighting_count=row["sighting_count"],
        mean_similarity=row["mean_similarity"],
        mean_confidence=row["mean_confidence"],
        total_potential_value=row["total_potential_value"],
        first_seen_time=row["first_seen_time"],
        last_seen_time=row["last_seen_time"],
        promoted_pattern_id=row["promoted_pattern_id"],
        growth_rate=row["growth_rate"],
        novelty=row["novelty"],
        label=row["label"],
        fading_pattern_id=row["fading_pattern_id"],
    )


def to_json(cluster: EmergingPattern) -> dict[str, Any]:
    """The state that an event carries."""
    promoted, fading = cluster.promoted_pattern_id, cluster.fading_pattern_id
    return {
        "id": str(cluster.emerging_pattern_id),
        "pattern_type": cluster.pattern_type,
        "embedding_model": cluster.embedding_model,
        "business_categories": list(cluster.business_categories),
        "common_pattern": cluster.common_pattern,
        "account_count": cluster.account_count,
        "sighting_count": cluster.sighting_count,
        "mean_similarity": cluster.mean_similarity,
        "mean_confidence": cluster.mean_confidence,
        "total_potential_value": cluster.total_potential_value,
        "first_seen_time": cluster.first_seen_time.isoformat(),
        "last_seen_time": cluster.last_seen_time.isoformat(),
        "promoted_pattern_id": str(promoted) if promoted else None,
        "growth_rate": cluster.growth_rate,
        "novelty": cluster.novelty,
        "label": cluster.label,
        "fading_pattern_id": str(fading) if fading else None,
    }


def from_json(state: dict[str, Any]) -> EmergingPattern:
    """The inverse of `to_json`."""
    promoted, fading = state["promoted_pattern_id"], state.get("fading_pattern_id")
    return EmergingPattern(
        emerging_pattern_id=UUID(state["id"]),
        pattern_type=state["pattern_type"],
        embedding_model=state["embedding_model"],
        business_categories=tuple(state["business_categories"]),
        common_pattern=state["common_pattern"],
        account_count=state["account_count"],
        sighting_count=state["sighting_count"],
        mean_similarity=state["mean_similarity"],
        mean_confidence=state["mean_confidence"],
        total_potential_value=state["total_potential_value"],
        first_seen_time=datetime.fromisoformat(state["first_seen_time"]),
        last_seen_time=datetime.fromisoformat(state["last_seen_time"]),
        promoted_pattern_id=UUID(promoted) if promoted else None,
        # Events written before these were told do not have them.
        growth_rate=state.get("growth_rate", 0.0),
        novelty=state.get("novelty", 1.0),
        label=state.get("label", ""),
        fading_pattern_id=UUID(fading) if fading else None,
    )
