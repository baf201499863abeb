"""The first words of a pattern whose author is forgotten.

They are never shown (storage/patterns/words.py): new observations are compared with them.
"""

from __future__ import annotations

from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.keys import in_pairs


async def first_action(connection: Connection, key: PatternKey) -> str:
    """The action that new observations are compared with."""
    action: str = await connection.fetchval(
        "SELECT action_template FROM network_patterns WHERE scope_id = $1 AND id = $2", *key
    )
    return action


async def reword(connection: Connection, key: PatternKey) -> None:
    """Replace words whose observation is gone by those of the first observation that is left.

    An authored pattern has its author's. The action of a report is what the network said: of a pattern
    that consists of reports, only the conditions were the account's.
    """
    await connection.execute(
        """
        WITH ranked AS (
            SELECT id, context, action, recorded_time, reported, rank() OVER (ORDER BY reported) AS tier
              FROM said_words WHERE scope_id = $1 AND pattern_id = $2
        ), said AS (SELECT * FROM ranked WHERE tier = 1)
        UPDATE network_patterns p
           SET context = first.context,
               action_template = CASE WHEN first.reported THEN p.action_template ELSE first.action END
          FROM (SELECT * FROM said ORDER BY recorded_time, id LIMIT 1) first
         WHERE p.scope_id = $1 AND p.id = $2 AND p.catalog_key IS NULL
           AND NOT EXISTS (SELECT 1 FROM said s
                            WHERE s.context = p.context
                              AND (s.reported OR s.action = p.action_template))
        """,
        *key,
    )


async def reword_advised(
    connection: Connection, key: PatternKey, old: str, new: str | None
) -> None:
    """Replace a pattern's first action where its advice began patterns of other categories with it.

    So it was before the k rule for words; since then advice carries no account's words. Those patterns get
    the first words of their own, else the new ones; with neither they keep the old.

    Does not own the scopes of the others: only a text changes, which no count depends on, and waiting for
    their locks while holding one could wait for ever.
    """
    if new == old:
        return
    for advised in await _advised_by(connection, key):
        if await connection.fetchval(
            """
            SELECT EXISTS (SELECT 1 FROM said_words
                            WHERE scope_id = $1 AND pattern_id = $2 AND NOT reported AND action = $3)
            """,
            *advised,
            old,
        ):
            continue
        first = await connection.fetchval(
            """
            SELECT action FROM said_words
             WHERE scope_id = $1 AND pattern_id = $2 AND NOT reported ORDER BY recorded_time, id LIMIT 1
            """,
            *advised,
        )
        await connection.execute(
            """
            UPDATE network_patterns SET action_template = coalesce($4, action_template)
             WHERE scope_id = $1 AND id = $2 AND action_template = $3 AND catalog_key IS NULL
            """,
            *advised,
            old,
            new if first is None else first,
        )


async def _advised_by(connection: Connection, key: PatternKey) -> set[PatternKey]:
    """The patterns that began with this one's advice, and with the advice of those."""
    found: set[PatternKey] = set()
    last = {key}
    while last:
        rows = await connection.fetch(
            """
            SELECT p.scope_id, p.id
              FROM unnest($1::bigint[], $2::uuid[]) AS source (scope_id, id)
              JOIN network_patterns p
                ON p.worded_from_scope_id = source.scope_id AND p.worded_from = source.id
            """,
            *in_pairs(last),
        )
        last = {PatternKey(*row) for row in rows} - found
        found |= last
    return found
