"""The words of a pattern that may be shown: what k owners share of what its accounts captured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.shown_words import Wording, shown_action, shown_conditions
from keeper_grpc.domain.patterns.situation import facts
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.keys import by_column

MOST_READ = 200
"""Distinct actions, those of most owners first, that decide a pattern's words: bounds what a pattern costs,
some milliseconds, in a capture that adds one."""


def action_in_words(alias: str) -> str:
    """The action of a row of network_patterns as it may be shown, as SQL; empty where none may."""
    own = "CASE WHEN {0}.catalog_key IS NOT NULL THEN {0}.action_template ELSE {0}.shown_action END"
    return f"""
        coalesce(nullif({own.format(alias)}, ''),
                 CASE WHEN {alias}.worded_from IS NOT NULL
                      THEN words_of({alias}.worded_from_scope_id, {alias}.worded_from) END, '')
    """


def conditions_in_words(alias: str) -> str:
    """The conditions of a row of network_patterns as they may be shown, as SQL."""
    return f"CASE WHEN {alias}.catalog_key IS NOT NULL THEN {alias}.context ELSE {alias}.shown_context END"


@dataclass(frozen=True, slots=True)
class News:
    """What observations added to what owners say: a wording, and facts that their accounts are new to."""

    wording: bool
    facets: Sequence[str]


NO_NEWS = News(wording=False, facets=())


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
    before: Mapping[PatternKey, tuple[Mapping[str, JsonValue], News | None]],
    k: int,
) -> Mapping[PatternKey, ShownWords]:
    """What may be shown now of each pattern, of which these conditions were shown before.

    News says what observations added: then only what that can change is read. None reads all.
    """
    worded = [key for key, (_, news) in before.items() if news is None or news.wording]
    wordings: dict[UUID, list[Wording]] = {key.pattern_id: [] for key in worded}
    if worded:
        for row in await connection.fetch(_SAID, *by_column(worded), MOST_READ):
            wordings[row["pattern_id"]].append(Wording(row["action"], frozenset(row["owners"])))
    situated: dict[UUID, dict[str, int]] = {
        key.pattern_id: {} for key, (_, news) in before.items() if news is None or news.facets
    }
    every = [key for key, (_, news) in before.items() if news is None]
    some = [
        (key, fact)
        for key, (shown, news) in before.items()
        if news is not None and news.facets
        # One more owner can only bring its own facts above those that are shown.
        for fact in {*news.facets, *facts(shown)}
    ]
    rows = await connection.fetch(_ALL_FACTS, *by_column(every), k) if every else []
    if some:
        rows += await connection.fetch(
            _SOME_FACTS,
            [key.scope_id for key, _ in some],
            [key.pattern_id for key, _ in some],
            [fact for _, fact in some],
            k,
        )
    for row in rows:
        situated[row["pattern_id"]][row["facet"]] = row["owners"]
    return {
        key: ShownWords(
            shown_action(wordings[key.pattern_id], k) if key.pattern_id in wordings else None,
            shown_conditions(situated[key.pattern_id], k) if key.pattern_id in situated else None,
        )
        for key in before
    }


async def words_of_others(
    connection: Connection, seen: Sequence[tuple[PatternKey, str]], k: int
) -> Mapping[tuple[PatternKey, str], Words]:
    """What may be shown of patterns to the accounts with these keys, whose owners support some of their words.

    Of others k owners have each word, as they do of what any other reader is shown: else the account would
    learn what fewer share with it.
    """
    if not seen:
        return {}
    named = [
        [key.scope_id for key, _ in seen],
        [key.pattern_id for key, _ in seen],
        [viewer for _, viewer in seen],
    ]
    wordings: dict[tuple[UUID, str], list[Wording]] = defaultdict(list)
    facts_of: dict[tuple[UUID, str], dict[str, int]] = defaultdict(dict)
    for row in await connection.fetch(_SAID_BY_OTHERS, *named, MOST_READ):
        wordings[row["pattern_id"], row["viewer"]].append(
            Wording(row["action"], frozenset(row["owners"]))
        )
    for row in await connection.fetch(_FACTS_OF_OTHERS, *named, k):
        facts_of[row["pattern_id"], row["viewer"]][row["facet"]] = row["owners"]
    return {
        (key, viewer): Words(
            shown_action(wordings[key.pattern_id, viewer], k),
            shown_conditions(facts_of[key.pattern_id, viewer], k),
        )
        for key, viewer in seen
    }


_SAID = """
    SELECT said.pattern_id, said.action, said.owners
      FROM (SELECT w.pattern_id, w.action, array_agg(DISTINCT a.owner_key) AS owners,
                   row_number() OVER (PARTITION BY w.scope_id, w.pattern_id
                                      ORDER BY count(DISTINCT a.owner_key) DESC, w.action) AS place
              FROM pattern_wordings w JOIN accounts a USING (account_key)
             WHERE w.scope_id = ANY($1::bigint[]) AND w.pattern_id = ANY($2::uuid[])
               AND a.qualified
             GROUP BY w.scope_id, w.pattern_id, w.action) said
     WHERE place <= $3 ORDER BY place
