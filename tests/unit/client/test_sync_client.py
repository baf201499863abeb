"""The synchronous client on a channel and a clock of grpcio-testing: what it sends, when, and what it makes of answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import grpc
import grpc_testing
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from keeper_grpc.client import (
    Alive,
    Changed,
    DeadlineExceeded,
    Interrupted,
    InvalidRequest,
    Retries,
    SnapshotComplete,
    SyncKeeperClient,
    Unavailable,
)
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import EnhancedInsight

SERVICES = {
    **network_service_pb2.DESCRIPTOR.services_by_name,
    **admin_service_pb2.DESCRIPTOR.services_by_name,
}
INSIGHT = Insight(type="churn_prevention", action="Offer a warm towel", potential_value=100)
GOOD = Outcome(success=True)
SOON = 60.0
"""Ends a wait that would hang, and decides nothing else."""

T = TypeVar("T")


def copied(request: T) -> T:
    """A request as it was sent: this channel hands over the caller's own object."""
    return deepcopy(request)


class Played(NamedTuple):
    """A client in a thread, and the other end of its channel."""

    client: SyncKeeperClient
    channel: Any
    time: Any
    run: Callable[..., Future[Any]]

    def take(self, method: str, service: str = "NetworkLearningService") -> tuple[Any, Any]:
        """The next call of a method with one answer: its request, and what ends it."""
        descriptor = SERVICES[service].methods_by_name[method]
        _, request, rpc = self.channel.take_unary_unary(descriptor)
        return copied(request), rpc


@pytest.fixture
def played() -> Iterator[Played]:
    """A client that waits a second, then two, and so on, on a clock that stands still otherwise."""
    time = grpc_testing.strict_fake_time(1_000.0)
    channel = grpc_testing.channel(SERVICES.values(), time)
    client = SyncKeeperClient(
        "nowhere",
        channel=channel,
        clock=time,
        timeout=30.0,
        retries=Retries(wait_initial=1.0, jitter=lambda: 1.0),
        metadata=(("x-tenant", "one"),),
    )
    with ThreadPoolExecutor(max_workers=2) as threads:
        yield Played(client, channel, time, threads.submit)


def answer(rpc: Any, response: Message) -> None:
    """End a call well."""
    rpc.send_initial_metadata(())
    rpc.terminate(response, (), grpc.StatusCode.OK, "")


def refuse(rpc: Any, code: grpc.StatusCode, *details: Message) -> None:
    """End a call with an error and its details."""
    packed = []
    for detail in details:
        packed.append(Packed())
        packed[-1].Pack(detail)
    status = Status(code=code.value[0], message="as planned", details=packed)
    rpc.terminate(
        None, (("grpc-status-details-bin", status.SerializeToString()),), code, "as planned"
    )


def retry_after(span: timedelta) -> RetryInfo:
    """The detail that asks a caller to wait."""
    info = RetryInfo()
    info.retry_delay.FromTimedelta(span)
    return info


def test_a_retry_keeps_its_request_id_and_waits_as_asked(played: Played) -> None:
    """Backoff and the server's own wait are added up on the clock; the request is the same."""
    doing = played.run(played.client.capture, "account", INSIGHT, GOOD)
    first, rpc = played.take("CapturePattern")
    refuse(rpc, grpc.StatusCode.UNAVAILABLE)
    second, rpc = played.take("CapturePattern")
    after_backoff = played.time.time()
    refuse(rpc, grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after(timedelta(seconds=5)))
    third, rpc = played.take("CapturePattern")
    answer(rpc, network.CapturePatternResponse(pattern_id="p"))

    assert doing.result(SOON).pattern_id == "p"
    assert first == second == third
    assert len(first.request_id) == 36
    assert after_backoff == 1_001.0
    assert played.time.time() == 1_001.0 + 2.0 + 5.0


def test_an_invalid_request_is_told_at_once(played: Played) -> None:
    """Its text names the field, and it is not tried again."""
    doing = played.run(played.client.capture, "", INSIGHT, GOOD)
    _, rpc = played.take("CapturePattern")
    broken = BadRequest.FieldViolation(field="account_id", description="value is required")
    refuse(
        rpc,
        grpc.StatusCode.INVALID_ARGUMENT,
        ErrorInfo(reason="INVALID_REQUEST"),
        BadRequest(field_violations=[broken]),
    )

    error = doing.exception(SOON)
    assert isinstance(error, InvalidRequest)
    assert str(error) == "INVALID_REQUEST: as planned (account_id: value is required)"
    assert played.time.time() == 1_000.0


def test_attempts_are_bounded(played: Played) -> None:
    """The last of four errors is raised."""
    doing = played.run(played.client.get_pattern, "p")
    for _ in range(4):
        refuse(played.take("GetPattern")[1], grpc.StatusCode.UNAVAILABLE)

    assert isinstance(doing.exception(SOON), Unavailable)
    assert played.time.time() == 1_000.0 + 1 + 2 + 4


def test_no_attempt_begins_after_the_timeout(played: Played) -> None:
    """A server that asks for more time than is left is not waited for."""
    doing = played.run(played.client.get_pattern, "p")
    refuse(
        played.take("GetPattern")[1],
        grpc.StatusCode.UNAVAILABLE,
        retry_after(timedelta(seconds=40)),
    )

    error = doing.exception(SOON)
    assert isinstance(error, Unavailable)
    assert error.retry_after == 40.0
    assert played.time.time() == 1_000.0


