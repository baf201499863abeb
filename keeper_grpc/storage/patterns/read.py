"""Reading patterns: one, or a page of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.advice.adoption import OwnReactions
from keeper_grpc.domain.advice.learned_trigger import LearnedTrigger
from keeper_grpc.domain.evidence.evidence import Shares, recency_weight
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.history import WeekShare
from keeper_grpc.domain.patterns.listing import Cursor, PatternFilter
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey
from keeper_grpc.domain.patterns.support import Support
from keeper_grpc.storage.advice.adoption import see_reactions, see_script_reactions
from keeper_grpc.storage.advice.learned_triggers import learned_of_pattern
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.publication import published
from keeper_grpc.storage.patterns.by_fact import see_facts
from keeper_grpc.storage.patterns.keys import find_pattern_key, key_of
from keeper_grpc.storage.patterns.view import see_pattern, see_patterns, see_support
from keeper_grpc.storage.patterns.words import action_in_words
from keeper_grpc.storage.replica import Reads

# Words are sought where they are shown: a word that is withheld finds nothing.
# Evidence that may not be shown counts as none, or the order and the filter would tell it. So there
# are two lists, each in the order of an index, and a page is the first rows of both. The bound on the
# score is said apart from the tie, because only that finds the page's place in the index.
_LIST = f"""
    WITH matching AS NOT MATERIALIZED (
        SELECT * FROM network_patterns
         WHERE ($1 = '' OR pattern_type = $1) AND ($2 = '' OR business_category = $2)
    ), sought AS NOT MATERIALIZED (
        SELECT * FROM matching p
         WHERE NOT EXISTS (
               SELECT 1 FROM unnest($8::text[]) w (word)
                WHERE position(w.word IN lower({action_in_words("p")} || ' ' || replace(p.pattern_type, '_', ' '))) = 0)
    ), shown AS (
        SELECT p.scope_id, p.id, p.confidence_score AS listed_score FROM sought p
         WHERE {published("p", "$4")} AND p.success_rate >= $3
           AND ($5::double precision IS NULL
                OR p.confidence_score <= $5 AND (p.confidence_score < $5 OR p.id > $6::uuid))
         ORDER BY p.confidence_score DESC, p.id LIMIT $7
    ), hidden AS (
        SELECT p.scope_id, p.id, 0::double precision AS listed_score FROM sought p
         WHERE p.catalog_key IS NOT NULL AND p.retired_time IS NULL AND NOT {published("p", "$4")} AND 0 >= $3
           AND ($5::double precision IS NULL OR $5 > 0 OR $5 = 0 AND p.id > $6::uuid)
         ORDER BY p.id LIMIT $7
    )
    SELECT scope_id, id, listed_score FROM (SELECT * FROM shown UNION ALL SELECT * FROM hidden) listed
     ORDER BY listed_score DESC, id LIMIT $7
"""  # noqa: S608 - only constants are interpolated

_READABLE = f"""
    SELECT EXISTS (SELECT 1 FROM network_patterns p
                    WHERE p.scope_id = $1 AND p.id = $2 AND ({published("p", "$3")}
                          OR p.catalog_key IS NOT NULL AND p.retired_time IS NULL))
