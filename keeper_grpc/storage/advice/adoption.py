"""What owners did with a pattern's advice, as far as they and their reactions count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from keeper_grpc.domain.advice.adoption import OwnReactions
from keeper_grpc.domain.advice.reaction import DismissalReason
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection

if TYPE_CHECKING:
    from asyncpg import Record

COUNTED = """
    sum(e.reactions)::bigint AS shown,
    coalesce(sum(e.reactions) FILTER (WHERE e.adopted IN ('accepted', 'done')), 0)::bigint AS accepted,
    coalesce(sum(e.reactions) FILTER (WHERE e.adopted = 'dismissed'), 0)::bigint AS dismissed,
    coalesce(sum(e.reactions) FILTER (WHERE e.adopted = 'done'), 0)::bigint AS done,
    array_agg(e.adopted_reason) FILTER (WHERE e.adopted_reason IS NOT NULL) AS reasons,
    array_agg(e.reactions) FILTER (WHERE e.adopted_reason IS NOT NULL) AS so_often
"""
"""The stages that advice `e` with a reaction reached, for `own_reactions`."""

_BY_OWNER = f"""
    SELECT {COUNTED} FROM adopted_advice e JOIN accounts a USING (account_key)
     WHERE e.advised_scope_id = $1 AND e.pattern_id = $2
       AND a.qualified AND NOT a.forgetting
     GROUP BY a.owner_key
"""  # noqa: S608 - a constant

_BY_SCRIPT_AND_OWNER = f"""
    SELECT e.script, {COUNTED} FROM adopted_advice e JOIN accounts a USING (account_key)
     WHERE e.advised_scope_id = $1 AND e.pattern_id = $2 AND e.script <> ''
       AND a.qualified AND NOT a.forgetting
     GROUP BY e.script, a.owner_key
"""  # noqa: S608 - a constant

_SINCE = f"""
    SELECT {COUNTED} FROM adopted_advice e JOIN accounts a USING (account_key)
     WHERE e.adopted_time >= $2 AND a.qualified AND NOT a.forgetting
       AND ($1::text[] IS NULL OR e.business_category = ANY ($1))
     GROUP BY a.owner_key
"""  # noqa: S608 - a constant


async def see_reactions(connection: Connection, key: PatternKey) -> Sequence[OwnReactions]:
    """What each owner that counts did with the pattern's advice."""
    return [own_reactions(row) for row in await connection.fetch(_BY_OWNER, *key)]


async def see_script_reactions(
    connection: Connection, key: PatternKey
) -> Mapping[str, Sequence[OwnReactions]]:
    """The same by the wording that was handed out."""
    found: dict[str, list[OwnReactions]] = defaultdict(list)
    for row in await connection.fetch(_BY_SCRIPT_AND_OWNER, *key):
        found[row["script"]].append(own_reactions(row))
    return found


async def reactions_since(
    connection: Connection, categories: Sequence[str] | None, start: datetime
) -> Sequence[OwnReactions]:
    """What each owner that counts did with advice, in these categories; None is all of them. Of the reactions that
    began to count since then: were advice itself dated, a window could divide a step.
    """
    rows = await connection.fetch(_SINCE, categories, start)
    return [own_reactions(row) for row in rows]


def own_reactions(row: Record) -> OwnReactions:
    """One owner's row of `COUNTED`."""
    reasons: dict[DismissalReason, int] = defaultdict(int)
    for reason, so_often in zip(row["reasons"] or (), row["so_often"] or (), strict=True):
        reasons[DismissalReason(reason)] += so_often
    return OwnReactions(row["shown"], row["accepted"], row["dismissed"], row["done"], reasons)
