"""The synchronous client, and the asynchronous one outside its loop, against the real service."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from keeper_grpc.client import (
    InvalidRequest,
    KeeperClient,
    NotFound,
    SnapshotComplete,
    SyncKeeperClient,
)
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import WithdrawalReason
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import Reaction
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from tests.rpc.clients.scripted import QUICK, UNAVAILABLE, learn, rich, script
from tests.rpc.requests import insight, new_account
from tests.rpc.service import Service
from tests.stand_in_server import serving

GOOD = Outcome(success=True)
REASON = WithdrawalReason.WITHDRAWAL_REASON_OUTDATED


def address(service: Service) -> str:
    """Where the service listens."""
    return f"127.0.0.1:{service.app.port}"


async def test_synchronous_code_makes_every_call(
    service: Service, keeper: KeeperClient, topic: str
) -> None:
    """An account's life through the synchronous client alone, in a thread as in Django or Celery."""
    pattern_id = await learn(keeper, topic, "Offer a warm towel", "++++")
    account, client = new_account(), SyncKeeperClient(address(service))

    def live() -> None:
        with client:
            assert client.register_account(account, "spa", owner_id="owner-of-a-test")
            answer = client.enhance(account, insight(topic))
            assert answer.enhanced_insight.pattern_id == pattern_id
            client.report_reaction(account, answer.enhancement_id, Reaction.REACTION_ACCEPTED)
            reported = client.report_outcome(account, answer.enhancement_id, GOOD)
            assert reported.pattern_id == pattern_id
            task = client.generate_task(account, answer.enhancement_id)
            assert task.confidence_label == "Network Validated"
            assert len(client.tournament(account, [insight(topic)] * 70).ranked) == 70
            assert [each.pattern_id for each in client.list_patterns(pattern_type=topic)] == [
                pattern_id
            ]
            assert client.get_pattern_history(pattern_id).pattern.pattern_id == pattern_id
            assert client.get_pattern_support(pattern_id).published
            assert client.network_metrics().HasField("as_of_time")
            assert client.account_value(account).ByteSize() >= 0
            assert client.suggest_moves(account, {"guests": 1}, business_category="spa") is not None
            complete = next(client.watch_emerging(pattern_type=topic, resume_token=""))
            assert complete is not None
            assert next(client.watch_network_metrics()) is not None
            assert client.update_account(account, owner_id="").changed
            assert client.retire_pattern(pattern_id, REASON).changed
            with pytest.raises(NotFound):
                client.get_pattern(pattern_id)
            assert client.retire_pattern(pattern_id, undo=True).changed
            assert client.forget_account(account).found
            actions = [event.action for event in client.audit_events(page_size=2)]
            assert {"forget_account", "retire_pattern", "update_account"} <= set(actions)

    await asyncio.to_thread(live)


async def test_a_tournament_asks_again_only_what_has_no_answer() -> None:
    """Of seventy questions those that the broken stream answered are not asked twice."""
    scripted = script()
    scripted.failures = [rich(UNAVAILABLE)]
    insights = [Insight(insight_id=str(number)) for number in range(70)]
    async with serving(scripted) as port:
        client = SyncKeeperClient(f"127.0.0.1:{port}", retries=QUICK)
        result = await asyncio.to_thread(client.tournament, "account", insights)
        client.close()

    assert len(result.ranked) == 70
    first, second = scripted.asked
    assert len(first) == 2
    assert sorted({*first, *second}) == sorted(insight.insight_id for insight in insights)


async def test_threads_share_a_client(service: Service, topic: str) -> None:
    """Many threads, as of a web server, over one connection."""
    client = SyncKeeperClient(address(service))

    def ask() -> str:
        return client.capture(new_account(), insight(topic), GOOD).pattern_id

    await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(8)))
    client.close()

    assert len({pattern async for pattern in _patterns(service, topic)}) == 1


async def _patterns(service: Service, topic: str) -> AsyncIterator[str]:
    async with KeeperClient(address(service)) as keeper:
        async for pattern in keeper.list_patterns(pattern_type=topic):
            yield pattern.pattern_id


async def test_a_client_of_a_module_serves_one_loop_after_another(
    service: Service, topic: str
) -> None:
    """Made where no loop runs, used by two runs of asyncio: each has a connection of its own."""
    made: list[KeeperClient] = []
    thread = threading.Thread(target=lambda: made.append(KeeperClient(address(service))))
    thread.start()
    thread.join()
    (client,) = made

    async def work() -> bool:
        await client.capture(new_account(), insight(topic), GOOD)
        async for event in client.watch_emerging(pattern_type=topic):
            return isinstance(event, SnapshotComplete)
        return False

    for _ in range(2):
        assert await asyncio.to_thread(asyncio.run, work())


async def test_operators_calls_are_there(
    service: Service, keeper: KeeperClient, topic: str
) -> None:
    """Owner, correction, withdrawal of a script, forgetting and the audit, through the asynchronous client."""
    pattern_id = await learn(keeper, topic, "Offer a warm towel", "++++")
    account = new_account()
    await keeper.register_account(account, "spa", owner_id="an-owner")

    assert (await keeper.update_account(account, business_category="salon")).changed
    with pytest.raises(NotFound):
        await keeper.withdraw_script(pattern_id, "no such script", REASON)
    with pytest.raises(InvalidRequest, match="a reason is required"):
        await keeper.retire_pattern(pattern_id)
    assert (await keeper.forget_account(account)).found
    events = [event.action async for event in keeper.audit_events(page_size=1)]
    assert "forget_account" in events
