"""Reading the catalog's patterns as candidates for a question."""

from __future__ import annotations

from collections.abc import Sequence

from keeper_grpc.domain.advice.authored import StoredAuthored
from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.ranking import Candidate
from keeper_grpc.domain.evidence.evidence import Share
from keeper_grpc.domain.evidence.expectation import NOWHERE
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.keys import key_of
from keeper_grpc.storage.patterns.view import (
    columns,
    see_harms,
    see_scripts,
    see_situations,
    shares,
    to_pattern,
    to_shares,
)

_AUTHORED = f"""
    SELECT {columns("$1")}, p.trigger, 1 - (p.pattern_embedding <=> $3) AS similarity,
           (SELECT ARRAY[own.occurrence_count, own.success_count] FROM pattern_accounts own
             WHERE own.scope_id = $1 AND own.pattern_id = p.id AND own.account_key = $4) AS own
      FROM network_patterns p {shares("$4", "$1")}
     WHERE p.catalog_key IS NOT NULL AND p.trigger IS NOT NULL AND p.retired_time IS NULL
       AND p.scope_id = $1 AND p.embedding_model = $2
"""  # noqa: S608 - only constants are interpolated


async def authored_candidates(
    connection: Connection, asked: Asked, rule: PublicationRule, now_weight: float
) -> Sequence[StoredAuthored]:
    """The catalog's patterns of the question's type and category, as the asking account may see them."""
    viewer = asked.account_key
    rows = await connection.fetch(
        _AUTHORED,
        asked.scope.scope_id,
        asked.scope.embedding_model,
        asked.vector,
        viewer,
    )
    seen = {key_of(row): to_shares(row, now_weight) for row in rows}
    situations = await see_situations(
        connection, seen, asked.conditions, rule, viewer=viewer, now_weight=now_weight
    )
    scripts = await see_scripts(connection, seen, rule, viewer, now_weight=now_weight)
    harms = await see_harms(connection, seen, viewer)
    return [
        StoredAuthored(
            Candidate(
                to_pattern(
                    row,
                    seen[key_of(row)],
                    scripts.get(row["id"], ()),
                    rule,
                    words=None,
                    harms=harms.get(row["id"], {}),
                ),
                row["similarity"],
                situations.get(row["id"], NOWHERE),
            ),
            row["trigger"],
            Share(*(row["own"] or (0, 0))),
        )
        for row in rows
    ]
