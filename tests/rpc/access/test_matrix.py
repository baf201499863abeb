"""Every RPC by every role, for every account, by every way to be allowed to speak for it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from keeper_grpc.domain.access.identity import Role
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import REACTION_SHOWN
from keeper_grpc.rpc.permissions import PERMISSIONS
from tests.rpc.access.conftest import register
from tests.rpc.access.identities import (
    CHAIN,
    EVERYONE,
    MINE,
    OURS,
    THEIRS,
    Who,
    bearing,
)
from tests.rpc.feedback import report
from tests.rpc.requests import capture, new_topic, question
from tests.rpc.service import Service

RPCS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in (network, admin)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""From the descriptors, so that a new RPC is in the matrix."""

SOMEBODY = str(uuid.uuid4())
TOPIC = new_topic()


class Rule(NamedTuple):
    """What the matrix expects: the role; whether an account is named, or only who speaks for all may call."""

    role: Role
    request: Callable[[str], Any]
    of_account: bool = True
    of_all: bool = False


def _question(account: str) -> Any:
    return question(TOPIC, account=account)


def _facts() -> Struct:
    facts = Struct()
    facts.update({"days_since_visit": 40})
    return facts


EXPECTED: dict[str, Rule] = {
    "CapturePattern": Rule(Role.CAPTURE, lambda account: capture(TOPIC, account=account)),
    "ReportOutcome": Rule(Role.CAPTURE, lambda account: report(account, SOMEBODY)),
    "ReportReaction": Rule(
        Role.CAPTURE,
        lambda account: network.ReportReactionRequest(
            request_id=str(uuid.uuid4()),
            account_id=account,
            enhancement_id=SOMEBODY,
            reaction=REACTION_SHOWN,
        ),
    ),
    "EnhanceInsight": Rule(Role.ENHANCE, _question),
    "EnhanceInsights": Rule(
        Role.ENHANCE,
        lambda account: network.EnhanceInsightsRequest(
            correlation_id="1", request=_question(account)
        ),
    ),
    "SuggestMoves": Rule(
        Role.ENHANCE,
        lambda account: network.SuggestMovesRequest(
            account_id=account, business_category="spa", facts=_facts()
        ),
    ),
    "StreamMoves": Rule(
        Role.ENHANCE,
        lambda account: network.StreamMovesRequest(
            account_id=account, business_category="spa", facts=_facts()
        ),
    ),
    "PreviewInsight": Rule(
        Role.OBSERVE,
        lambda _: network.PreviewInsightRequest(insight=_question("").insight),
        of_account=False,
    ),
    "GenerateTask": Rule(
        Role.ENHANCE,
        lambda account: network.GenerateTaskRequest(account_id=account, enhancement_id=SOMEBODY),
    ),
    "GetAccountValue": Rule(
        Role.OBSERVE, lambda account: network.GetAccountValueRequest(account_id=account)
    ),
    "StreamEmergingPatterns": Rule(
        Role.OBSERVE, lambda _: network.StreamEmergingPatternsRequest(), of_account=False
    ),
    "GetNetworkMetrics": Rule(
        Role.OBSERVE, lambda _: network.GetNetworkMetricsRequest(), of_account=False
    ),
    "StreamNetworkMetrics": Rule(
        Role.OBSERVE, lambda _: network.StreamNetworkMetricsRequest(), of_account=False
    ),
    "GetPattern": Rule(
        Role.OBSERVE, lambda _: network.GetPatternRequest(pattern_id=SOMEBODY), of_account=False
    ),
    "ListPatterns": Rule(Role.OBSERVE, lambda _: network.ListPatternsRequest(), of_account=False),
    "RegisterAccount": Rule(
        Role.OPERATE,
        lambda account: admin.RegisterAccountRequest(account_id=account, business_category="spa"),
    ),
    "UpdateAccount": Rule(
        Role.OPERATE,
        lambda account: admin.UpdateAccountRequest(account_id=account, business_category="spa"),
    ),
    "ForgetAccount": Rule(
        Role.OPERATE, lambda account: admin.ForgetAccountRequest(account_id=account)
    ),
    "RetirePattern": Rule(
        Role.OPERATE,
        lambda _: admin.RetirePatternRequest(
            pattern_id=SOMEBODY, reason=admin.WITHDRAWAL_REASON_WRONG
        ),
        of_account=False,
        of_all=True,
    ),
    "WithdrawScript": Rule(
        Role.OPERATE,
        lambda _: admin.WithdrawScriptRequest(
            pattern_id=SOMEBODY, script="Hello", reason=admin.WITHDRAWAL_REASON_WRONG
        ),
        of_account=False,
        of_all=True,
    ),
    "GetPatternSupport": Rule(
        Role.OPERATE,
        lambda _: admin.GetPatternSupportRequest(pattern_id=SOMEBODY),
        of_account=False,
        of_all=True,
    ),
    "ListAuditEvents": Rule(
        Role.OPERATE, lambda _: admin.ListAuditEventsRequest(), of_account=False, of_all=True
    ),
}
"""Written down a second time: what the table of the server says is what this test is about."""

