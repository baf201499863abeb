"""The words of a pattern whose author is forgotten, wherever advice has carried them."""

from __future__ import annotations

from uuid import UUID

from keeper_grpc.storage.database import Connection


async def reword(connection: Connection, pattern_id: UUID) -> None:
    """A pattern speaks in the words of its first observation; without it, of the first that is left.

    An authored one speaks in its author's. Reports only repeat a pattern's words: they decide where
    nothing else is left, and otherwise repeat the new ones from now on.
    """
    await connection.execute(
        """
        WITH ranked AS (
            SELECT id, context, action, recorded_time,
                   rank() OVER (ORDER BY disposition = 'reported') AS tier
              FROM observations WHERE pattern_id = $1
        ), words AS (SELECT * FROM ranked WHERE tier = 1)
        UPDATE network_patterns p SET context = first.context, action_template = first.action
          FROM (SELECT context, action FROM words ORDER BY recorded_time, id LIMIT 1) first
         WHERE p.id = $1 AND p.catalog_key IS NULL
           AND NOT EXISTS (SELECT FROM words w
                            WHERE w.action = p.action_template AND w.context = p.context)
        """,
        pattern_id,
    )
    await connection.execute(
        """
        UPDATE observations o SET action = p.action_template FROM network_patterns p
         WHERE p.id = $1 AND o.pattern_id = $1 AND o.disposition = 'reported'
           AND o.action <> p.action_template
           AND (p.catalog_key IS NOT NULL
                OR EXISTS (SELECT FROM observations
                            WHERE pattern_id = $1 AND disposition <> 'reported'))
        """,
        pattern_id,
    )


async def reword_advised(
    connection: Connection, pattern_id: UUID, old: str, new: str | None
) -> None:
    """Replace a pattern's old action in other patterns, where reports of its advice repeat it.

    They get the words of the pattern that they count into, if these are anyone's there, else the new
    ones. With neither (`new` is None where the pattern is about to be deleted) they keep the old.

    Does not own the scopes of the others: only texts change, which no count depends on, and waiting
    for their locks while holding one could wait for ever.
    """
    if new == old:
        return
    rows = await connection.fetch(
        """
        WITH RECURSIVE reached (pattern_id) AS (
            SELECT $1::uuid
            UNION
            SELECT o.pattern_id FROM reached r
              JOIN enhancements e ON e.pattern_id = r.pattern_id
              JOIN observations o ON o.enhancement_id = e.id
             WHERE o.action = $2 AND o.pattern_id IS NOT NULL
        )
        SELECT pattern_id FROM reached WHERE pattern_id <> $1 ORDER BY pattern_id
        """,
        pattern_id,
        old,
    )
    for row in rows:
        await reword(connection, row["pattern_id"])
        if new is not None:
            await _substitute(connection, row["pattern_id"], old, new)


async def _substitute(connection: Connection, pattern_id: UUID, old: str, new: str) -> None:
    """Put the new action for the old one in a pattern that consists of reports alone."""
    await connection.execute(
        """
        WITH reports AS (
            UPDATE observations o SET action = $3
              FROM network_patterns p
             WHERE p.id = $1 AND p.catalog_key IS NULL AND o.pattern_id = $1 AND o.action = $2
               AND NOT EXISTS (SELECT FROM observations
                                WHERE pattern_id = $1 AND disposition <> 'reported')
            RETURNING o.id
        )
        UPDATE network_patterns SET action_template = $3
         WHERE id = $1 AND action_template = $2 AND EXISTS (SELECT FROM reports)
        """,
        pattern_id,
        old,
        new,
    )
