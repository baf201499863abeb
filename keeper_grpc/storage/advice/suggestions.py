"""Reading the patterns that have a trigger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.authored.suggestions import StoredTrigger
from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.patterns.keys import key_of
from keeper_grpc.storage.patterns.view import see_patterns


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
                SELECT scope_id, id, trigger FROM network_patterns
                 WHERE business_category = $1 AND trigger IS NOT NULL AND retired_time IS NULL
                   AND embedding_model = (SELECT model FROM embedding_space)
                """,
                business_category,
            )
        return [StoredTrigger(key_of(row), row["trigger"]) for row in rows]

    async def patterns_without(
        self, account_key: str, keys: Sequence[PatternKey], rule: PublicationRule
    ) -> Mapping[UUID, Pattern]:
        """These patterns, as far as they exist, without this account's own evidence."""
        if not keys:
            return {}
        now_weight = recency_weight(self._clock(), self._half_life)
        async with self._database.transaction(read_only=True) as connection:
            return await see_patterns(connection, keys, rule, account_key, now_weight=now_weight)
