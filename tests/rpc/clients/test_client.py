from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from keeper_grpc.client import (
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    KeeperClient,
    NotFound,
    PreconditionFailed,
    Refused,
    Retries,
    ServerError,
    Unavailable,
)
from keeper_grpc.client.errors import Detail
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.clients.scripted import QUICK, UNAVAILABLE, client, learn, retry_after, rich, script
from tests.rpc.requests import insight, new_account, new_topic
from tests.rpc.service import Service
from tests.stand_in_server import serving

MISSING = "00000000-0000-4000-8000-000000000000"

GOOD = Outcome(success=True)


@pytest.fixture
async def held(embeddings: OpenAIStandIn) -> AsyncIterator[OpenAIStandIn]:
    """The embeddings API, which answers nothing new until it is released."""
    embeddings.hold()
    yield embeddings
    embeddings.release()


async def test_each_method_reaches_its_call(keeper: KeeperClient, topic: str) -> None:
    """Register, capture, enhance, report, get and list, through the client alone."""
    account = new_account()
    joined = datetime(2026, 1, 2, tzinfo=UTC)
    assert await keeper.register_account(account, "spa", joined_time=joined)
    assert not await keeper.register_account(account, "spa", joined_time=joined)
    pattern_id = await learn(keeper, topic, "Offer a warm towel", "+++-")
    answer = await keeper.enhance(account, insight(topic), min_success_rate=0.5)
    assert answer.enhanced_insight.pattern_id == pattern_id
    assert (await keeper.get_pattern(pattern_id)).evidence.success_rate == 0.75
    reported = await keeper.report_outcome(account, answer.enhancement_id, GOOD)
    assert reported.pattern_id == pattern_id
    task = await keeper.generate_task(account, answer.enhancement_id)
    assert task.confidence_label == "Network Validated"
    second = await learn(keeper, topic, "Play quiet music", "++++++")
    listed = [
        pattern.pattern_id
        async for pattern in keeper.list_patterns(pattern_type=topic, page_size=1)
    ]
    assert listed == [second, pattern_id]


async def test_errors_are_read(keeper: KeeperClient, topic: str) -> None:
    """Each error is of its class, with the server's reason and fields."""
    with pytest.raises(InvalidRequest) as invalid:
        await keeper.capture("", insight(topic), GOOD)
    assert invalid.value.reason == "INVALID_REQUEST"
    assert [broken.field for broken in invalid.value.field_violations] == ["account_id"]
    assert invalid.value.code == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(NotFound) as missing:
        await keeper.get_pattern(MISSING)
    assert missing.value.reason == "PATTERN_NOT_FOUND"
    with pytest.raises(PreconditionFailed) as unknown:
        await keeper.enhance(new_account(), Insight(type=topic))
    assert unknown.value.reason == "ACCOUNT_CATEGORY_UNKNOWN"
    account = new_account()
    await keeper.capture(account, insight(topic), GOOD, request_id=MISSING)
    with pytest.raises(Conflict) as reused:
        await keeper.capture(account, insight(topic), Outcome(), request_id=MISSING)
    assert reused.value.reason == "REQUEST_ID_REUSED"


async def test_a_capture_keeps_its_name_across_retries_and_waits_as_asked() -> None:
    """One request_id for all attempts, no attempt before RetryInfo's delay."""
    scripted = script()
    scripted.failures = [rich(UNAVAILABLE, retry_after(0.2)), rich(UNAVAILABLE, retry_after(0.3))]
    async with serving(scripted) as port, client(port) as keeper:
        await keeper.capture("account", insight("churn_prevention"), GOOD)
        await keeper.capture("account", insight("churn_prevention"), GOOD)
    first, second, third, other = scripted.request_ids
    assert first == second == third != other
    waits = [
        later - earlier for earlier, later in zip(scripted.times, scripted.times[1:], strict=False)
    ]
    assert waits[0] >= 0.2
    assert waits[1] >= 0.3


