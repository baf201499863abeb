from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternResponse,
    GetPatternRequest,
    ListPatternsRequest,
)
from tests.e2e.calls import Subscription, capture, network
from tests.e2e.server_process import ServerProcess
from tests.e2e.waiting import SOON, until

SERVICE = "/keeper.network.v1.NetworkLearningService/"

CANARIES = (
    "acct-canary-zebra",
    "Xanthippe Quillfeather",
    "xanthippe@quillfeather.example",
    "canaryscript",
    "canaryaction",
    "canarykey",
    "canaryvalue",
    "canarytoken",
)
"""Planted in every place of a request that takes text."""


async def call_with_canaries(channel: grpc.aio.Channel) -> None:
    """Calls that succeed, that break rules, and that fail deeper, all full of planted words."""
    client = network(channel)
    good = capture(CANARIES[0], f"Call {CANARIES[1]} with the canaryaction")
    conditions = Struct()
    conditions.update({"notes": "canaryvalue", "canarykey": "canaryvalue"})
    good.insight.conditions.CopyFrom(conditions)
    good.insight.script = f"Dear {CANARIES[1]}, write to {CANARIES[2]} about the canaryscript"
    good.identifiers.CopyFrom(
        Identifiers(customer_names=[CANARIES[1]], customer_emails=[CANARIES[2]])
    )
    recorded = await client.CapturePattern(good)
    assert recorded.disposition == CapturePatternResponse.DISPOSITION_RECORDED

    reused = capture(CANARIES[0], "Another canaryaction", request_id=good.request_id)
    other = capture(CANARIES[0], "A canaryaction")
    other.insight.business_category = "gym"
    broken = capture(CANARIES[0], "A canaryaction")
    broken.insight.type = "Canaryvalue Not Snake"
    control = capture(CANARIES[0], "A canaryaction\x00")
    refusals: list[tuple[Any, Any, grpc.StatusCode]] = [
        (client.CapturePattern, reused, grpc.StatusCode.ALREADY_EXISTS),
        (client.CapturePattern, other, grpc.StatusCode.FAILED_PRECONDITION),
        (client.CapturePattern, broken, grpc.StatusCode.INVALID_ARGUMENT),
        (client.CapturePattern, control, grpc.StatusCode.INVALID_ARGUMENT),
        (
            client.ListPatterns,
            ListPatternsRequest(page_token="canarytoken"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            client.GetPattern,
            GetPatternRequest(pattern_id=good.request_id),
            grpc.StatusCode.NOT_FOUND,
        ),
    ]
    for method, request, code in refusals:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(request)
        assert refused.value.code() is code
    stream = Subscription(channel, resume_token="canarytoken")
    await until(lambda: stream.error is not None, within=SOON, what="the token is refused")


async def test_the_log_names_every_call_and_quotes_none(server: ServerProcess) -> None:
    """Each line is JSON, each call has method, code, duration and id, no line has a request's text."""
    already = len(server.events("call"))
    async with server.channel() as channel:
        await call_with_canaries(channel)
    calls = await until(
        lambda: events if len(events := server.events("call")[already:]) >= 8 else None,
        within=SOON,
        what="every call is logged",
    )

    assert [(call["method"].removeprefix(SERVICE), call["code"]) for call in calls] == [
        ("CapturePattern", "OK"),
        ("CapturePattern", "ALREADY_EXISTS"),
        ("CapturePattern", "FAILED_PRECONDITION"),
        ("CapturePattern", "INVALID_ARGUMENT"),
        ("CapturePattern", "INVALID_ARGUMENT"),
        ("ListPatterns", "INVALID_ARGUMENT"),
        ("GetPattern", "NOT_FOUND"),
        ("StreamEmergingPatterns", "INVALID_ARGUMENT"),
    ]
    assert all(call["duration_ms"] >= 0 for call in calls)
    assert len({call["call_id"] for call in calls}) == len(calls)
    for line in server.lines():
        assert isinstance(json.loads(line), dict)
    postgresql = (Path(server.data_dir) / "postgresql.log").read_text()
    for log in (server.log.read_text(), postgresql):
        found = [canary for canary in CANARIES if canary.lower() in log.lower()]
        assert not found
    account_key = (Path(server.data_dir) / "pseudonym.key").read_text()
    assert account_key not in server.log.read_text()


async def test_a_callers_request_id_names_its_call(server: ServerProcess) -> None:
    """x-request-id goes into the log and back to the caller, unless it could name someone."""
    async with server.channel() as channel:
        for given in ("4bf92f3577b34da6a3ce929d0e0e4736", "15125550134"):
            call = network(channel).ListPatterns(
                ListPatternsRequest(), metadata=(("x-request-id", given),)
            )
            await call
            answered = dict(await call.trailing_metadata())["x-request-id"]
            assert (answered == given) is (len(given) == 32)
            await until(
                lambda: answered in [event["call_id"] for event in server.events("call")],  # noqa: B023 - used here
                within=SOON,
                what="the call is logged under its id",
            )
