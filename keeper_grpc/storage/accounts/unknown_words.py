"""Words that the anonymizer does not know, by keyed hash, and the accounts that used them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.accounts.words import Standing, WordUse
from keeper_grpc.domain.insight import UnknownWord
from keeper_grpc.storage.accounts.audit import append_event
from keeper_grpc.storage.database import Connection, Database

MOST_WORDS_AN_ACCOUNT = 5_000
"""Hashes kept of one account and key: no account has more of the trade's words, and a flood of
invented ones stops here."""


async def record_words(
    connection: Connection,
    account_key: str,
    words: Sequence[UnknownWord],
    context: str | None,
    now: datetime,
) -> None:
    """Note within the caller's transaction that the account used these words.

    In one order, so that two captures of one account do not wait for each other in a circle.
    """
    if not words:
        return
    await connection.execute(
        """
        INSERT INTO word_accounts AS w (account_key, word_hash, letters, context, first_used_time)
        SELECT $1, word, letters, $5, $6 FROM unnest($2::text[], $7::text[]) AS used (word, letters)
         WHERE (SELECT count(*) FROM word_accounts
                 WHERE account_key = $1 AND starts_with(word_hash, $3)) < $4
         ORDER BY word
        ON CONFLICT (account_key, word_hash) DO UPDATE
           SET context = coalesce(w.context, excluded.context), letters = excluded.letters
         WHERE w.letters IS NULL OR w.context IS NULL AND excluded.context IS NOT NULL
        """,
        account_key,
        [word.word_hash for word in words],
        words[0].word_hash.partition(":")[0] + ":",
        MOST_WORDS_AN_ACCOUNT,
        context,
        now,
        [word.letters for word in words],
    )


# By word: how many owners and accounts use it, of those that count; $1 owners or more.
_USED = """
    SELECT w.word_hash, count(DISTINCT a.owner_key)::integer AS owners,
           count(*)::integer AS accounts, min(w.first_used_time) AS first_used, d.approved,
           max(w.letters) AS letters
      FROM word_accounts w JOIN accounts a USING (account_key)
      LEFT JOIN word_decisions d USING (word_hash)
     WHERE a.qualified
     GROUP BY w.word_hash, d.approved HAVING count(DISTINCT a.owner_key) >= $1
     ORDER BY owners DESC, w.word_hash
"""


class PostgresWords:
    """The tables of usecases/accounts/approve_words.py and review_words.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def words_of(self, k: int, limit: int, *, manual: bool) -> frozenset[str]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f"SELECT word_hash FROM ({_USED}) used WHERE coalesce(approved, NOT $3) LIMIT $2",  # noqa: S608 - a constant
                k,
                limit,
                manual,
            )
        return frozenset(row["word_hash"] for row in rows)

    async def uses(self, k: int, limit: int, *, manual: bool) -> Sequence[WordUse]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f"""
                SELECT used.*, (
                    SELECT w.context FROM word_accounts w JOIN accounts a USING (account_key)
                     WHERE w.word_hash = used.word_hash AND a.qualified
                     GROUP BY w.context
                    HAVING w.context IS NOT NULL AND count(DISTINCT a.owner_key) >= $2
                     ORDER BY count(DISTINCT a.owner_key) DESC, w.context LIMIT 1) AS context
                  FROM ({_USED}) used ORDER BY owners DESC, word_hash LIMIT $3
                """,  # noqa: S608 - a constant
                k - 1,
                k,
                limit,
            )
        return [
            WordUse(
                row["word_hash"],
                _standing(row["approved"], row["owners"], k, manual=manual),
                row["owners"],
                row["accounts"],
                row["first_used"].date(),
                row["letters"] or "",
                row["context"] or "",
            )
            for row in rows
        ]

    async def decide(self, word_hash: str, event: AuditEvent, *, approved: bool) -> bool:
        async with self._database.transaction() as connection:
            if not await connection.fetchval(
                "SELECT EXISTS (SELECT FROM word_accounts WHERE word_hash = $1)", word_hash
            ):
                return False
            await connection.execute(
                """
                INSERT INTO word_decisions (word_hash, approved, decided_time) VALUES ($1, $2, $3)
                ON CONFLICT (word_hash) DO UPDATE SET approved = $2, decided_time = $3
                """,
                word_hash,
                approved,
                event.created_at,
            )
            await append_event(connection, event)
        return True


def _standing(approved: bool | None, owners: int, k: int, *, manual: bool) -> Standing:
    if approved is False:
        return Standing.REJECTED
    if owners < k:
        return Standing.NEAR
    return Standing.WAITING if manual and approved is None else Standing.APPROVED
