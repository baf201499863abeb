"""Reading the patterns that have a trigger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.learned_trigger import LearnedTrigger
from keeper_grpc.domain.advice.ranking import Candidate
from keeper_grpc.domain.authored.suggestions import StoredTrigger
from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.storage.advice.learned_triggers import learned_of_category
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.patterns.view import see_patterns, see_shares, see_situations


class PostgresMoves:
    """The tables of usecases/advice/suggest.py."""

    def __init__(
        self, database: Database, *, half_life: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._half_life = half_life
        self._clock = clock

    async def triggers(self, business_category: str) -> Sequence[StoredTrigger]:
        """The triggers of a category's patterns, of those in the space of the database's model."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT scope_id, id, trigger, pattern_type, business_category, embedding_model
                  FROM network_patterns
                 WHERE business_category = $1 AND trigger IS NOT NULL AND retired_time IS NULL
                   AND embedding_model = (SELECT model FROM embedding_space)
                 ORDER BY id
                """,
                business_category,
            )
        return [
            StoredTrigger(
                Scope(row["pattern_type"], row["business_category"], row["embedding_model"]),
                row["id"],
                row["trigger"],
            )
            for row in rows
        ]

    async def learned(self, business_category: str) -> Sequence[LearnedTrigger]:
        """The triggers that were learned of a category's patterns."""
        async with self._database.connection() as connection:
            return await learned_of_category(connection, business_category)

    async def candidates_without(
        self,
        account: Account,
        keys: Sequence[PatternKey],
        conditions: Mapping[str, JsonValue],
        rule: PublicationRule,
    ) -> Mapping[UUID, Candidate]:
        """These patterns, as far as they exist, in this situation and without the evidence of this account's owner."""
        if not keys:
            return {}
        now_weight = self._now_weight()
        async with self._database.transaction(read_only=True) as connection:
            patterns = await see_patterns(
                connection, keys, rule, account.key, now_weight=now_weight
            )
            shares = await see_shares(connection, keys, account.key, now_weight=now_weight)
            situations = await see_situations(
                connection, shares, conditions, rule, viewer=account.key, now_weight=now_weight
            )
        return {
            pattern_id: Candidate(pattern, 1.0, situations[pattern_id])
            for pattern_id, pattern in patterns.items()
        }

    def _now_weight(self) -> float:
        return recency_weight(self._clock(), self._half_life)
