"""Words that k accounts use: counted by keyed hash, bounded, gone with their accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from keeper_grpc.domain.accounts.words import Standing
from keeper_grpc.domain.insight import UnknownWord
from keeper_grpc.domain.patterns.group import GroupWrites, UsedWords
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.privacy.approved import KAccountWords
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from keeper_grpc.storage.accounts import unknown_words as stored_words
from keeper_grpc.storage.accounts.audit import PostgresAudit
from keeper_grpc.storage.accounts.unknown_words import PostgresWords
from keeper_grpc.storage.database import Database
from keeper_grpc.usecases.accounts.approve_words import ApproveWords
from keeper_grpc.usecases.accounts.review_words import ReviewWords
from tests.integration.audited import OPERATOR
from tests.integration.observations import START, groups_of, opened, register

K = 3
OLD, NEW = bytes(32), bytes(range(32))
KEYS = Pseudonyms({"old": OLD}, "old")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on the module's database, in which no account has used a word yet."""
    async with opened(database_url) as pool:
        async with pool.connection() as connection:
            await connection.execute("TRUNCATE word_accounts, word_decisions, audit_events")
        await register(pool, *(f"account-{n}" for n in range(K)))
        yield pool


SCOPE = Scope("churn_prevention", "spa", "test/1")


async def use(
    database: Database,
    account: int,
    *words: str,
    keys: Pseudonyms = KEYS,
    context: str | None = None,
) -> None:
    """One capture of the account with these unknown words."""
    hashes = tuple(UnknownWord.of(word, keys.word_hash(word)) for word in words)
    async with groups_of(database).group() as transaction:
        await transaction.write(
            GroupWrites(words=[UsedWords(f"account-{account}", hashes, context, START)])
        )


async def approved(
    database: Database, keys: Pseudonyms = KEYS, *, manual: bool = False
) -> KAccountWords:
    """What the anonymizer is told now."""
    words = KAccountWords(keys.word_hash)
    await ApproveWords(
        store=PostgresWords(database),
        approved=words,
        k=K,
        manual=manual,
        interval=timedelta(hours=1),
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
        word = UnknownWord.of("glowzilla", KEYS.word_hash("glowzilla"))
        async with groups_of(database).group() as transaction:
            await transaction.write(
                GroupWrites(words=[UsedWords("account-0", (word,), None, START)])
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM word_accounts") == 0


def review(database: Database, *, manual: bool = False) -> ReviewWords:
    """What an operator uses."""
    return ReviewWords(
        store=PostgresWords(database), k=K, manual=manual, clock=lambda: START, new_id=uuid4
    )


async def test_words_of_one_owner_and_of_accounts_that_do_not_count_are_not_approved(
    database: Database,
) -> None:
    """Three locations are one owner, and an account that does not qualify is none."""
    for account in range(K):
        await use(database, account, "glowzilla")
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE accounts SET declared_owner_key = 'chain' WHERE account_key <> 'account-0'"
        )
        assert "glowzilla" not in await approved(database)
        await connection.execute("UPDATE accounts SET declared_owner_key = NULL")
        assert "glowzilla" in await approved(database)
        await connection.execute(
            "UPDATE accounts SET qualified = false WHERE account_key = 'account-0'"
        )
        assert "glowzilla" not in await approved(database)
        await connection.execute("UPDATE accounts SET qualified = true")


async def test_with_manual_approval_a_word_waits_for_a_person(database: Database) -> None:
    """And k owners are needed all the same."""
    for account in range(K - 1):
        await use(database, account, "glowzilla")
    (near,) = await review(database, manual=True).listed()
    assert (near.standing, near.owners, near.letters) == (Standing.NEAR, K - 1, "7-9")
    assert await review(database, manual=True).decide(near.word_hash, approved=True, actor=OPERATOR)
    assert "glowzilla" not in await approved(database, manual=True)

    await use(database, K - 1, "glowzilla", "shimmerox")
    for account in range(K - 1):
        await use(database, account, "shimmerox")
    listed = {use.word_hash: use for use in await review(database, manual=True).listed()}
    assert listed[KEYS.word_hash("glowzilla")].standing is Standing.APPROVED
    assert listed[KEYS.word_hash("shimmerox")].standing is Standing.WAITING
    words = await approved(database, manual=True)
    assert "glowzilla" in words
    assert "shimmerox" not in words


async def test_a_person_may_reject_a_word_and_change_their_mind(database: Database) -> None:
    """With automatic approval, too; each decision is audited without the word."""
    for account in range(K):
        await use(database, account, "glowzilla")
    word = KEYS.word_hash("glowzilla")
    assert await review(database).decide(word, approved=False, actor=OPERATOR)
    assert "glowzilla" not in await approved(database)
    (rejected,) = await review(database).listed()
    assert rejected.standing is Standing.REJECTED
    assert await review(database).decide(word, approved=True, actor=OPERATOR)
    assert "glowzilla" in await approved(database)
    assert not await review(database).decide(
        KEYS.word_hash("never-used"), approved=True, actor=OPERATOR
    )
    events = await PostgresAudit(database).list_events(None, 10)
    assert sorted(event.action for event in events) == ["approve_word", "reject_word"]
    assert {event.actor for event in events} == {OPERATOR}


async def test_a_context_is_shown_when_k_owners_share_it(database: Database) -> None:
    """One that fewer wrote may tell who they are."""
    for account in range(K - 1):
        await use(database, account, "glowzilla", context="offer a [other] soak")
    await use(database, K - 1, "glowzilla", context="for the mayor [other]")
    (word,) = await review(database).listed()
    assert word.context == ""
    async with database.connection() as connection:
        await connection.execute("DELETE FROM word_accounts WHERE account_key = 'account-2'")
    # One that was not certain the first time is kept once it is.
    await use(database, K - 1, "glowzilla")
    await use(database, K - 1, "glowzilla", context="offer a [other] soak")
    (word,) = await review(database).listed()
    assert word.context == "offer a [other] soak"
