from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    RegisterAccountRequest,
    UpdateAccountRequest,
)
from tests.conftest import PostgresServer
from tests.e2e.waiting import SOON
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service, running


@pytest.fixture
async def dsn(postgres_server: PostgresServer, template_database: str) -> AsyncIterator[str]:
    """A migrated database of the test's own: its settings of accounts hold for all of it."""
    async with postgres_server.database(f"TEMPLATE {template_database}") as name:
        yield postgres_server.url(name)


async def say(service: Service, topic: str, *accounts: str) -> None:
    """The same insight of each account."""
    for account in accounts:
        await service.network.CapturePattern(capture(topic, account=account))


async def changes(service: Service) -> list[str]:
    """What subscribers were told so far, once the detector has looked at every sighting that counts."""
    async with asyncio.timeout(SOON):
        while await service.value(  # noqa: ASYNC110 - the database alone tells
            "SELECT count(*) FROM sightings WHERE pending OR withdrawn OR emerging_pattern_id IS NULL"
            " AND account_key IN (SELECT account_key FROM accounts WHERE qualified)"
        ):
            await asyncio.sleep(0.02)
    rows = await service.database.fetch("SELECT change FROM emerging_events ORDER BY sequence")
    return [row["change"] for row in rows]


async def test_locations_of_one_owner_make_nothing_emerge(dsn: str, topic: str) -> None:
    """Three of them and one other are two owners; with a third owner it emerges, less one it fades."""
    async with running(dsn) as service:
        chain = [new_account() for _ in range(3)]
        for account in chain:
            await service.admin.RegisterAccount(
                RegisterAccountRequest(
                    account_id=account, business_category="spa", owner_id="one-chain"
                )
            )
        await say(service, topic, *chain, new_account())
        assert await changes(service) == []
        third = new_account()
        await say(service, topic, third)
        assert await changes(service) == ["new"]
        await service.admin.UpdateAccount(
            UpdateAccountRequest(account_id=third, owner_id="one-chain")
        )
        assert await changes(service) == ["new", "faded"]


async def test_a_corrected_category_takes_sightings_out(dsn: str, topic: str) -> None:
    """They were seen in a line of business that the account is not in."""
    async with running(dsn) as service:
        accounts = [new_account() for _ in range(3)]
        await say(service, topic, *accounts)
        assert await changes(service) == ["new"]
        correction = UpdateAccountRequest(account_id=accounts[0], business_category="gym")
        await service.admin.UpdateAccount(correction)
        async with asyncio.timeout(SOON):
            while await service.value("SELECT count(*) FROM sightings WHERE withdrawn"):  # noqa: ASYNC110 - the database alone tells
                await asyncio.sleep(0.02)
        rows = await service.database.fetch("SELECT change FROM emerging_events ORDER BY sequence")
        assert [row["change"] for row in rows] == ["new", "faded"]
        assert await service.value("SELECT count(*) FROM sightings") == 3


async def test_sightings_of_accounts_that_do_not_count_wait_until_they_do(
    dsn: str, topic: str
) -> None:
    """Three invented accounts make nothing emerge; registered by an operator, they do."""
    async with running(
        dsn, open_accounts=False, account_min_age=0, account_min_active_days=0
    ) as service:
        invented = [new_account() for _ in range(3)]
        await say(service, topic, *invented)
        assert await changes(service) == []
        assert await service.value("SELECT count(*) FROM sightings WHERE NOT pending") == 3
        for account in invented:
            await service.admin.RegisterAccount(
                RegisterAccountRequest(account_id=account, business_category="spa")
            )
        assert await changes(service) == ["new"]
