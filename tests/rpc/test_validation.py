"""Every rule that a request's proto declares, and every one that only code can hold, is enforced."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from keeper_grpc.gen.buf.validate import validate_pb2
from keeper_grpc.gen.keeper.network.v1 import (
    admin_service_pb2,
    adoption_pb2,
    insight_pb2,
    network_service_pb2,
)
from tests.rpc.refusal import Refusal, refusal
from tests.rpc.requests import capture, question
from tests.rpc.service import Service

NETWORK, ADMIN = "NetworkLearningService", "AdminService"
NAN, INFINITY = float("nan"), float("inf")
ABSENT = object()
"""The field is not set at all."""

UUIDS = ["", "x", "12345678-1234-1234-1234-12345678901", "g" * 36]
ACCOUNTS = [
    *("", "x" * 129, " ", " x", "x ", "x\n", "x\u3000", "x\0", "x\u200by", "\xadx", "x\u202e"),
    *("x\u3164", "x\ufe0f", "x  y", "x\xa0y", "\uff58", "\ue000", "\u0958" * 128),
]
OWNERS = [account for account in ACCOUNTS if account]
NAMES = ["A", "1a", "a-b", "a b", "_a", "é", "a" * 65, "a\n"]
REQUIRED_NAMES = ["", *NAMES]
RATIOS = [-0.01, 1.01, NAN, INFINITY, -INFINITY]
AMOUNTS = [-1.1e9, 1.1e9, NAN, INFINITY, -INFINITY]
PAGE: Mapping[str, Sequence[object]] = {"page_size": [-1], "page_token": ["x" * 513]}
WINDOWED: Mapping[str, Sequence[object]] = {
    "window": ["0s", "-1s", "315360001s"],
    "business_category": NAMES,
}

INSIGHT: Mapping[str, Sequence[object]] = {
    "insight_id": ["x" * 129],
    "type": REQUIRED_NAMES,
    "business_category": NAMES,
    "conditions": [
        {f"key{n}": 1 for n in range(65)},
        {"": 1},
        {"k" * 65: 1},
    ],
    "action": ["x" * 2001],
    "script": ["x" * 4001],
    "confidence": RATIOS,
    "dollar_value": AMOUNTS,
    "potential_value": AMOUNTS,
}
OUTCOME: Mapping[str, Sequence[object]] = {
    "revenue_impact": AMOUNTS,
    "response_rate": RATIOS,
    "cost": [-0.01, *AMOUNTS],
}
LENGTHS = {
    "customer_names": 200,
    "customer_emails": 320,
    "customer_phones": 64,
    "business_names": 200,
    "employee_names": 200,
    "addresses": 500,
}
IDENTIFIERS: Mapping[str, Sequence[object]] = {
    field: [["x"] * 65, [""], ["fine", "x" * (length + 1)]] for field, length in LENGTHS.items()
}


def _within(parent: str, rules: Mapping[str, Sequence[object]]) -> dict[str, Sequence[object]]:
    return {f"{parent}.{field}": values for field, values in rules.items()}


RULES: Mapping[tuple[str, str], Mapping[str, Sequence[object]]] = {
    (NETWORK, "CapturePattern"): {
        "request_id": UUIDS,
        "account_id": ACCOUNTS,
        "insight": [ABSENT],
        "outcome": [ABSENT],
        **_within("insight", INSIGHT),
        **_within("outcome", OUTCOME),
        **_within("identifiers", IDENTIFIERS),
        "enhancement_id": ["no-uuid"],
    },
    (NETWORK, "EnhanceInsight"): {
        "account_id": ACCOUNTS,
        "insight": [ABSENT],
        "min_success_rate": RATIOS,
        "min_occurrences": [0, -1, 1_000_001],
        **_within("insight", INSIGHT),
        **_within("identifiers", IDENTIFIERS),
    },
    (NETWORK, "PreviewInsight"): {
        "insight": [ABSENT],
        "min_success_rate": RATIOS,
        "min_occurrences": [0, -1, 1_000_001],
        **_within("insight", INSIGHT),
        **_within("identifiers", IDENTIFIERS),
    },
    (NETWORK, "StreamEmergingPatterns"): {
        "pattern_type": NAMES,
        "business_category": NAMES,
        "min_accounts": [-1, 1_000_001],
        "min_similarity": RATIOS,
        "window": ["0s", "-1s", "31536001s"],
        "resume_token": ["x" * 257],
        "min_total_potential_value": [-0.01, NAN, INFINITY],
    },
    (NETWORK, "GetNetworkMetrics"): WINDOWED,
    (NETWORK, "StreamNetworkMetrics"): WINDOWED,
    (NETWORK, "GetAccountValue"): {
        "account_id": ACCOUNTS,
        "window": WINDOWED["window"],
    },
    (NETWORK, "GetPattern"): {"pattern_id": UUIDS},
    (NETWORK, "ListPatterns"): {
        "pattern_type": NAMES,
        "business_category": NAMES,
        "min_success_rate": RATIOS,
        "search": ["x" * 201],
        **PAGE,
    },
    (NETWORK, "ReportOutcome"): {
        "request_id": UUIDS,
        "account_id": ACCOUNTS,
        "enhancement_id": UUIDS,
        "capture_request_id": UUIDS,
        "outcome": [ABSENT],
        **_within("outcome", OUTCOME),
    },
    (NETWORK, "ReportReaction"): {
        "request_id": UUIDS,
        "account_id": ACCOUNTS,
        "enhancement_id": UUIDS,
        "reaction": [0, 5],
        "reason": [10],
    },
    (NETWORK, "SuggestMoves"): {
        "account_id": ACCOUNTS,
        "business_category": REQUIRED_NAMES,
        "facts": [ABSENT],
        "max_moves": [-1],
    },
    (NETWORK, "GenerateTask"): {
        "account_id": ACCOUNTS,
        "enhancement_id": UUIDS,
        **_within("insight", INSIGHT),
        **_within("identifiers", IDENTIFIERS),
    },
    (ADMIN, "RegisterAccount"): {
        "account_id": ACCOUNTS,
        "business_category": REQUIRED_NAMES,
        "owner_id": OWNERS,
    },
    (ADMIN, "UpdateAccount"): {
        "account_id": ACCOUNTS,
        "business_category": REQUIRED_NAMES,
        "owner_id": OWNERS,
    },
    (ADMIN, "ForgetAccount"): {"account_id": ACCOUNTS},
    (ADMIN, "RetirePattern"): {"pattern_id": UUIDS, "reason": [6]},
    (ADMIN, "WithdrawScript"): {"pattern_id": UUIDS, "script": ["", "x" * 20_001], "reason": [6]},
    (ADMIN, "GetPatternSupport"): {"pattern_id": UUIDS},
    (ADMIN, "ListAuditEvents"): PAGE,
}


def valid(method: str) -> Message:
    """A request that breaks no rule."""
    network, admin = network_service_pb2, admin_service_pb2
    insight = insight_pb2.Insight(type="pricing")
    outcome = insight_pb2.Outcome(success=True)
    some_id = str(uuid.uuid4())
    made: dict[str, Callable[[], Message]] = {
        "CapturePattern": lambda: capture("pricing", account="acct"),
        "EnhanceInsight": lambda: question("pricing", account="acct"),
        "PreviewInsight": lambda: network.PreviewInsightRequest(
            insight=insight_pb2.Insight(type="pricing", business_category="spa")
        ),
        "StreamEmergingPatterns": network.StreamEmergingPatternsRequest,
        "GetNetworkMetrics": network.GetNetworkMetricsRequest,
        "StreamNetworkMetrics": network.StreamNetworkMetricsRequest,
        "GetAccountValue": lambda: network.GetAccountValueRequest(account_id="acct"),
        "GetPattern": lambda: network.GetPatternRequest(pattern_id=some_id),
        "ListPatterns": network.ListPatternsRequest,
        "ReportOutcome": lambda: network.ReportOutcomeRequest(
            request_id=some_id, account_id="acct", enhancement_id=some_id, outcome=outcome
        ),
        "ReportReaction": lambda: network.ReportReactionRequest(
            request_id=some_id,
            account_id="acct",
            enhancement_id=some_id,
            reaction=adoption_pb2.REACTION_DISMISSED,
        ),
        "SuggestMoves": lambda: ParseDict(
            {"account_id": "acct", "business_category": "spa", "facts": {"rating": 2}},
            network.SuggestMovesRequest(),
        ),
        "GenerateTask": lambda: network.GenerateTaskRequest(account_id="acct", insight=insight),
        "RegisterAccount": lambda: admin.RegisterAccountRequest(
            account_id="acct", business_category="spa"
        ),
        "UpdateAccount": lambda: admin.UpdateAccountRequest(account_id="acct"),
        "ForgetAccount": lambda: admin.ForgetAccountRequest(account_id="acct"),
        "RetirePattern": lambda: admin.RetirePatternRequest(pattern_id=some_id, undo=True),
        "WithdrawScript": lambda: admin.WithdrawScriptRequest(
            pattern_id=some_id, script="Hello", undo=True
        ),
        "GetPatternSupport": lambda: admin.GetPatternSupportRequest(pattern_id=some_id),
        "ListAuditEvents": admin.ListAuditEventsRequest,
    }
    return made[method]()


def broken(method: str, path: str, value: object) -> Any:
    """A valid request but for one field."""
    request: Any = valid(method)
    *parents, field = path.split(".")
    target = request
    for parent in parents:
        target = getattr(target, parent)
    target.SetInParent()
    if value is ABSENT:
        target.ClearField(field)
    elif isinstance(value, list):
        getattr(target, field).extend(value)
    elif isinstance(value, dict):
        getattr(target, field).update(value)
    elif field == "window":
        ParseDict({field: value}, target)
    else:
        setattr(target, field, value)
    return request


async def answer(service: Service, name: str, method: str, request: Message) -> Refusal:
    """The error that a request is answered with, whatever the kind of its method."""
    stub: Any = service.network if name == NETWORK else service.admin
    call = getattr(stub, method)(request)
    return await refusal(call if hasattr(call, "__await__") else call.read())


def _cases() -> Iterator[Any]:
    for (name, method), rules in RULES.items():
        for path, values in rules.items():
            for number, value in enumerate(values):
                yield pytest.param(name, method, path, value, id=f"{method}-{path}-{number}")


@pytest.mark.parametrize(("name", "method", "path", "value"), list(_cases()))
async def test_a_broken_rule_is_answered_with_its_field(
    service: Service, name: str, method: str, path: str, value: object
) -> None:
    """INVALID_ARGUMENT, and the violation names exactly the field, with an index within a list."""
    refused = await answer(service, name, method, broken(method, path, value))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.domain, refused.reason) == ("network.keeper", "INVALID_REQUEST")
    assert {field.partition("[")[0] for field in refused.fields} == {path}
    if isinstance(value, list) and len(value) < 65:
        assert set(refused.fields) == {f"{path}[{len(value) - 1}]"}
    assert all(refused.fields.values())


def _ruled(message: Descriptor, parent: str = "") -> Iterator[str]:
    """The paths of all fields with rules, in a request and in the messages within."""
    for field in message.fields:
        path = f"{parent}{field.name}"
        if field.GetOptions().HasExtension(validate_pb2.field):
            yield path
        if field.message_type is not None and field.message_type.file.package.startswith("keeper"):
            yield from _ruled(field.message_type, f"{path}.")


def test_the_table_holds_every_rule_of_every_request() -> None:
    """A method or a rule that is added to the protos without a case here fails."""
    declared = {
        (service.name, method.name): set(_ruled(method.input_type))
        for file in (network_service_pb2, admin_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        # A stream's messages are validated one by one, and answered one by one.
        if not method.client_streaming
    }
    assert declared == {method: set(rules) for method, rules in RULES.items()}


def test_the_requests_that_are_broken_were_valid() -> None:
    """Otherwise a case could pass for another reason than its own."""
    import protovalidate  # noqa: PLC0415 - the server's own validator, needed in this test only

    for _, method in RULES:
        protovalidate.validate(valid(method))


async def test_a_captured_insight_needs_an_action(service: Service) -> None:
    """Optional to enhance, required to capture: there is nothing to learn without one."""
    refused = await answer(service, NETWORK, "CapturePattern", capture("pricing", ""))
    assert set(refused.fields) == {"insight"}
    assert "action" in refused.fields["insight"]
    await service.network.EnhanceInsight(question("pricing", ""))


async def test_a_task_needs_one_source(service: Service) -> None:
    """Neither an enhancement nor an insight: nothing to make a task of."""
    request = network_service_pb2.GenerateTaskRequest(account_id="acct")
    refused = await answer(service, NETWORK, "GenerateTask", request)
    assert set(refused.fields) == {"source"}


async def test_all_violations_are_reported_at_once(service: Service) -> None:
    """Whoever integrates fixes them in one round."""
    request = capture("Bad Type", account="x" * 129, request_id="no", confidence=2)
    refused = await answer(service, NETWORK, "CapturePattern", request)
    assert set(refused.fields) == {
        "request_id",
        "account_id",
        "insight.type",
        "insight.confidence",
    }


def _nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = {"days": value}
    return value


@pytest.mark.parametrize(
    "conditions",
    [
        {"reason": "x" * 16_384},
        {"rating": NAN},
        {"rating": -INFINITY},
        {"reason": "a\x00b"},
        {"reason": ["fine", "a\x1bb"]},
        {"rea\x00son": 1},
        {"days": {"ra\x07ting": 1}},
        {"days": _nested(8)},
        {"days": [[[[[[[[1]]]]]]]]},
    ],
)
async def test_conditions_that_json_or_a_database_cannot_hold_are_refused(
    service: Service, conditions: Mapping[str, Any]
) -> None:
    """Size, depth, control characters and numbers are bounded, by capture and by enhance."""
    for method, request in (
        ("CapturePattern", capture("pricing", conditions=conditions)),
        ("EnhanceInsight", question("pricing", conditions=conditions)),
    ):
        refused = await answer(service, NETWORK, method, request)
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.reason == "INVALID_REQUEST"
        assert set(refused.fields) == {"insight.conditions"}


async def test_a_condition_without_a_value_is_unknown(service: Service) -> None:
    """An unset Value is valid on the wire; it reads as null."""
    request = capture("pricing")
    request.insight.conditions.fields["rating"].SetInParent()
    await service.network.CapturePattern(request)


async def test_conditions_at_the_limits_are_fine(service: Service) -> None:
    """64 keys of 64 characters, and eight levels."""
    keys = {f"k{number:063}": 1 for number in range(63)}
    await service.network.CapturePattern(
        capture("pricing", conditions={**keys, "days": _nested(7)})
    )


@pytest.mark.parametrize("field", ["action", "script"])
@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\x0b"])
async def test_control_characters_are_refused(service: Service, field: str, character: str) -> None:
    """They forge log lines and break databases; line breaks and tabs are fine."""
    request = capture("pricing", "Offer tea")
    setattr(request.insight, field, f"Offer{character} tea")
    refused = await answer(service, NETWORK, "CapturePattern", request)
    assert set(refused.fields) == {f"insight.{field}"}
    setattr(request.insight, field, "Offer\r\n\ttea")
    await service.network.CapturePattern(request)


@pytest.mark.parametrize("seconds", [0, 946_684_799, -(10**12), 10**15])
async def test_times_of_another_age_are_refused(service: Service, seconds: int) -> None:
    """Before 2000, or beyond the calendar, is a mistake of units."""
    late = capture("pricing")
    late.occurred_time.seconds = seconds
    assert set((await answer(service, NETWORK, "CapturePattern", late)).fields) == {"occurred_time"}
    noticed = question("pricing")
    noticed.insight.observed_time.seconds = seconds
    assert set((await answer(service, NETWORK, "EnhanceInsight", noticed)).fields) == {
        "insight.observed_time"
    }
    joined = admin_service_pb2.RegisterAccountRequest(account_id="a", business_category="spa")
    joined.joined_time.seconds = seconds
    assert set((await answer(service, ADMIN, "RegisterAccount", joined)).fields) == {"joined_time"}


async def test_an_outcome_of_the_future_is_refused(service: Service) -> None:
    """A clock may run some minutes ahead, no more."""
    request = capture("pricing")
    request.occurred_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=6))
    refused = await answer(service, NETWORK, "CapturePattern", request)
    assert set(refused.fields) == {"occurred_time"}
    request.occurred_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=4))
    await service.network.CapturePattern(request)


async def test_the_largest_valid_request_is_answered(service: Service) -> None:
    """Every bounded field full: below the size limit, and scrubbed in time."""
    request = capture(
        "pricing",
        "Offer a warm towel. " * 100,
        account="x" * 128,
        script="Hi, come in today. " * 200,
        conditions={"reason": "late " * 3000},
        insight_id="x" * 128,
    )
    for field, length in LENGTHS.items():
        getattr(request.identifiers, field).extend(f"{n:03}".ljust(length, "q") for n in range(64))
    await service.network.CapturePattern(request)
