"""The memory of accounts: what changes elsewhere is seen within a second, what changes here at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from keeper_grpc.domain.accounts.account import Account, NewAccount
from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.storage.accounts import remembered
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.accounts.remembered import TRUSTED, RememberedAccounts
from keeper_grpc.storage.database import Database
from tests.integration.audited import audited
from tests.integration.observations import START, opened


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on the module's database."""
    async with opened(database_url) as pool:
        yield pool


@pytest.fixture
def clock() -> Clock:
    """A clock at zero."""
    return Clock()


def event() -> AuditEvent:
    """Something that an operator did."""
    return audited("update_account", START)


async def added(accounts: RememberedAccounts, *, owner: str | None = None) -> str:
    """A new account's key."""
    key = f"k:{uuid4().hex}"
    new = NewAccount(key, "spa", START, START, registered=True, qualified=True, owner_key=owner)
    assert await accounts.add_account(new, ())
    return key


async def test_an_account_is_read_once(database: Database, clock: Clock) -> None:
    """After a look, the second question is answered from memory."""
    accounts = RememberedAccounts(database, clock=clock)
    await accounts.look()
    key = await added(accounts, owner="k:chain")
    for _ in range(3):
        assert await accounts.find_account([key]) == Account(key, "spa", "k:chain")
    assert (accounts.hits, accounts.misses) == (2, 1)


async def test_memory_is_not_believed_without_a_look(database: Database, clock: Clock) -> None:
    """Before the first look, and a second after the last one, the database answers."""
    accounts = RememberedAccounts(database, clock=clock)
    key = await added(accounts)
    await accounts.find_account([key])
    await accounts.find_account([key])
    assert accounts.hits == 0
    await accounts.look()
    await accounts.find_account([key])
    clock.now = TRUSTED
    await accounts.find_account([key])
    assert accounts.hits == 1
    clock.now += 0.01
    await accounts.find_account([key])
    assert accounts.hits == 1


@pytest.mark.parametrize("change", ["corrected", "registered", "forgotten"])
async def test_what_another_process_changes_is_seen_with_the_next_look(
    database: Database, clock: Clock, change: str
) -> None:
    """A category, an owner or a beginning of ForgetAccount."""
    here, there = (RememberedAccounts(database, clock=clock) for _ in range(2))
    key = f"k:{uuid4().hex}"
    first_call = NewAccount(key, "spa", START, START, registered=False, qualified=True)
    await here.add_account(first_call, ())
    await here.look()
    assert await here.find_account([key]) == Account(key, "spa", key)
    if change == "corrected":
        await there.correct(key, "gym", None, event(), change_owner=False)
        expected = Account(key, "gym", key)
    elif change == "registered":
        await there.register_known(key, None, "k:chain", event())
        expected = Account(key, "spa", "k:chain")
    else:
        await PostgresForgetting(database, there).begin_forgetting(key, event())
        expected = Account(key, "spa", key, forgetting=True)
    assert await there.find_account([key]) == expected
    assert await here.find_account([key]) == Account(key, "spa", key)
    await here.look()
    assert await here.find_account([key]) == expected


async def test_a_change_that_commits_amid_a_read_is_not_covered_up(
    database: Database, clock: Clock
) -> None:
    """What was read before a look saw the change is not remembered after it."""
    accounts = RememberedAccounts(database, clock=clock)
    other = RememberedAccounts(database, clock=clock)
    key = await added(accounts)
    await accounts.look()
    read = accounts.read_account

    async def slow(keys: list[str]) -> Account | None:
        account = await read(keys)
        await other.correct(key, "gym", None, event(), change_owner=False)
        await accounts.look()
        return account

    accounts.read_account = slow  # type: ignore[assignment,method-assign]  # the moment between
    assert await accounts.find_account([key]) == Account(key, "spa", key)
    accounts.read_account = read  # type: ignore[method-assign]  # as it was
    assert await accounts.find_account([key]) == Account(key, "gym", key)


async def test_a_new_account_is_found_at_once(database: Database, clock: Clock) -> None:
    """That it was not there is not remembered."""
    here, there = (RememberedAccounts(database, clock=clock) for _ in range(2))
    await here.look()
    key = f"k:{uuid4().hex}"
    assert await here.find_account([key]) is None
    new = NewAccount(key, "spa", START, START, registered=True, qualified=True)
    await there.add_account(new, ())
    assert await here.find_account([key]) == Account(key, "spa", key)


async def test_memory_is_bounded(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account that was remembered first goes."""
    monkeypatch.setattr(remembered, "MOST", 2)
    accounts = RememberedAccounts(database, clock=clock)
    await accounts.look()
    keys = [await added(accounts) for _ in range(3)]
    for key in keys:
        await accounts.find_account([key])
    hits = accounts.hits
    await accounts.find_account([keys[0]])
    assert accounts.hits == hits
    await accounts.find_account([keys[2]])
    assert accounts.hits == hits + 1
