"""What an identity may ask for, how often, and what is kept of who asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_reflection.v1alpha import reflection_pb2

from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from tests.access.provider import AUDIENCE, ISSUER, Provider, Signer, key_set, published
from tests.rpc.access.identities import bearing, entry, token_of, write
from tests.rpc.refusal import read, refusal
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service, client, running

SIGNER = Signer("of-the-module")
FAST, SLOW, SINGLE = "fast", "slow", "single"


def entries(**changed: str) -> list[dict[str, object]]:
    """The identities of this module; `changed` gives some another token."""
    return [
        entry("root", "capture", "enhance", "observe", "operate", accounts="all"),
        entry("operator", "operate", accounts="all"),
        entry(FAST, "enhance", accounts="all", token=changed.get(FAST)),
        entry(SLOW, "observe", "enhance", accounts="all", rate=0.001, burst=3),
        entry(SINGLE, "observe", accounts="all", concurrency=1),
        entry("chain", "capture", "operate", owners=["chain-1"]),
        entry("watcher", "observe"),
    ]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """An identity provider."""
    with published(key_set(SIGNER)) as started:
        yield started


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of identities."""
    return write(tmp_path_factory.mktemp("identities") / "identities.yaml", *entries())


@pytest.fixture(scope="module")
async def calling(
    database_url: str, identities: Path, provider: Provider
) -> AsyncIterator[Service]:
    """A service that knows service tokens and JWTs, with AdminService on a port of its own."""
    async with running(
        database_url,
        identities_file=identities,
        jwt_keys=provider.url,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        admin_address=("127.0.0.1", 0),
    ) as service:
        yield service


@pytest.fixture
async def office(calling: Service, database_url: str) -> AsyncIterator[Service]:
    """The same service by its port of operators."""
    async with client(calling.app, database_url, port=calling.app.admin_port) as service:
        yield service


def of_jwt(**claims: Any) -> tuple[tuple[str, str]]:
    """The metadata of a call with a JWT."""
    return (("authorization", f"Bearer {SIGNER.token(**claims)}"),)


async def test_a_jwt_speaks_for_the_accounts_of_its_claims(calling: Service, topic: str) -> None:
    """And for no other."""
    mine, other = new_account(), new_account()
    metadata = of_jwt(keeper_roles="capture", keeper_accounts=[mine])
    await calling.network.CapturePattern(capture(topic, account=mine), metadata=metadata)
    denied = await refusal(
        calling.network.CapturePattern(capture(topic, account=other), metadata=metadata)
    )
    assert (denied.code, denied.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "ACCOUNT_NOT_ALLOWED",
    )