"""

_ALL_FACTS = """
    SELECT f.pattern_id, f.facet, count(DISTINCT a.owner_key)::integer AS owners
      FROM pattern_facets f JOIN accounts a USING (account_key)
     WHERE f.scope_id = ANY($1::bigint[]) AND f.pattern_id = ANY($2::uuid[]) AND a.qualified
     GROUP BY f.pattern_id, f.facet HAVING count(DISTINCT a.owner_key) >= $3
"""

_SOME_FACTS = """
    SELECT f.pattern_id, f.facet, count(DISTINCT a.owner_key)::integer AS owners
      FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS asked (scope_id, pattern_id, facet)
      JOIN pattern_facets f USING (scope_id, pattern_id, facet) JOIN accounts a USING (account_key)
     WHERE f.scope_id = ANY($1::bigint[]) AND a.qualified
     GROUP BY f.pattern_id, f.facet HAVING count(DISTINCT a.owner_key) >= $4
"""

_SEEN = """
    (SELECT s.scope_id, s.pattern_id, s.viewer, coalesce(own.owner_key, s.viewer) AS owner_key
       FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS s (scope_id, pattern_id, viewer)
       LEFT JOIN accounts own ON own.account_key = s.viewer) seen
"""

_SAID_BY_OTHERS = f"""
    SELECT * FROM (
        SELECT seen.pattern_id, seen.viewer, w.action, array_agg(DISTINCT a.owner_key) AS owners,
               row_number() OVER (PARTITION BY w.scope_id, seen.pattern_id, seen.viewer
                                  ORDER BY count(DISTINCT a.owner_key) DESC, w.action) AS place
          FROM {_SEEN} JOIN pattern_wordings w USING (scope_id, pattern_id)
          JOIN accounts a USING (account_key)
         WHERE w.scope_id = ANY($1::bigint[]) AND a.qualified AND a.owner_key <> seen.owner_key
         GROUP BY w.scope_id, seen.pattern_id, seen.viewer, w.action) said
     WHERE place <= $4
"""  # noqa: S608 - a constant

_FACTS_OF_OTHERS = f"""
    SELECT seen.pattern_id, seen.viewer, f.facet, count(DISTINCT a.owner_key)::integer AS owners
      FROM {_SEEN} JOIN pattern_facets f USING (scope_id, pattern_id)
      JOIN accounts a USING (account_key)
     WHERE f.scope_id = ANY($1::bigint[]) AND a.qualified AND a.owner_key <> seen.owner_key
     GROUP BY seen.pattern_id, seen.viewer, f.facet HAVING count(DISTINCT a.owner_key) >= $4
"""  # noqa: S608 - a constant
