"""A pattern that harms is shown, and advised no more, however often it succeeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from keeper_grpc.gen.keeper.network.v1 import insight_pb2
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    GenerateTaskRequest,
    GetPatternRequest,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from tests.rpc.feedback import TOWEL, ask, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service

Outcomes = Sequence[dict[str, Any]]

LOSS: dict[str, Any] = {"revenue_impact": 40.0, "cost": 60.0}
GAIN: dict[str, Any] = {"revenue_impact": 40.0, "cost": 10.0}
HARMFUL = EnhanceInsightResponse.NO_MATCH_REASON_HARMFUL


@pytest.fixture(scope="module", autouse=True)
def same_direction(geometry: Geometry) -> None:
    """Whatever is about the towel is alike, in any situation."""
    geometry.together(TOWEL)


async def learn(service: Service, topic: str, accounts: Sequence[Outcomes]) -> str:
    """Capture successes with these figures, those of one new account for each item; the pattern's id."""
    for outcomes in accounts:
        account = new_account()
        for outcome in outcomes:
            request = capture(topic, account=account)
            request.outcome.MergeFrom(insight_pb2.Outcome(**outcome))
            stored = await service.capture(request)
    return stored.pattern_id


async def crossed(service: Service, pattern_id: str) -> list[str]:
    """The guardrails that the pattern is shown to have crossed."""
    answer = await service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))
    return [
        Pattern.Guardrail.Name(guardrail).removeprefix("GUARDRAIL_")
        for guardrail in answer.pattern.crossed_guardrails
    ]


@pytest.mark.parametrize(
    ("outcome", "harm"),
    [
        ({"complained": True}, "COMPLAINTS"),
        ({"unsubscribed": True}, "UNSUBSCRIBES"),
        (LOSS, "LOSSES"),
        ({"revenue_impact": -20.0}, "LOSSES"),
    ],
)
async def test_what_always_succeeds_and_harms_is_not_advised(
    service: Service, topic: str, outcome: dict[str, Any], harm: str
) -> None:
    """The reason is given, and the pattern says which guardrail it crossed."""
    pattern_id = await learn(service, topic, [[outcome, outcome]] * 5)
    assert await crossed(service, pattern_id) == [harm]
    given = await ask(service, topic, new_account())
    assert not given.enhanced_insight.network_enhanced
    assert given.no_match_reason == HARMFUL


@pytest.mark.parametrize(
    "accounts",
    [
        # One owner, however often it reports.
        [[GAIN] * 2] * 4 + [[{"revenue_impact": -1e9, "cost": 1e9}] * 20],
        [[{"complained": False}] * 2] * 4 + [[{"complained": True}] * 20],
        [[{"unsubscribed": False}] * 2] * 4 + [[{"unsubscribed": True}] * 20],
        # Two of three lose.
        [[LOSS] * 3] * 2 + [[GAIN] * 3],
        # A complaint in fifty.
        [[{"complained": False}] * 16 + [{"complained": True}]] * 3,
        # What is not said is no complaint.
        [[{}] * 3] * 4,
        [[GAIN] * 3] * 4,
        # To cost something is no loss where nobody says what it brought.
        [[{"cost": 50.0}] * 3] * 4,
    ],
)
async def test_no_single_owner_and_no_chance_puts_a_pattern_out(
    service: Service, topic: str, accounts: Sequence[Outcomes]
) -> None:
    """It takes k owners and certainty."""
    pattern_id = await learn(service, topic, accounts)
    assert await crossed(service, pattern_id) == []
    given = await ask(service, topic, new_account())
    assert given.enhanced_insight.network_enhanced


async def test_revenue_before_cost_does_not_hide_a_loss(service: Service, topic: str) -> None:
    """Owners that do not say what it cost them seem to gain."""
    pattern_id = await learn(
        service, topic, [[LOSS] * 2] * 5 + [[{"revenue_impact": 40.0}] * 2] * 8
    )
    assert await crossed(service, pattern_id) == ["LOSSES"]


async def test_reports_of_advice_cross_and_uncross(service: Service, topic: str) -> None:
    """It is judged with every outcome: interim losses end advice until the final figures come."""
    await teach(service, topic, ["++", "++", "++"])
    given = []
    for _ in range(5):
        account = new_account()
        given.append((account, (await ask(service, topic, account)).enhancement_id))
    for account, enhancement_id in given:
        await service.network.ReportOutcome(report(account, enhancement_id, final=False, **LOSS))
    assert (await ask(service, topic, new_account())).no_match_reason == HARMFUL
    for account, enhancement_id in given:
        await service.network.ReportOutcome(report(account, enhancement_id, **GAIN))
    assert (await ask(service, topic, new_account())).enhanced_insight.network_enhanced


async def test_a_task_of_advice_that_turned_out_harmful_is_a_plain_one(
    service: Service, topic: str
) -> None:
    """What is no longer advised is not put on a list to be done."""
    await teach(service, topic, ["++", "++", "++"])
    account = new_account()
    given = await ask(service, topic, account)
    request = GenerateTaskRequest(account_id=account, enhancement_id=given.enhancement_id)
    assert (await service.network.GenerateTask(request)).task.confidence_label
    await learn(service, topic, [[{"complained": True}] * 2] * 5)
    assert not (await service.network.GenerateTask(request)).task.confidence_label


async def test_the_askers_own_outcomes_do_not_put_a_pattern_out_for_it(
    service: Service, topic: str
) -> None:
    """Nothing of its own comes back to it, nor what fewer than k others reported."""
    await learn(
        service, topic, [[{"complained": False}] * 2] * 3 + [[{"complained": True}] * 2] * 2
    )
    account = new_account()
    for _ in range(2):
        request = capture(topic, account=account)
        request.outcome.complained = True
        await service.network.CapturePattern(request)
    assert (await ask(service, topic, account)).enhanced_insight.network_enhanced
    assert (await ask(service, topic, new_account())).no_match_reason == HARMFUL


async def test_another_category_does_not_bring_back_what_harms_here(
    service: Service, topic: str
) -> None:
    """The same action, learned where nobody said what it does."""
    await learn(service, topic, [[LOSS] * 2] * 5)
    for _ in range(4):
        for _ in range(2):
            await service.network.CapturePattern(capture(topic, category="gym"))
    assert (await ask(service, topic, new_account())).no_match_reason == HARMFUL
    there = await ask(service, topic, new_account(), category="gym")
    assert there.enhanced_insight.network_enhanced