async def test_a_token_of_another_service_is_refused(calling: Service, topic: str) -> None:
    """Without the reason, which is in the log."""
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        denied = await refusal(
            calling.network.EnhanceInsight(question(topic), metadata=of_jwt(aud="another-service"))
        )
    assert (denied.code, denied.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert "aud" not in denied.message.lower()
    (line,) = [line for line in lines if line["event"] == "call"]
    assert line["token_refused"] == "InvalidAudienceError"


async def test_an_id_in_another_writing_is_the_same_account(calling: Service, topic: str) -> None:
    """Permission is asked for the id as everything after it reads it."""
    composed, decomposed = "acct-caf\u00e9", "acct-cafe\u0301"
    metadata = of_jwt(keeper_roles=["capture"], keeper_accounts=[decomposed])
    for written in (composed, decomposed):
        await calling.network.CapturePattern(capture(topic, account=written), metadata=metadata)


async def test_admin_service_is_on_its_own_port_only(calling: Service, office: Service) -> None:
    """And the other services are not on that one."""
    missing = admin.ListAuditEventsRequest()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calling.admin.ListAuditEvents(missing, metadata=bearing("operator"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await office.admin.ListAuditEvents(missing, metadata=bearing("operator"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.network.ListPatterns(network.ListPatternsRequest(), metadata=bearing("root"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def listed(service: Service, name: str) -> list[str]:
    """The services that reflection names."""
    method = service.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = method(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")]), metadata=bearing(name)
    )
    answer: Any = await asked.read()
    asked.cancel()
    return [each.name for each in answer.list_services_response.service]


async def test_reflection_is_for_operators(calling: Service, office: Service) -> None:
    """Each port lists what it has."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(calling, FAST)
    assert read(caught.value).reason == "ROLE_REQUIRED"
    assert "keeper.network.v1.AdminService" not in await listed(calling, "operator")
    assert "keeper.network.v1.AdminService" in await listed(office, "operator")


async def test_an_owner_registers_accounts_of_its_own(office: Service) -> None:
    """Only with itself as the owner, and none that is somebody else's; nor does it let go of one."""
    account = new_account()
    known = new_account()
    register, update = office.admin.RegisterAccount, office.admin.UpdateAccount
    await register(
        admin.RegisterAccountRequest(account_id=known, business_category="spa", owner_id="rival"),
        metadata=bearing("root"),
    )
    mine = admin.RegisterAccountRequest(
        account_id=account, business_category="spa", owner_id="chain-1"
    )
    assert (await register(mine, metadata=bearing("chain"))).created
    for refused in (
        admin.RegisterAccountRequest(account_id=new_account(), business_category="spa"),
        admin.RegisterAccountRequest(
            account_id=new_account(), business_category="spa", owner_id="rival"
        ),
        admin.RegisterAccountRequest(account_id=known, business_category="spa", owner_id="chain-1"),
    ):
        denied = await refusal(register(refused, metadata=bearing("chain")))
        assert denied.reason == "ACCOUNT_NOT_ALLOWED"
    for owner in ("", "rival"):
        correction = admin.UpdateAccountRequest(account_id=account, owner_id=owner)
        denied = await refusal(update(correction, metadata=bearing("chain")))
        assert denied.reason == "ACCOUNT_NOT_ALLOWED"


async def test_every_operator_is_in_the_audit_log_by_name(office: Service) -> None:
    """Also one that a token names; what a call did not change is no event."""
    account = new_account()
    register = admin.RegisterAccountRequest(account_id=account, business_category="spa")
    await office.admin.RegisterAccount(register, metadata=bearing("operator"))
    await office.admin.RegisterAccount(register, metadata=bearing("root"))
    correction = admin.UpdateAccountRequest(account_id=account, business_category="gym")
    await office.admin.UpdateAccount(
        correction, metadata=of_jwt(sub="jo@example.test", keeper_roles=["operate"])
    )
    await office.admin.ForgetAccount(
        admin.ForgetAccountRequest(account_id=account), metadata=bearing("root")
    )
    events = await office.admin.ListAuditEvents(
        admin.ListAuditEventsRequest(page_size=4), metadata=bearing("operator")
    )
    assert [(event.action, event.actor) for event in events.audit_events] == [
        ("forget_account", "root"),
        ("forget_account_begun", "root"),
        ("update_account", "jwt:jo@example.test"),
        ("register_account", "operator"),
    ]


async def test_calls_beyond_an_identitys_rate_are_refused(calling: Service, topic: str) -> None:
    """With the time to come back; a stream's questions count like calls, and others are not concerned."""
    ask = calling.network.EnhanceInsight
    await ask(question(topic), metadata=bearing(SLOW))
    stream = calling.network.EnhanceInsights(metadata=bearing(SLOW))
    for number in ("1", "2"):
        await stream.write(
            network.EnhanceInsightsRequest(correlation_id=number, request=question(topic))
        )
    answers: list[Any] = [await stream.read() for _ in range(2)]
    await stream.done_writing()
    assert [answer.HasField("error") for answer in answers].count(True) == 1
    denied = await refusal(ask(question(topic), metadata=bearing(SLOW)))
    assert (denied.code, denied.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "IDENTITY_RATE_EXCEEDED",
    )
    assert denied.retry_seconds is not None
    assert 100 < denied.retry_seconds <= 1000
    await ask(question(topic), metadata=bearing(FAST))


async def test_a_stream_holds_its_identitys_place(calling: Service) -> None:
    """Until it ends, however it ends."""
    request = network.ListPatternsRequest()
    stream = calling.network.StreamEmergingPatterns(
        network.StreamEmergingPatternsRequest(), metadata=bearing(SINGLE)
    )
    await stream.read()
    denied = await refusal(calling.network.ListPatterns(request, metadata=bearing(SINGLE)))
    assert denied.reason == "IDENTITY_CONCURRENCY_EXCEEDED"
    stream.cancel()

    async def passes() -> bool:
        try:
            await calling.network.ListPatterns(request, metadata=bearing(SINGLE))
        except grpc.aio.AioRpcError:
            return False
        return True

    for _ in range(1_000):  # the end of the stream is on its way
        if await passes():
            return
    pytest.fail("the stream's place is never free")


async def test_a_stream_ends_to_be_answered_when_its_token_is_taken_out(
    calling: Service, identities: Path, topic: str
) -> None:
    """The questions before were answered, and those after a new token are again."""
    stream = calling.network.EnhanceInsights(metadata=bearing(FAST))

    async def ask() -> Any:
        await stream.write(
            network.EnhanceInsightsRequest(correlation_id="1", request=question(topic))
        )
        return await stream.read()

    assert not (await ask()).HasField("error")
    write(identities, *entries(fast="another-token"))
    calling.app.reload()
    refused = await ask()
    assert refused.error.code == grpc.StatusCode.UNAUTHENTICATED.value[0]
    write(identities, *entries())
    calling.app.reload()
    assert not (await ask()).HasField("error")
    await stream.done_writing()


async def test_a_question_of_a_stream_is_for_an_account_of_the_caller(
    calling: Service, topic: str
) -> None:
    """Another account's is refused, and the stream goes on."""
    mine = new_account()
    stream = calling.network.EnhanceInsights(
        metadata=of_jwt(keeper_roles=["enhance"], keeper_accounts=[mine])
    )
    answers: list[Any] = []
    for account in (new_account(), mine):
        request = question(topic, account=account)
        await stream.write(network.EnhanceInsightsRequest(correlation_id="1", request=request))
        answers.append(await stream.read())
    await stream.done_writing()
    assert answers[0].error.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert answers[1].HasField("response")


async def test_a_new_key_of_the_provider_works_at_once(
    calling: Service, provider: Provider
) -> None:
    """The call that brings it waits for the look."""
    newer = Signer("newer")
    provider.content = key_set(SIGNER, newer)
    token = newer.token(keeper_roles=["observe"], keeper_accounts=[])
    await calling.network.ListPatterns(
        network.ListPatternsRequest(), metadata=(("authorization", f"Bearer {token}"),)
    )


async def test_no_token_and_no_account_is_in_the_log(
    calling: Service, office: Service, topic: str
) -> None:
    """Of calls that pass and of calls that do not; the name of an identity of the file is."""
    account, subject = "acct-secret-4711", "person@example.test"
    jwt = SIGNER.token(sub=subject, keeper_accounts=[account], keeper_roles=["enhance"])
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        for token in (token_of(FAST), token_of("watcher"), jwt, jwt[:-3] + "AAA", "made-up-token"):
            call = calling.network.EnhanceInsight(
                question(topic, account=account), metadata=(("authorization", f"Bearer {token}"),)
            )
            await asyncio.wait([asyncio.ensure_future(call)])
        register = admin.RegisterAccountRequest(account_id=account, business_category="spa")
        await refusal(office.admin.RegisterAccount(register, metadata=bearing("chain")))
    written = repr(lines)
    assert [line.get("identity") for line in lines if line["event"] == "call"] == [
        FAST,
        "watcher",
        None,
        None,
        None,
        "chain",
    ]
    for secret in (account, subject, jwt, jwt.split(".")[1], token_of(FAST), "made-up-token"):
        assert secret not in written
