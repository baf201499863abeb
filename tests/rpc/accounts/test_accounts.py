from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import RegisterAccountRequest
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service

JOINED = "SELECT joined_time FROM accounts WHERE account_key = $1"


def register(account: str, category: str = "spa") -> RegisterAccountRequest:
    """A valid request."""
    return RegisterAccountRequest(account_id=account, business_category=category)


def key_of(account: str) -> str:
    """The account's pseudonym under the tests' key, computed without the service's code."""
    return f"test:{hmac.new(bytes(range(32)), account.encode(), hashlib.sha256).hexdigest()}"


async def test_registering_twice_is_fine_and_only_the_first_is_news(service: Service) -> None:
    """Idempotent: the second call changes nothing and says so."""
    account = new_account()
    first = await service.admin.RegisterAccount(register(account))
    second = await service.admin.RegisterAccount(register(account))
    assert (first.created, second.created) == (True, False)


async def test_twenty_parallel_registrations_create_one_account(service: Service) -> None:
    """One of the callers is told that it registered the account."""
    account = new_account()
    answers = await asyncio.gather(
        *(service.admin.RegisterAccount(register(account)) for _ in range(20))
    )
    assert Counter(answer.created for answer in answers) == {True: 1, False: 19}


async def test_another_category_is_a_conflict(service: Service) -> None:
    """An account has one line of business, also when it was registered by a capture."""
    account = new_account()
    await service.admin.RegisterAccount(register(account))
    refused = await refusal(service.admin.RegisterAccount(register(account, "gym")))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "ACCOUNT_CATEGORY_CONFLICT"
    again = await service.admin.RegisterAccount(register(account))
    assert not again.created


async def test_a_registered_account_need_not_name_its_category(
    service: Service, topic: str
) -> None:
    """Capture and enhance take it from the registration."""
    account = new_account()
    await service.admin.RegisterAccount(register(account, "gym"))
    await service.network.CapturePattern(capture(topic, account=account, category=""))
    answer = await service.network.EnhanceInsight(question(topic, account=account, category=""))
    assert answer.enhanced_insight.insight.business_category == "gym"


async def test_the_time_of_joining_is_kept(service: Service) -> None:
    """It is what was said, else now; and only a keyed hash of the account is stored."""
    account = new_account()
    joined = Timestamp()
    joined.FromDatetime(datetime(2025, 3, 1, tzinfo=UTC))
    request = register(account)
    request.joined_time.CopyFrom(joined)
    await service.admin.RegisterAccount(request)
    stored = await service.value(JOINED, key_of(account))
    assert stored == datetime(2025, 3, 1, tzinfo=UTC)


async def test_an_account_that_is_known_from_a_call_is_registered_once(
    service: Service, topic: str
) -> None:
    """When it joined is told once; without a time it joined with its first call."""
    for told in (datetime(2025, 3, 1, tzinfo=UTC), None):
        account = new_account()
        await service.network.CapturePattern(capture(topic, account=account))
        first_call = await service.value(JOINED, key_of(account))
        request = register(account)
        if told:
            request.joined_time.FromDatetime(told)
        for _ in range(2):
            assert not (await service.admin.RegisterAccount(request)).created
            assert await service.value(JOINED, key_of(account)) == (told or first_call)
            request.joined_time.FromDatetime(datetime(2025, 4, 1, tzinfo=UTC))


async def test_no_account_joins_in_the_future(service: Service) -> None:
    """Its wait for the first insight would be over before it began."""
    request = register(new_account())
    request.joined_time.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    refused = await refusal(service.admin.RegisterAccount(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.fields) == ["joined_time"]


def _messages() -> Iterator[Descriptor]:
    """Every response of every method, and every message within."""
    waiting = [
        method.output_type
        for file in (network_service_pb2, admin_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    seen: set[str] = set()
    while waiting:
        message = waiting.pop()
        if message.full_name not in seen:
            seen.add(message.full_name)
            yield message
            waiting.extend(field.message_type for field in message.fields if field.message_type)


def test_no_response_can_carry_a_vector_or_an_account() -> None:
    """No message that is sent has a field for either: names and shapes say so."""
    messages = list(_messages())
    assert {"Pattern", "EnhancedInsight", "EmergingPattern"} <= {m.name for m in messages}
    for message in messages:
        for field in message.fields:
            assert field.name not in {"account_id", "account_key", "embedding", "vector"}
            numbers = field.cpp_type in {
                FieldDescriptor.CPPTYPE_FLOAT,
                FieldDescriptor.CPPTYPE_DOUBLE,
            }
            assert not (numbers and field.is_repeated), f"{message.name}.{field.name}"


async def test_no_reply_names_an_account(service: Service, topic: str) -> None:
    """Neither the id that was sent nor its pseudonym is in any reply about a shared pattern."""
    accounts = [new_account() for _ in range(4)]
    replies = [
        await service.network.CapturePattern(capture(topic, account=account))
        for account in accounts
    ]
    listing = network_service_pb2.ListPatternsRequest(pattern_type=topic)
    told = b"".join(
        reply.SerializeToString()
        for reply in [
            *replies,
            await service.network.EnhanceInsight(question(topic, account=accounts[0])),
            await service.network.ListPatterns(listing),
        ]
    )
    assert b"Offer a warm towel" in told
    for account in accounts:
        assert account.encode() not in told
        assert key_of(account).partition(":")[2].encode() not in told
