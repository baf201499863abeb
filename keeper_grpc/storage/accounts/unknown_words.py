"""Words that the anonymizer does not know, by keyed hash, and the accounts that used them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.accounts.words import Standing, WordUse
from keeper_grpc.domain.patterns.group import UsedWords
from keeper_grpc.storage.accounts.audit import append_event
from keeper_grpc.storage.database import Connection, Database

MOST_WORDS_AN_ACCOUNT = 5_000
"""Hashes kept of one account and key: no account has more of the trade's words, and a flood of
invented ones stops here."""


async def record_words(connection: Connection, used: Sequence[UsedWords]) -> None:
    """Note within the caller's transaction that accounts used these words.

    In one order, so that two captures of one account do not wait for each other in a circle.
    """
    rows: dict[tuple[str, str], tuple[str, str | None, datetime]] = {}
    for one in used:
        for word in one.words:
            letters, context, first = rows.get(
                (one.account_key, word.word_hash), (word.letters, None, one.used_time)
            )
            rows[one.account_key, word.word_hash] = (letters, context or one.context, first)
    if not rows:
        return
    ordered = sorted(rows.items())
    await connection.execute(
        """
        WITH used AS (
            SELECT *, split_part(word, ':', 1) || ':' AS hashed_with
              FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
                   AS u (account_key, word, letters, context, used_time)
        ), kept AS (
            SELECT account_key, hashed_with,
                   (SELECT count(*) FROM word_accounts w
                     WHERE w.account_key = own.account_key
                       AND starts_with(w.word_hash, own.hashed_with)) AS words
              FROM (SELECT DISTINCT account_key, hashed_with FROM used) own
        )
        INSERT INTO word_accounts AS w (account_key, word_hash, letters, context, first_used_time)
        SELECT account_key, word, letters, context, used_time
          FROM used JOIN kept USING (account_key, hashed_with)
         WHERE kept.words < $6 ORDER BY account_key, word
        ON CONFLICT (account_key, word_hash) DO UPDATE
           SET context = coalesce(w.context, excluded.context), letters = excluded.letters
         WHERE w.letters IS NULL OR w.context IS NULL AND excluded.context IS NOT NULL
        """,
        [account_key for (account_key, _), _ in ordered],
        [word for (_, word), _ in ordered],
        [letters for _, (letters, _, _) in ordered],
        [context for _, (_, context, _) in ordered],
        [used_time for _, (_, _, used_time) in ordered],
        MOST_WORDS_AN_ACCOUNT,
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
                "SELECT EXISTS (SELECT 1 FROM word_accounts WHERE word_hash = $1)", word_hash
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
