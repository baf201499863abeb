"""The first words of a pattern whose author is forgotten.

They are never shown (storage/patterns/words.py): new observations are compared with them.
"""

from __future__ import annotations

from uuid import UUID

from keeper_grpc.storage.database import Connection


async def first_action(connection: Connection, pattern_id: UUID) -> str:
    """The action that new observations are compared with."""
    action: str = await connection.fetchval(
        "SELECT action_template FROM network_patterns WHERE id = $1", pattern_id
    )
    return action


async def reword(connection: Connection, pattern_id: UUID) -> None:
    """Replace words whose observation is gone by those of the first observation that is left.

    An authored pattern has its author's. The action of a report is what the network said: of a pattern
    that consists of reports, only the conditions were the account's.
    """
    await connection.execute(
        """
        WITH ranked AS (
            SELECT id, context, action, recorded_time, disposition = 'reported' AS reported,
                   rank() OVER (ORDER BY disposition = 'reported') AS tier
              FROM observations WHERE pattern_id = $1
        ), said AS (SELECT * FROM ranked WHERE tier = 1)
        UPDATE network_patterns p
           SET context = first.context,
               action_template = CASE WHEN first.reported THEN p.action_template ELSE first.action END
          FROM (SELECT * FROM said ORDER BY recorded_time, id LIMIT 1) first
         WHERE p.id = $1 AND p.catalog_key IS NULL
           AND NOT EXISTS (SELECT FROM said s
                            WHERE s.context = p.context
                              AND (s.reported OR s.action = p.action_template))
        """,
        pattern_id,
    )


async def reword_advised(
    connection: Connection, pattern_id: UUID, old: str, new: str | None
) -> None:
    """Replace a pattern's first action where its advice began patterns of other categories with it.

    So it was before the k rule for words; since then advice carries no account's words. Those patterns get
    the first words of their own, else the new ones; with neither they keep the old.

    Does not own the scopes of the others: only a text changes, which no count depends on, and waiting for
    their locks while holding one could wait for ever.
    """
    if new == old:
        return
    await connection.execute(
        """
        WITH RECURSIVE advised (id) AS (
            SELECT id FROM network_patterns WHERE worded_from = $1
             UNION
            SELECT p.id FROM advised a JOIN network_patterns p ON p.worded_from = a.id
        )
        UPDATE network_patterns p
           SET action_template = coalesce(
                   (SELECT o.action FROM observations o
                     WHERE o.pattern_id = p.id AND o.disposition <> 'reported'
                     ORDER BY o.recorded_time, o.id LIMIT 1), $3, p.action_template)
          FROM advised a
         WHERE p.id = a.id AND p.action_template = $2 AND p.catalog_key IS NULL
           AND NOT EXISTS (SELECT FROM observations o
                            WHERE o.pattern_id = p.id AND o.disposition <> 'reported'
                              AND o.action = p.action_template)
        """,
        pattern_id,
        old,
        new,
    )
