"""Words that k accounts use: counted by keyed hash, bounded, gone with their accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.privacy.approved import KAccountWords
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.storage.accounts import unknown_words as stored_words
from keeper_grpc.storage.accounts.unknown_words import PostgresWords
from keeper_grpc.storage.database import Database
from keeper_grpc.usecases.accounts.approve_words import ApproveWords
from tests.integration.observations import captures_of, opened, register

K = 3
OLD, NEW = bytes(32), bytes(range(32))
KEYS = Pseudonyms({"old": OLD}, "old")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on the module's database, in which no account has used a word yet."""
    async with opened(database_url) as pool:
        async with pool.connection() as connection:
            await connection.execute("DELETE FROM word_accounts")
        await register(pool, *(f"account-{n}" for n in range(K)))
        yield pool


SCOPE = Scope("churn_prevention", "spa", "test/1")


async def use(database: Database, account: int, *words: str, keys: Pseudonyms = KEYS) -> None:
    """One capture of the account with these unknown words."""
    async with captures_of(database).capture(SCOPE) as transaction:
        hashes = tuple(keys.word_hash(word) for word in words)
        await transaction.note_words(f"account-{account}", hashes)


async def approved(database: Database, keys: Pseudonyms = KEYS) -> KAccountWords:
    """What the anonymizer is told now."""
    words = KAccountWords(keys.word_hash)
    await ApproveWords(
        store=PostgresWords(database), approved=words, k=K, interval=timedelta(hours=1)
    )()
    return words


async def test_a_word_is_approved_at_k_accounts_and_not_before(database: Database) -> None:
    """An account counts once, however often it uses the word."""
    for account in (0, 1, 1, 1):
        await use(database, account, "glowzilla")
    assert "glowzilla" not in await approved(database)
    await use(database, 2, "glowzilla", "other-word")
    assert "glowzilla" in await approved(database)
    assert "other-word" not in await approved(database)


async def test_after_a_rotation_words_are_counted_anew(database: Database) -> None:
    """Hashes are made under the current key only: those of the old one approve nothing."""
    for account in range(K):
        await use(database, account, "glowzilla")
    rotated = Pseudonyms({"new": NEW, "old": OLD}, "new")
    assert "glowzilla" not in await approved(database, rotated)
    for account in range(K):
        await use(database, account, "glowzilla", keys=rotated)
    assert "glowzilla" in await approved(database, rotated)


async def test_an_account_cannot_fill_the_table(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the bound nothing more of the account is counted; other accounts go on."""
    monkeypatch.setattr(stored_words, "MOST_WORDS_AN_ACCOUNT", 4)
    for start in range(0, 20, 2):
        await use(database, 0, f"word{start}", f"word{start + 1}")
    await use(database, 1, "glowzilla")
    async with database.connection() as connection:
        counts = await connection.fetch(
            "SELECT account_key, count(*) FROM word_accounts GROUP BY 1 ORDER BY 1"
        )
    assert [tuple(row) for row in counts] == [("account-0", 4), ("account-1", 1)]


async def test_no_word_is_written_without_its_capture(database: Database) -> None:
    """A capture that fails leaves no hash behind."""

    async def fails() -> None:
        async with captures_of(database).capture(SCOPE) as transaction:
            await transaction.note_words("account-0", (KEYS.word_hash("glowzilla"),))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM word_accounts") == 0
