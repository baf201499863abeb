"""Sightings as rows of their table, as the detector reads them."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING

from keeper_grpc.domain.emerging.model import Sighting
from keeper_grpc.domain.emerging.tally import Fact
from keeper_grpc.storage.database import to_array

if TYPE_CHECKING:
    from asyncpg import Record


def to_sighting(row: Record) -> Sighting:
    """A sighting that has its owner in `owner_key`."""
    return Sighting(
        row["id"],
        (row["embedding_model"], row["pattern_type"]),
        to_array(row["embedding"]),
        row["emerging_pattern_id"],
        to_fact(row),
    )


def to_fact(row: Record) -> Fact:
    """What a sighting adds to its cluster's figures."""
    return Fact(
        # Thousands of sightings name the same few accounts and categories: keep one string of each.
        intern(row["owner_key"]),
        intern(row["business_category"]),
        row["confidence"],
        row["potential_value"],
        row["seen_time"],
    )
