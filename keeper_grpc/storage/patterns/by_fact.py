"""Reads the evidence of one pattern by single facts of the situation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from keeper_grpc.domain.evidence.evidence import Share, Shares
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection


async def see_facts(connection: Connection, key: PatternKey) -> tuple[Shares, Mapping[str, Shares]]:
    """All that each owner observed of the pattern, and the same by the facet of each single fact."""
    owners = await connection.fetch(
        """
        SELECT owner_key, occurrence_count, success_count FROM pattern_owners
         WHERE scope_id = $1 AND pattern_id = $2
        """,
        *key,
    )
    rows = await connection.fetch(
        """
        SELECT facet, owner_key, occurrence_count, success_count FROM facet_owners
         WHERE scope_id = $1 AND pattern_id = $2 AND facet NOT LIKE 'whole:%'
        """,
        *key,
    )
    facts: dict[str, dict[str, Share]] = defaultdict(dict)
    for row in rows:
        facts[row["facet"]][row["owner_key"]] = Share(row["occurrence_count"], row["success_count"])
    whole = {
        row["owner_key"]: Share(row["occurrence_count"], row["success_count"]) for row in owners
    }
    return whole, facts
