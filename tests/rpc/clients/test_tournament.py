from __future__ import annotations

import pytest

from keeper_grpc.client import (
    DeadlineExceeded,
    InvalidRequest,
    KeeperClient,
    Retries,
    Unavailable,
)
from keeper_grpc.client.tournament import WINDOW
from tests.e2e.waiting import SOON
from tests.integration.openai_stand_in import OpenAIStandIn, Status
from tests.rpc.clients.scripted import UNAVAILABLE, client, learn, rich, script
from tests.rpc.requests import insight, new_account, new_topic
from tests.stand_in_server import serving


async def test_a_tournament_ranks_by_confidence_and_value(keeper: KeeperClient, topic: str) -> None:
    """Enhanced confidence times potential value decides, and the network can turn the order."""
    await learn(keeper, topic, "Offer a warm towel", "++++")
    proven = insight(topic, insight_id="proven", confidence=0.5, potential_value=100)
    alone = insight(
        new_topic(), "Sing a song", insight_id="alone", confidence=0.55, potential_value=100
    )
    large = insight(
        new_topic(), "Wash the car", insight_id="large", confidence=0.2, potential_value=1000
    )
    result = await keeper.tournament(new_account(), [alone, proven, large])
    assert [each.insight.insight_id for each in result.ranked] == ["large", "proven", "alone"]
    assert [each.score for each in result.ranked] == pytest.approx([200, 62.5, 55])
    assert result.ranked[1].response.enhanced_insight.network_enhanced
    assert [each.basis for each in result.ranked] == ["", "in this situation", ""]
    assert result.failed == []


async def test_a_tournament_sets_failures_apart(keeper: KeeperClient, topic: str) -> None:
    """The error of an invalid insight names its fields; the others are ranked."""
    wrong = insight(topic, confidence=7.0)
    result = await keeper.tournament(new_account(), [wrong, insight(topic)])
    assert [each.insight for each in result.ranked] == [insight(topic)]
    (failed,) = result.failed
    assert failed.insight == wrong
    assert isinstance(failed.error, InvalidRequest)
    assert [broken.field for broken in failed.error.field_violations] == ["insight.confidence"]


async def test_a_tournament_asks_again_what_failed_for_a_moment(
    keeper: KeeperClient, embeddings: OpenAIStandIn, topic: str
) -> None:
    """An embedder that is away for one request costs no insight its place."""
    embeddings.then(Status(500))
    insights = [insight(topic, f"Offer {kind} tea") for kind in ("green", "black")]
    result = await keeper.tournament(new_account(), insights)
    assert len(result.ranked) == 2
    assert result.failed == []


async def test_an_empty_tournament_makes_no_call() -> None:
    """Nothing to rank needs no server."""
    async with client(1) as keeper:
        result = await keeper.tournament("account", [])
    assert (result.ranked, result.failed) == ([], [])


async def test_a_tournament_without_a_server_raises() -> None:
    """Nothing was judged: that is an error, not an empty ranking."""
    async with client(1, retries=Retries(attempts=2, wait_initial=0.01)) as keeper:
        with pytest.raises(Unavailable):
            await keeper.tournament("account", [insight("churn_prevention")], timeout=SOON)


async def test_a_tournament_has_no_more_questions_open_than_its_window() -> None:
    """A server that wants a window of questions before it answers gets it, and not one more."""
    scripted = script()
    insights = [insight("churn_prevention", insight_id=str(number)) for number in range(WINDOW * 2)]
    async with serving(scripted) as port, client(port) as keeper:
        scripted.answers_from = WINDOW
        result = await keeper.tournament("account", insights, timeout=SOON)
        assert len(result.ranked) == len(insights)
        scripted.answers_from = WINDOW + 1
        with pytest.raises(DeadlineExceeded):
            await keeper.tournament("account", insights, timeout=3)
    assert [len(asked) for asked in scripted.asked] == [WINDOW * 2, WINDOW]


async def test_a_tournament_keeps_what_was_answered_in_time() -> None:
    """At the deadline the answered insights are ranked, the others failed with it."""
    scripted = script()
    scripted.answers_to = 2
    scripted.hangs = True
    insights = [insight("churn_prevention", insight_id=name) for name in "abc"]
    async with serving(scripted) as port, client(port) as keeper:
        result = await keeper.tournament("account", insights, timeout=3)
    assert [each.insight.insight_id for each in result.ranked] == ["a", "b"]
    (failed,) = result.failed
    assert failed.insight.insight_id == "c"
    assert isinstance(failed.error, DeadlineExceeded)


async def test_a_stream_that_ends_early_is_a_broken_one() -> None:
    """Questions that a proxy lost without an error are asked again."""
    scripted = script()
    scripted.answers_to = 2
    insights = [insight("churn_prevention", insight_id=name) for name in "abc"]
    async with serving(scripted) as port, client(port) as keeper:
        result = await keeper.tournament("account", insights, timeout=SOON)
    assert [each.insight.insight_id for each in result.ranked] == ["a", "b", "c"]
    assert scripted.asked == [["a", "b", "c"], ["c"]]


async def test_a_tournament_goes_on_where_a_stream_broke() -> None:
    """Only what has no answer is asked again."""
    scripted = script()
    scripted.failures = [rich(UNAVAILABLE)]
    insights = [insight("churn_prevention", insight_id=name) for name in "abc"]
    async with serving(scripted) as port, client(port) as keeper:
        result = await keeper.tournament("account", insights)
    assert [each.insight.insight_id for each in result.ranked] == ["a", "b", "c"]
    assert scripted.asked[0][:2] == ["a", "b"]
    assert scripted.asked[1] == ["b", "c"]
