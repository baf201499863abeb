"""The words of a pattern that may be shown: what k owners share of what its accounts captured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.shown_words import Wording, shown_action, shown_conditions
from keeper_grpc.domain.patterns.situation import facts
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.keys import by_column

MOST_WORDINGS = 16
"""Distinct actions that are kept of one account in one pattern, its first: bounds what one can add."""

MOST_READ = 200
"""Distinct actions, those of most owners first, that decide a pattern's words: bounds what a pattern costs,
some milliseconds, in a capture that adds one."""


def action_in_words(alias: str) -> str:
    """The action of a row of network_patterns as it may be shown, as SQL; empty where none may."""
    own = "CASE WHEN {0}.catalog_key IS NOT NULL THEN {0}.action_template ELSE {0}.shown_action END"
    return f"""
        coalesce(nullif({own.format(alias)}, ''),
                 (SELECT {own.format("source")} FROM network_patterns source
                   WHERE source.scope_id = {alias}.worded_from_scope_id
                     AND source.id = {alias}.worded_from AND source.retired_time IS NULL), '')
    """  # noqa: S608 - only aliases are interpolated


def conditions_in_words(alias: str) -> str:
    """The conditions of a row of network_patterns as they may be shown, as SQL."""
    return f"CASE WHEN {alias}.catalog_key IS NOT NULL THEN {alias}.context ELSE {alias}.shown_context END"


@dataclass(frozen=True, slots=True)
class News:
    """What an observation added to what owners say: a wording, and facts that its account is new to."""

    wording: bool
    facets: Sequence[str]


@dataclass(frozen=True, slots=True)
class ShownWords:
    """The words that may be shown of a pattern. None: as they are."""

    action: str | None
    conditions: Mapping[str, JsonValue] | None


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a pattern as one viewer may see them."""

    action: str
    conditions: Mapping[str, JsonValue]


async def shown_words(
    connection: Connection,
    key: PatternKey,
    shown: Mapping[str, JsonValue],
    k: int,
    news: News | None,
) -> ShownWords:
    """What may be shown now, where these conditions were `shown` before.

    `news` says what an observation added: then only what that can change is read. None reads all.
    """
    action = conditions = None
    if news is None or news.wording:
        action = shown_action(await _wordings(connection, key), k)
    if news is None or news.facets:
        # One more owner can only bring its own facts above those that are shown.
        among = None if news is None else [*news.facets, *facts(shown)]
        conditions = shown_conditions(await _owners_of_facts(connection, key, k, among), k)
    return ShownWords(action, conditions)


async def words_of_others(
    connection: Connection, keys: Sequence[PatternKey], k: int, viewer: str
) -> Mapping[UUID, Words]:
    """What may be shown to the account with this key, whose owner supports some of these patterns' words.

    Of others k owners have each word, as they do of what any other reader is shown: else the account would
    learn what fewer share with it.
    """
    if not keys:
        return {}
    scopes, pattern_ids = by_column(keys)
    wordings: dict[UUID, list[Wording]] = {pattern_id: [] for pattern_id in pattern_ids}
    facts_of: dict[UUID, dict[str, int]] = {pattern_id: {} for pattern_id in pattern_ids}
    for row in await connection.fetch(_SAID_BY_OTHERS, scopes, pattern_ids, viewer, MOST_READ):
        wordings[row["pattern_id"]].append(Wording(row["action"], frozenset(row["owners"])))
    for row in await connection.fetch(_FACTS_OF_OTHERS, scopes, pattern_ids, viewer, k):
        facts_of[row["pattern_id"]][row["facet"]] = row["owners"]
    return {
        pattern_id: Words(
            shown_action(wordings[pattern_id], k), shown_conditions(facts_of[pattern_id], k)
        )
        for pattern_id in pattern_ids
    }


_OF_OTHERS = "a.owner_key <> coalesce((SELECT owner_key FROM accounts WHERE account_key = $3), $3)"

_SAID_BY_OTHERS = f"""
    SELECT * FROM (
        SELECT w.pattern_id, w.action, array_agg(DISTINCT a.owner_key) AS owners,
               row_number() OVER (PARTITION BY w.pattern_id
                                  ORDER BY count(DISTINCT a.owner_key) DESC, w.action) AS place
          FROM pattern_wordings w JOIN accounts a USING (account_key)
         WHERE w.scope_id = ANY($1::bigint[]) AND w.pattern_id = ANY($2::uuid[])
           AND a.qualified AND {_OF_OTHERS}
         GROUP BY w.pattern_id, w.action) said
     WHERE place <= $4
"""  # noqa: S608 - a constant

_FACTS_OF_OTHERS = f"""
    SELECT f.pattern_id, f.facet, count(DISTINCT a.owner_key)::integer AS owners
      FROM pattern_facets f JOIN accounts a USING (account_key)
     WHERE f.scope_id = ANY($1::bigint[]) AND f.pattern_id = ANY($2::uuid[])
       AND a.qualified AND {_OF_OTHERS}
     GROUP BY f.pattern_id, f.facet HAVING count(DISTINCT a.owner_key) >= $4
"""  # noqa: S608 - a constant


async def _wordings(connection: Connection, key: PatternKey) -> Sequence[Wording]:
    rows = await connection.fetch(
        """
        SELECT w.action, array_agg(DISTINCT a.owner_key) AS owners
          FROM pattern_wordings w JOIN accounts a USING (account_key)
         WHERE w.scope_id = $1 AND w.pattern_id = $2 AND a.qualified
         GROUP BY w.action ORDER BY count(DISTINCT a.owner_key) DESC, w.action LIMIT $3
        """,
        *key,
        MOST_READ,
    )
    return [Wording(row["action"], frozenset(row["owners"])) for row in rows]


async def _owners_of_facts(
    connection: Connection, key: PatternKey, k: int, among: Sequence[str] | None
) -> Mapping[str, int]:
    rows = await connection.fetch(
        """
        SELECT f.facet, count(DISTINCT a.owner_key)::integer AS owners
          FROM pattern_facets f JOIN accounts a USING (account_key)
         WHERE f.scope_id = $1 AND f.pattern_id = $2 AND a.qualified
           AND ($3::text[] IS NULL OR f.facet = ANY($3))
         GROUP BY f.facet HAVING count(DISTINCT a.owner_key) >= $4
        """,
        *key,
        among,
        k,
    )
    return {row["facet"]: row["owners"] for row in rows}
