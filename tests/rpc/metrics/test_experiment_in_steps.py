"""What polling the uplift tells of one outcome, under the settings that hold by default."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Uplift
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import ask, react, report, teach
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service, openai, running

CATEGORY = "climbing_hall"
HOLDOUT = network_service_pb2.EnhanceInsightResponse.NO_MATCH_REASON_HOLDOUT
STEP = 5


@pytest.fixture(scope="module")
async def stepwise(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """A service that holds out half of the questions, and counts outcomes in steps of five."""
    settings = openai(embeddings.base_url, counting_step=STEP, holdout_share=0.5)
    async with running(database_url, **settings) as started:
        yield started


async def uplift(service: Service) -> Uplift:
    """The uplift as it is shown."""
    request = network_service_pb2.GetNetworkMetricsRequest(business_category=CATEGORY)
    told = await service.network.GetNetworkMetrics(request)
    assert not told.withheld
    return told.uplift


async def outcomes(service: Service, topic: str, account: str, many: int) -> None:
    """Ask and report success, so many times, whatever the arm."""
    for _ in range(many):
        given = await ask(service, topic, account, category=CATEGORY)
        await service.network.ReportOutcome(report(account, given.enhancement_id))


async def accounts(service: Service, topic: str, each: int) -> tuple[list[str], list[str]]:
    """So many accounts that are advised, and as many held out: chance decides once for an account and a question."""
    advised: list[str] = []
    held_out: list[str] = []
    while min(len(advised), len(held_out)) < each:
        account = new_account()
        given = await ask(service, topic, account, category=CATEGORY)
        (held_out if given.no_match_reason == HOLDOUT else advised).append(account)
    return advised[:each], held_out[:each]


async def test_no_single_outcome_shows_in_the_uplift(stepwise: Service, topic: str) -> None:
    """Neither reported, nor captured as done instead, nor interim, nor dismissed; with the fifth, all count at once."""
    await teach(stepwise, topic, ["+++++"] * 4, category=CATEGORY)
    for arm in await accounts(stepwise, topic, 6):
        for account in arm:
            await outcomes(stepwise, topic, account, STEP)
    before = await uplift(stepwise)
    assert before.advised_count + before.held_out_count == 60
    assert before.owner_count == 12
    victim = new_account()
    interim = await ask(stepwise, topic, victim, category=CATEGORY)
    await stepwise.network.ReportOutcome(report(victim, interim.enhancement_id, final=False))
    instead = await ask(stepwise, topic, victim, category=CATEGORY)
    own = capture(topic, "Ring the doorbell twice", account=victim, category=CATEGORY)
    own.enhancement_id = instead.enhancement_id
    await stepwise.network.CapturePattern(own)
    assert await uplift(stepwise) == before
    await outcomes(stepwise, topic, victim, 3)
    assert await uplift(stepwise) == before
    await stepwise.network.ReportOutcome(report(victim, interim.enhancement_id, success=False))
    after = await uplift(stepwise)
    assert after.advised_count + after.held_out_count == 65
    succeeded = after.advised_success_count + after.held_out_success_count
    assert succeeded - before.advised_success_count - before.held_out_success_count == 4
    assert await stepwise.value("SELECT rebuild_experiment()") == 0


async def test_dismissed_advice_counts_as_assigned_and_not_as_followed(
    stepwise: Service, topic: str
) -> None:
    """Its outcome is one of the arm, and no success of the pattern."""
    pattern_id = await teach(stepwise, topic, ["+++++"] * 4, category=CATEGORY)
    (dismissing, *following), held_out = await accounts(stepwise, topic, 4)
    for account in (*following, *held_out):
        await outcomes(stepwise, topic, account, STEP)
    before = await uplift(stepwise)
    request = network_service_pb2.GetPatternRequest(pattern_id=pattern_id)
    evidence = (await stepwise.network.GetPattern(request)).pattern.evidence
    followed = "SELECT sum(followed)::integer FROM experiment_outcomes"
    followed_before = await stepwise.value(followed)
    for _ in range(STEP):
        given = await ask(stepwise, topic, dismissing, category=CATEGORY)
        reaction = react(dismissing, given.enhancement_id, "DISMISSED")
        await stepwise.network.ReportReaction(reaction)
        told = await stepwise.network.ReportOutcome(report(dismissing, given.enhancement_id))
        assert not told.pattern_id
    after = await uplift(stepwise)
    assert after.advised_count - before.advised_count == STEP
    assert await stepwise.value(followed) == followed_before
    # One owner that did not follow would be read from those that did.
    assert not after.followed_count
    assert (await stepwise.network.GetPattern(request)).pattern.evidence == evidence