def test_a_servers_own_limit_is_tried_again_and_a_deadline_is_not(played: Played) -> None:
    """The one is the server's, the other the caller's."""
    doing = played.run(played.client.get_pattern, "p")
    code = grpc.StatusCode.DEADLINE_EXCEEDED
    refuse(played.take("GetPattern")[1], code, ErrorInfo(reason="CALL_DURATION_EXCEEDED"))
    refuse(played.take("GetPattern")[1], code)

    assert isinstance(doing.exception(SOON), DeadlineExceeded)


def test_pages_are_fetched_as_they_are_consumed(played: Played) -> None:
    """Audit events of two pages come as one sequence."""
    doing = played.run(lambda: [each.action for each in played.client.audit_events(page_size=1)])
    event = admin_service_pb2.AuditEvent
    first, rpc = played.take("ListAuditEvents", "AdminService")
    answer(
        rpc,
        admin_service_pb2.ListAuditEventsResponse(
            audit_events=[event(action="forget_account")], next_page_token="more"
        ),
    )
    second, rpc = played.take("ListAuditEvents", "AdminService")
    answer(
        rpc,
        admin_service_pb2.ListAuditEventsResponse(audit_events=[event(action="retire_pattern")]),
    )

    assert doing.result(SOON) == ["forget_account", "retire_pattern"]
    assert (first.page_size, first.page_token) == (1, "")
    assert second.page_token == "more"


def test_a_watch_resumes_with_its_last_token(played: Played) -> None:
    """A stream that breaks is followed by another; nothing that is known comes again."""
    method = SERVICES["NetworkLearningService"].methods_by_name["StreamEmergingPatterns"]
    response = network.StreamEmergingPatternsResponse
    found = EmergingPattern(emerging_pattern_id="a", account_count=3)
    watch = played.client.watch_emerging(business_category="spa", min_total_potential_value=10)

    doing = played.run(lambda: [next(watch) for _ in range(2)])
    _, first, rpc = played.channel.take_unary_stream(method)
    rpc.send_initial_metadata(())
    rpc.send_response(response(emerging_pattern=found, resume_token="1"))
    first = copied(first)
    complete_now = response.SnapshotComplete(count=1)
    rpc.send_response(response(snapshot_complete=complete_now, resume_token="2"))
    changed, complete = doing.result(SOON)
    doing = played.run(lambda: [next(watch) for _ in range(3)])
    rpc.terminate((), grpc.StatusCode.UNAVAILABLE, "restart")
    _, second, rpc = played.channel.take_unary_stream(method)
    second = copied(second)
    rpc.terminate((), grpc.StatusCode.UNAVAILABLE, "still away")
    _, third, rpc = played.channel.take_unary_stream(method)
    third = copied(third)
    rpc.send_initial_metadata(())
    rpc.send_response(response(emerging_pattern=found, resume_token="3"))
    rpc.send_response(response(heartbeat=response.Heartbeat(), resume_token="4"))
    found.account_count = 4
    rpc.send_response(response(emerging_pattern=found, resume_token="5"))
    interrupted, alive, grown = doing.result(SOON)

    assert isinstance(changed, Changed)
    assert complete == SnapshotComplete(1, resume_token_expired=False, resume_token="2")
    assert isinstance(interrupted, Interrupted)
    assert isinstance(alive, Alive)
    assert isinstance(grown, Changed)
    assert grown.pattern.account_count == 4
    assert (first.resume_token, second.resume_token, third.resume_token) == ("", "2", "2")
    assert (first.business_category, first.min_total_potential_value) == ("spa", 10)


def test_a_tournament_asks_again_over_a_new_stream(played: Played) -> None:
    """A stream that breaks is followed by another; a question that is refused is so by itself."""
    method = SERVICES["NetworkLearningService"].methods_by_name["EnhanceInsights"]
    response = network.EnhanceInsightsResponse
    doing = played.run(played.client.tournament, "account", [INSIGHT] * 3)
    _, rpc = played.channel.take_stream_stream(method)
    names = [rpc.take_request().correlation_id for _ in range(3)]
    rpc.terminate((), grpc.StatusCode.UNAVAILABLE, "restart")
    _, rpc = played.channel.take_stream_stream(method)
    rpc.send_initial_metadata(())
    again = [rpc.take_request().correlation_id for _ in range(3)]
    rpc.requests_closed()
    for name, confidence in zip(again[:2], (0.5, 0.9), strict=True):
        enhanced = EnhancedInsight(confidence=confidence)
        answered = network.EnhanceInsightResponse(enhanced_insight=enhanced)
        rpc.send_response(response(correlation_id=name, response=answered))
    refused = Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="no")
    rpc.send_response(response(correlation_id=again[2], error=refused))
    rpc.terminate((), grpc.StatusCode.OK, "")

    result = doing.result(SOON)
    assert [each.score for each in result.ranked] == [90.0, 50.0]
    assert [type(each.error) for each in result.failed] == [InvalidRequest]
    assert again == names
    assert played.time.time() == 1_001.0


def test_metadata_go_with_every_call(played: Played) -> None:
    """What a caller's gateway asks for is sent by unary calls and streams alike."""
    doing = played.run(played.client.get_pattern, "p")
    descriptor = SERVICES["NetworkLearningService"].methods_by_name["GetPattern"]
    metadata, _, rpc = played.channel.take_unary_unary(descriptor)
    answer(rpc, network.GetPatternResponse())
    doing.result(SOON)

    assert ("x-tenant", "one") in metadata
