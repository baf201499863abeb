"""Uses of words that no list knows: those that have stayed below k owners for long go, so that typing errors do not pile up."""

from __future__ import annotations

from datetime import datetime, timedelta

from keeper_grpc.storage.database import Database
from keeper_grpc.storage.retention.turn import affected, turn


class RareWords:
    """Rows of `word_accounts` that approve no word: neither k owners nor a person have decided on it."""

    name = "words"

    def __init__(self, database: Database, retention: timedelta, k: int) -> None:
        self._database = database
        self._retention = retention
        self._k = k

    async def trim(self, now: datetime, limit: int) -> int:
        async with turn(self._database) as connection:
            if connection is None:
                return 0
            rare = await connection.fetch(
                """
                SELECT w.account_key, w.word_hash FROM word_accounts w
                 WHERE w.first_used_time < $1
                   AND NOT EXISTS (SELECT 1 FROM word_decisions d WHERE d.word_hash = w.word_hash)
                   AND (SELECT count(DISTINCT a.owner_key)
                          FROM word_accounts u JOIN accounts a USING (account_key)
                         WHERE u.word_hash = w.word_hash) < $3
                 ORDER BY w.first_used_time LIMIT $2
                """,
                now - self._retention,
                limit,
                self._k,
            )
            return affected(
                await connection.execute(
                    """
                    DELETE FROM word_accounts WHERE ctid = ANY (ARRAY(
                        SELECT w.ctid
                          FROM unnest($1::text[], $2::text[]) AS rare (account_key, word_hash)
                          JOIN word_accounts w USING (account_key, word_hash)
                           FOR UPDATE OF w SKIP LOCKED))
                    """,
                    [row["account_key"] for row in rare],
                    [row["word_hash"] for row in rare],
                )
            )
