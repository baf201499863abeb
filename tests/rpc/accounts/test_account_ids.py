from __future__ import annotations

import unicodedata
import uuid
from typing import Any

import grpc
import pytest

from keeper_grpc.client import InvalidRequest, KeeperClient
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    ForgetAccountRequest,
    RegisterAccountRequest,
)
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    EnhanceInsightsRequest,
    EnhanceInsightsResponse,
    ReportOutcomeRequest,
)
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, insight, new_account, question
from tests.rpc.service import Service

ACCOUNTS = "SELECT count(*) FROM accounts"


def decomposed(text: str) -> str:
    """The same text as another system writes it."""
    return unicodedata.normalize("NFD", text)


async def test_one_account_written_in_many_ways_does_not_reach_k(
    service: Service, topic: str
) -> None:
    """Every way to write it that looks the same is refused or counts as the account that it is."""
    name = f"Caf\xe9 Glow {uuid.uuid4()}"
    before = await service.value(ACCOUNTS)
    accepted = 0
    for written in (
        *(name, decomposed(name)),
        *(f"{name} ", f" {name}", f"\xa0{name}", f"{name}\n", name.replace(" ", "  ")),
        *(name.replace("w", "w\u200b"), f"\ufeff{name}", name.replace("G", "\u202dG")),
        *(
            name.replace("G", "\uff27"),
            name.replace(" ", "\u2003"),
            f"{name}\ufe0f",
            f"{name}\u3164",
        ),
    ):
        try:
            await service.network.CapturePattern(capture(topic, account=written))
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017 - either is right
        else:
            accepted += 1
    assert accepted == 2
    assert await service.value(ACCOUNTS) == before + 1
    answer = await service.network.EnhanceInsight(question(topic))
    assert answer.no_match_reason == EnhanceInsightResponse.NO_MATCH_REASON_NO_PATTERNS


async def test_every_call_knows_an_account_in_either_form(service: Service, topic: str) -> None:
    """What one system registers, captures and reports in NFC, another may ask and forget in NFD."""
    name = f"Caf\xe9 {uuid.uuid4()}"
    register = RegisterAccountRequest(account_id=name, business_category="spa")
    assert (await service.admin.RegisterAccount(register)).created
    register.account_id = decomposed(name)
    assert not (await service.admin.RegisterAccount(register)).created
    given = await service.network.EnhanceInsight(question(topic, account=name, category=""))
    report = ReportOutcomeRequest(
        request_id=str(uuid.uuid4()),
        account_id=decomposed(name),
        enhancement_id=given.enhancement_id.upper(),
        outcome=Outcome(success=True),
    )
    assert not (await service.network.ReportOutcome(report)).replayed
    forget = ForgetAccountRequest(account_id=decomposed(name))
    assert (await service.admin.ForgetAccount(forget)).found
    forget.account_id = name
    assert not (await service.admin.ForgetAccount(forget)).found


async def test_a_retry_that_writes_its_ids_otherwise_is_the_same_request(
    service: Service, topic: str
) -> None:
    """The account in NFD, the UUID in capitals: the first answer comes back, and nothing counts twice."""
    first = capture(topic, account=f"Caf\xe9 {uuid.uuid4()}", request_id=str(uuid.uuid4()))
    assert not (await service.network.CapturePattern(first)).replayed
    first.account_id = decomposed(first.account_id)
    first.request_id = first.request_id.upper()
    assert (await service.network.CapturePattern(first)).replayed


async def test_ids_that_differ_in_case_are_two_accounts(service: Service, topic: str) -> None:
    """Case is significant, as api.md says."""
    name, before = new_account(), await service.value(ACCOUNTS)
    for written in (name, name.upper()):
        await service.network.CapturePattern(capture(topic, account=written))
    assert await service.value(ACCOUNTS) == before + 2


async def test_a_question_of_a_stream_is_held_to_the_same_rule(
    service: Service, topic: str
) -> None:
    """It is answered with the field, as if it had been asked alone; the stream goes on."""
    call = service.network.EnhanceInsights()
    for name in ("Gl\u200bow", "Glow"):
        request = question(topic, account=name)
        await call.write(EnhanceInsightsRequest(correlation_id=name, request=request))
    await call.done_writing()
    answers = {answer.correlation_id: answer async for answer in call}
    refused, answered = answers["Gl\u200bow"], answers["Glow"]
    assert isinstance(refused, EnhanceInsightsResponse)
    assert refused.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert b"account_id" in refused.error.SerializeToString()
    assert b"request.account_id" not in refused.error.SerializeToString()
    assert answered.HasField("response")


async def test_a_refusal_names_each_field_once(service: Service, topic: str) -> None:
    """A bad account id stands beside what else is wrong."""
    request = capture(topic, account="Glow ")
    request.insight.confidence = 2
    refused = await refusal(service.network.CapturePattern(request))
    assert dict(refused.fields)["account_id"] == "must not begin or end with a blank"
    assert refused.fields.keys() == {"account_id", "insight.confidence"}


async def test_the_client_names_the_field(service: Service, topic: str) -> None:
    """The error of the Python client carries the rule."""
    async with KeeperClient(f"127.0.0.1:{service.app.port}") as keeper:
        with pytest.raises(InvalidRequest) as caught:
            await keeper.enhance("Gl\xadow", insight(topic))
    (violation,) = caught.value.field_violations
    assert (violation.field, violation.description) == (
        "account_id",
        "must not contain a format character",
    )


@pytest.mark.parametrize(
    "data", [b"\x0a\x06Gl\xed\xa0\x80w", b"\x0a\xff"], ids=["surrogate", "damaged"]
)
async def test_a_string_that_is_not_utf8_is_an_invalid_request(
    service: Service, data: bytes
) -> None:
    """Bytes of a client that checks nothing are refused as any other bad id, without the parser's words."""
    channel: Any = service.channel
    package = "/keeper.network.v1"
    for call in (
        channel.unary_unary(f"{package}.AdminService/ForgetAccount")(data),
        channel.unary_stream(f"{package}.NetworkLearningService/StreamNetworkMetrics")(data).read(),
    ):
        refused = await refusal(call)
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.reason == "INVALID_REQUEST"
        assert "UTF-8" in refused.fields[""]