STRANGER = "acct-unknown"
"""Stands for an account that nobody knows, another one each time."""


def allowed(rule: Rule, who: Who, account: str) -> bool:
    """Whether the call passes."""
    if who.role is not rule.role:
        return False
    if rule.of_all:
        return who.scope == "all"
    if not rule.of_account:
        return True
    return who.scope == "all" or (who.scope, account) in {("listed", MINE), ("owner", OURS)}


class Answer(NamedTuple):
    """How a call ended, as far as permissions go. `message` of a refusal only."""

    code: grpc.StatusCode
    reason: str
    message: str


def _answer(status: Status | None) -> Answer:
    if status is None:
        return Answer(grpc.StatusCode.OK, "", "")
    info = ErrorInfo()
    for detail in status.details:
        detail.Unpack(info)
    code = next(each for each in grpc.StatusCode if each.value[0] == status.code)
    return Answer(code, info.reason, status.message)


async def call(service: Service, rpc: str, request: Any, *metadata: tuple[str, str]) -> Answer:
    """Call a method by its path, whatever its kind; of a stream the first message is enough."""
    method = RPCS[rpc]
    serialize = type(request).SerializeToString
    kind = {
        (False, False): service.channel.unary_unary,
        (False, True): service.channel.unary_stream,
        (True, True): service.channel.stream_stream,
    }[method.client_streaming, method.server_streaming]
    read = GetMessageClass(method.output_type).FromString if method.client_streaming else None
    open_call: Any = kind(rpc, request_serializer=serialize, response_deserializer=read)
    sent = iter([request]) if method.client_streaming else request
    answering = open_call(sent, metadata=metadata)
    try:
        if not method.server_streaming:
            await answering
            return _answer(None)
        message = await answering.read()
        if isinstance(message, network.EnhanceInsightsResponse) and message.HasField("error"):
            return _answer(message.error)
        return _answer(None)
    except grpc.aio.AioRpcError as error:
        trailers = dict(error.trailing_metadata() or ())
        return _answer(Status.FromString(trailers["grpc-status-details-bin"]))
    finally:
        answering.cancel()


def cells(rule: Rule) -> Iterator[tuple[Who, str]]:
    """Every identity, for every account where the call names one."""
    for who in EVERYONE:
        for account in (MINE, OURS, THEIRS, STRANGER) if rule.of_account else ("",):
            yield who, account


def test_every_rpc_has_a_rule() -> None:
    """In the server and here; a new RPC without one fails this, and is refused to everyone."""
    assert RPCS.keys() == PERMISSIONS.keys()
    assert {method.name for method in RPCS.values()} == EXPECTED.keys()


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.rpartition("/")[2])
async def test_a_call_passes_with_its_role_and_its_account_only(guarded: Service, rpc: str) -> None:
    """Refusals are PERMISSION_DENIED, alike for an account of somebody else's and for one that does not exist."""
    rule = EXPECTED[RPCS[rpc].name]

    async def cell(who: Who, account: str) -> tuple[Who, str, Answer]:
        if rpc.endswith("/ForgetAccount") and account in (MINE, OURS):
            await register(guarded, account, CHAIN if account == OURS else "")
        named = f"{account}-{uuid.uuid4()}" if account == STRANGER else account
        answer = await call(guarded, rpc, rule.request(named), *bearing(who.name))
        return who, account, answer

    if rpc.endswith("/ForgetAccount"):
        answers = [await cell(*each) for each in cells(rule)]
    else:
        answers = await asyncio.gather(*(cell(*each) for each in cells(rule)))

    denied: dict[Who, set[Answer]] = {}
    for who, account, answer in answers:
        passed = answer.code is not grpc.StatusCode.PERMISSION_DENIED
        assert passed == allowed(rule, who, account), (who.name, account, answer)
        if passed:
            assert answer.code not in (
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.INTERNAL,
                grpc.StatusCode.UNKNOWN,
            ), (who.name, account, answer)
        else:
            wrong_role = who.role is not rule.role or rule.of_all
            assert answer.reason == ("ROLE_REQUIRED" if wrong_role else "ACCOUNT_NOT_ALLOWED")
            denied.setdefault(who, set()).add(answer)
    assert all(len(refusals) == 1 for refusals in denied.values())
    for account in (MINE, OURS):
        if rpc.endswith("/ForgetAccount"):
            await register(guarded, account, CHAIN if account == OURS else "")


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.rpartition("/")[2])
async def test_nobody_calls_without_credentials(guarded: Service, rpc: str) -> None:
    """Also with an empty request: strangers learn nothing of its rules."""
    request = EXPECTED[RPCS[rpc].name].request(MINE)
    for sent in (request, type(request)()):
        answer = await call(guarded, rpc, sent)
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.UNAUTHENTICATED,
            "CREDENTIALS_MISSING",
        )
    answer = await call(guarded, rpc, request, ("authorization", "Bearer made-up"))
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