"""  # noqa: S608 - only a constant is interpolated


@dataclass(frozen=True, slots=True)
class Listed:
    """A pattern in the list, and the lower bound that is its place there: 0 where its evidence is withheld."""

    key: PatternKey
    lower_bound: float


class PostgresPatterns:
    """Patterns, for reading."""

    def __init__(
        self, database: Reads, *, half_life: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._half_life = half_life
        self._clock = clock

    async def find_pattern(self, pattern_id: UUID, rule: PublicationRule) -> Pattern | None:
        """One pattern that readers may be shown, with all its evidence; of one that was merged, what it went into."""
        async with self._database.transaction(read_only=True) as connection:
            key = await find_pattern_key(connection, pattern_id)
            if key is None or not await _readable(connection, key, rule):
                return None
            return await see_pattern(connection, key, rule, now_weight=self._now_weight())

    async def find_history(
        self, pattern_id: UUID, rule: PublicationRule
    ) -> tuple[Pattern, Sequence[WeekShare]] | None:
        """The same, and by owner and week what its evidence consists of."""
        async with self._database.transaction(read_only=True) as connection:
            key = await find_pattern_key(connection, pattern_id)
            if key is None or not await _readable(connection, key, rule):
                return None
            pattern = await see_pattern(connection, key, rule, now_weight=self._now_weight())
            if pattern is None:
                return None
            rows = await connection.fetch(
                """
                SELECT o.week, a.owner_key, sum(o.trials)::bigint AS trials, sum(o.successes)::bigint AS successes
                  FROM (SELECT account_key, business_category, date_trunc('week', occurred_time, 'UTC') AS week,
                               count(*) AS trials, count(*) FILTER (WHERE success) AS successes
                          FROM observations WHERE scope_id = $1 AND pattern_id = $2 AND counted GROUP BY 1, 2, 3
                        UNION ALL
                        SELECT p.account_key, p.business_category, w.key::timestamp AT TIME ZONE 'UTC',
                               (w.value->>0)::bigint, (w.value->>1)::bigint
                          FROM archived_parts p CROSS JOIN LATERAL jsonb_each(p.weeks) w
                         WHERE p.scope_id = $1 AND p.pattern_id = $2) o
                  JOIN accounts a USING (account_key, business_category)
                 WHERE a.qualified GROUP BY 1, 2
                """,
                *key,
            )
        return pattern, [WeekShare(*row) for row in rows]

    async def find_reactions(self, key: PatternKey) -> Sequence[OwnReactions]:
        """What each owner that counts did with the pattern's advice."""
        async with self._database.connection() as connection:
            return await see_reactions(connection, key)

    async def find_script_reactions(self, key: PatternKey) -> Mapping[str, Sequence[OwnReactions]]:
        """The same by the wording that was handed out."""
        async with self._database.connection() as connection:
            return await see_script_reactions(connection, key)

    async def find_facts(self, key: PatternKey) -> tuple[Shares, Mapping[str, Shares]]:
        """What each owner that counts observed of the pattern, and the same by the facet of each single fact."""
        async with self._database.transaction(read_only=True) as connection:
            return await see_facts(connection, key)

    async def find_triggers(self, key: PatternKey) -> tuple[str, Sequence[LearnedTrigger]]:
        """What its author wrote, empty for nothing, and what outcomes taught."""
        async with self._database.transaction(read_only=True) as connection:
            authored: str | None = await connection.fetchval(
                "SELECT trigger FROM network_patterns WHERE scope_id = $1 AND id = $2", *key
            )
            return authored or "", await learned_of_pattern(connection, key)

    async def find_support(self, pattern_id: UUID, rule: PublicationRule) -> Support | None:
        """Who stands behind one pattern, published or not."""
        async with self._database.transaction(read_only=True) as connection:
            key = await find_pattern_key(connection, pattern_id)
            return key and await see_support(connection, key, rule)

    async def list_patterns(
        self, where: PatternFilter, rule: PublicationRule, after: Cursor | None, limit: int
    ) -> Sequence[Pattern]:
        """Published or authored patterns in listing order: lower bound descending, then id."""
        async with self._database.transaction(read_only=True) as connection:
            keys = [each.key for each in await _list(connection, where, rule, after, limit)]
            patterns = await see_patterns(connection, keys, rule, now_weight=self._now_weight())
        return [patterns[key.pattern_id] for key in keys]

    async def list_places(
        self, where: PatternFilter, rule: PublicationRule, after: Cursor | None, limit: int
    ) -> Sequence[Listed]:
        """The places of the same."""
        async with self._database.connection() as connection:
            return await _list(connection, where, rule, after, limit)

    async def find_patterns(
        self, keys: Sequence[PatternKey], rule: PublicationRule
    ) -> Mapping[UUID, Pattern]:
        """These patterns, as far as they exist."""
        async with self._database.transaction(read_only=True) as connection:
            return await see_patterns(connection, keys, rule, now_weight=self._now_weight())

    def _now_weight(self) -> float:
        return recency_weight(self._clock(), self._half_life)


async def _list(
    connection: Connection,
    where: PatternFilter,
    rule: PublicationRule,
    after: Cursor | None,
    limit: int,
) -> Sequence[Listed]:
    rows = await connection.fetch(
        _LIST,
        where.pattern_type,
        where.business_category,
        where.min_success_rate,
        rule.k,
        after.lower_bound if after else None,
        after.pattern_id if after else None,
        limit,
        where.search.lower().split(),
    )
    return [Listed(key_of(row), row["listed_score"]) for row in rows]


async def _readable(connection: Connection, key: PatternKey, rule: PublicationRule) -> bool:
    """Whether there is a pattern that readers may be shown.

    Looked up first, so that what is withheld takes as long to be refused as what does not exist.
    """
    readable: bool = await connection.fetchval(_READABLE, *key, rule.k)
    return readable
