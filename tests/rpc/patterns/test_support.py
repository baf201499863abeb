"""What operators are answered about who stands behind a pattern."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta

import grpc
import pytest

from keeper_grpc.client import KeeperClient
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from tests.conftest import PostgresServer
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account, new_topic
from tests.rpc.service import Service, running

Counts = tuple[int, int, int, bool]
"""Owners, accounts that count, accounts that do not count yet, published."""


@pytest.fixture(scope="module")
async def service(database_url: str) -> AsyncIterator[Service]:
    """The module's service: accounts count from their first call."""
    async with running(database_url) as started:
        yield started


async def registered(service: Service, owner: str = "", count: int = 1) -> list[str]:
    """New spas of one owner, or each its own."""
    accounts = [new_account() for _ in range(count)]
    for account in accounts:
        await service.admin.RegisterAccount(
            admin.RegisterAccountRequest(
                account_id=account, business_category="spa", owner_id=owner
            )
        )
    return accounts


async def observe(service: Service, topic: str, accounts: Iterable[str], action: str = "") -> None:
    """One capture of each account."""
    for account in accounts:
        await service.network.CapturePattern(
            capture(topic, action or "Offer a warm towel", account=account)
        )


async def id_of(service: Service, topic: str) -> str:
    """The id of the only pattern of a type, which no call shows before it is published."""
    return str(
        await service.value("SELECT id FROM network_patterns WHERE pattern_type = $1", topic)
    )


async def support(service: Service, topic: str) -> Counts:
    """Who stands behind the only pattern of a type."""
    answer = await service.admin.GetPatternSupport(
        admin.GetPatternSupportRequest(pattern_id=await id_of(service, topic))
    )
    return (
        answer.owner_count,
        answer.account_count,
        answer.waiting_account_count,
        answer.published,
    )


async def test_three_locations_of_one_owner_are_one_owner_and_three_accounts(
    service: Service, topic: str
) -> None:
    """Unpublished until two other owners join, each of whom may have one account; then as evidence counts."""
    await observe(service, topic, await registered(service, "chain-with-support", 3) * 2)
    assert await support(service, topic) == (1, 3, 0, False)
    await observe(service, topic, [new_account()])
    assert await support(service, topic) == (2, 4, 0, False)
    await observe(service, topic, [new_account()])
    assert await support(service, topic) == (3, 5, 0, True)
    listed = await service.network.ListPatterns(network.ListPatternsRequest(pattern_type=topic))
    assert [pattern.evidence.account_count for pattern in listed.patterns] == [3]


async def test_accounts_wait_until_they_are_registered(
    postgres_server: PostgresServer, template_database: str
) -> None:
    """Where accounts are not open, one that only calls is waiting, and no owner of anything yet."""
    topic = new_topic()
    async with (
        postgres_server.database(f"TEMPLATE {template_database}") as name,
        running(
            postgres_server.url(name),
            open_accounts=False,
            account_min_age=timedelta(0),
            account_min_active_days=0,
        ) as service,
    ):
        unregistered = new_account()
        await observe(service, topic, [unregistered] * 2)
        assert await support(service, topic) == (0, 0, 1, False)
        await observe(service, topic, await registered(service, count=2))
        assert await support(service, topic) == (2, 2, 1, False)
        await service.admin.RegisterAccount(
            admin.RegisterAccountRequest(account_id=unregistered, business_category="spa")
        )
        assert await support(service, topic) == (3, 3, 0, True)


async def test_a_retired_pattern_keeps_its_support_unpublished(
    service: Service, topic: str
) -> None:
    """Enough owners, and still shown to no reader: so an operator sees that the reason is another."""
    await observe(service, topic, [new_account() for _ in range(3)])
    assert await support(service, topic) == (3, 3, 0, True)
    await service.admin.RetirePattern(
        admin.RetirePatternRequest(
            pattern_id=await id_of(service, topic), reason=admin.WITHDRAWAL_REASON_WRONG
        )
    )
    assert await support(service, topic) == (3, 3, 0, False)


async def test_a_corrected_category_neither_counts_nor_waits(service: Service, topic: str) -> None:
    """What an account observed in another line of business is no evidence for the pattern now."""
    accounts = [new_account() for _ in range(3)]
    await observe(service, topic, accounts)
    await service.admin.UpdateAccount(
        admin.UpdateAccountRequest(account_id=accounts[0], business_category="gym")
    )
    assert await support(service, topic) == (2, 2, 0, False)


async def test_a_forgotten_account_stands_behind_nothing(service: Service, topic: str) -> None:
    """It leaves the counts with its evidence."""
    accounts = [new_account() for _ in range(3)]
    await observe(service, topic, accounts)
    await service.admin.ForgetAccount(admin.ForgetAccountRequest(account_id=accounts[0]))
    assert await support(service, topic) == (2, 2, 0, False)


async def test_an_id_that_does_not_exist_is_not_found(service: Service) -> None:
    """And the message does not speak of publication, which is not what is asked."""
    request = admin.GetPatternSupportRequest(pattern_id=str(uuid.uuid4()))
    refused = await refusal(service.admin.GetPatternSupport(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "PATTERN_NOT_FOUND")
    assert refused.message == "no pattern has this id"


async def test_the_python_client_asks_for_it(service: Service, topic: str) -> None:
    """By id, for an unpublished pattern too."""
    await observe(service, topic, [new_account()])
    async with KeeperClient(f"127.0.0.1:{service.app.port}") as client:
        answer = await client.get_pattern_support(await id_of(service, topic))
    assert (answer.owner_count, answer.account_count, answer.published) == (1, 1, False)