async def test_a_call_that_the_server_cut_short_is_sent_again() -> None:
    """The server's limit is retried under the same request_id; a deadline without a reason is not."""
    code = grpc.StatusCode.DEADLINE_EXCEEDED
    scripted = script()
    scripted.failures = [rich(code, ErrorInfo(reason="CALL_DURATION_EXCEEDED")), rich(code)]
    async with serving(scripted) as port, client(port) as keeper:
        with pytest.raises(DeadlineExceeded):
            await keeper.capture("account", insight("churn_prevention"), GOOD)
    assert len(scripted.request_ids) == 2
    assert len(set(scripted.request_ids)) == 1


async def test_what_no_retry_cures_is_not_retried() -> None:
    """INTERNAL is raised at once, with its reason."""
    scripted = script()
    scripted.failures = [rich(grpc.StatusCode.INTERNAL, ErrorInfo(reason="INTERNAL"))]
    async with serving(scripted) as port, client(port) as keeper:
        with pytest.raises(ServerError) as caught:
            await keeper.capture("account", insight("churn_prevention"), GOOD)
    assert caught.value.reason == "INTERNAL"
    assert len(scripted.request_ids) == 1


async def test_attempts_and_time_are_bounded() -> None:
    """The last error is raised when attempts are used up, or the next one would come too late."""
    scripted = script()
    scripted.failures = [rich(UNAVAILABLE)] * 4 + [rich(UNAVAILABLE, retry_after(3600))]
    async with serving(scripted) as port, client(port) as keeper:
        with pytest.raises(Unavailable):
            await keeper.capture("account", insight("churn_prevention"), GOOD)
        assert len(scripted.request_ids) == QUICK.attempts
        with pytest.raises(Unavailable) as late:
            await keeper.capture("account", insight("churn_prevention"), GOOD)
    assert late.value.retry_after == 3600
    assert len(scripted.request_ids) == QUICK.attempts + 1


async def test_what_operators_did_is_listed_newest_first(
    keeper: KeeperClient, service: Service
) -> None:
    """As many events as are asked for, with counts and without an account."""
    accounts = [new_account(), new_account()]
    for account in accounts:
        await keeper.register_account(account, "spa")
    forgotten = []
    for account in accounts:
        done = await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
        forgotten.append(done.audit_event_id)

    # That it began is an event of its own.
    newest, _, older = await keeper.list_audit_events(page_size=3)

    assert [newest.audit_event_id, older.audit_event_id] == forgotten[::-1]
    assert newest.action == "forget_account"
    assert "observations_removed" in newest.counts


async def test_a_call_ends_at_its_timeout(service: Service, held: OpenAIStandIn) -> None:
    """A server that does not answer costs no more than the client's timeout."""
    async with client(service.app.port, timeout=0.2) as keeper:
        with pytest.raises(DeadlineExceeded):
            await keeper.enhance(new_account(), insight(new_topic(), "Offer held tea"))


async def test_an_error_without_details_is_an_error_still() -> None:
    """A proxy's status, and details that are none, give code and message."""
    scripted = script()
    garbage = (("grpc-status-details-bin", b"\xff\xff"),)
    scripted.failures = [
        {"code": grpc.StatusCode.PERMISSION_DENIED, "details": "no", "trailing_metadata": garbage}
    ]
    async with serving(scripted) as port, client(port) as keeper:
        with pytest.raises(Refused) as caught:
            await keeper.capture("account", insight("churn_prevention"), GOOD)
    assert (caught.value.message, caught.value.reason) == ("no", "")


def test_waits_grow_and_never_undercut_the_server() -> None:
    """Doubling up to the longest, shortened by jitter, on top of what the server asks for."""
    told = Unavailable(UNAVAILABLE, "", Detail(retry_after=2.0))
    silent = Unavailable(UNAVAILABLE, "", Detail())
    full = Retries(wait_initial=1.0, wait_max=5.0, jitter=lambda: 1.0)
    assert [full.delay(failures, silent) for failures in (1, 2, 3, 4, 9999)] == [1, 2, 4, 5, 5]
    assert full.delay(1, told) == 3.0
    assert Retries(wait_initial=1.0, jitter=lambda: 0.0).delay(5, told) == 2.0
