"""Words that the anonymizer does not know, by keyed hash, and the accounts that used them."""

from __future__ import annotations

from collections.abc import Sequence

from keeper_grpc.storage.database import Connection, Database

MOST_WORDS_AN_ACCOUNT = 5_000
"""Hashes kept of one account and key: no account has more of the trade's words, and a flood of
invented ones stops here."""


async def record_words(connection: Connection, account_key: str, words: Sequence[str]) -> None:
    """Note within the caller's transaction that the account used these words.

    In one order, so that two captures of one account do not wait for each other in a circle.
    """
    if not words:
        return
    await connection.execute(
        """
        INSERT INTO word_accounts (account_key, word_hash)
        SELECT $1, word FROM unnest($2::text[]) AS word
         WHERE (SELECT count(*) FROM word_accounts
                 WHERE account_key = $1 AND starts_with(word_hash, $3)) < $4
         ORDER BY word
        ON CONFLICT DO NOTHING
        """,
        account_key,
        list(words),
        words[0].partition(":")[0] + ":",
        MOST_WORDS_AN_ACCOUNT,
    )


class PostgresWords:
    """The table of usecases/accounts/approve_words.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def words_of(self, k: int, limit: int) -> frozenset[str]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT w.word_hash FROM word_accounts w JOIN accounts a USING (account_key)
                 WHERE a.qualified
                 GROUP BY w.word_hash HAVING count(DISTINCT a.owner_key) >= $1
                 ORDER BY count(DISTINCT a.owner_key) DESC, w.word_hash LIMIT $2
                """,
                k,
                limit,
            )
        return frozenset(row["word_hash"] for row in rows)
