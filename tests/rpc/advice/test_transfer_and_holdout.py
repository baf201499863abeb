from __future__ import annotations

from typing import Any

import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import EnhanceInsightResponse
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import TOWEL, ask, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.requests import new_account
from tests.rpc.service import Service, openai, running

SCRIPT = "Hi {name}, a warm towel is waiting for you"


@pytest.fixture(scope="module", autouse=True)
def same_direction(geometry: Geometry) -> None:
    """Whatever is about the towel is alike, in any category."""
    geometry.together(TOWEL)


async def gym_tries(service: Service, topic: str, *outcomes: str) -> list[str]:
    """New gyms ask and report; the ids of the patterns that their outcomes became evidence of."""
    credited = []
    for seen in outcomes:
        gym = new_account()
        # Each asks before it reports, so that all act on the same advice.
        given = [await ask(service, topic, gym, category="gym") for _ in seen]
        for enhancement, outcome in zip(given, seen, strict=True):
            assert enhancement.enhanced_insight.network_enhanced
            request = report(gym, enhancement.enhancement_id, success=outcome == "+")
            await service.network.ReportOutcome(request)
            credited.append((await service.stored(request.request_id)).pattern_id)
    return credited


async def transfer(service: Service, topic: str) -> float:
    """The discount that a new gym is told, while the advice comes from elsewhere, however bad."""
    answer = await ask(service, topic, new_account(), category="gym", min_success_rate=0.2)
    assert answer.enhanced_insight.factors.business_category == "spa"
    return answer.enhanced_insight.factors.transfer


async def test_a_gym_gets_a_spas_pattern_when_gyms_have_none(service: Service, topic: str) -> None:
    """Discounted, and labelled as learned elsewhere."""
    pattern_id = await teach(service, topic, ["+++", "+++", "+++"], script=SCRIPT)
    spa = (await ask(service, topic, new_account())).enhanced_insight
    gym = (await ask(service, topic, new_account(), category="gym")).enhanced_insight
    assert gym.network_enhanced
    assert gym.pattern_id == pattern_id
    assert gym.factors.business_category == "spa"
    assert spa.factors.transfer == 1
    assert gym.factors.transfer == pytest.approx(0.7)
    assert gym.expected_success_rate == pytest.approx(0.7 * spa.expected_success_rate)
    assert gym.factors.score < spa.factors.score
    assert gym.confidence < spa.confidence
    assert "learned in another category, counted at 70%" in gym.explanation
    assert "spa" in gym.explanation


async def test_a_gyms_outcome_does_not_count_for_spas(service: Service, topic: str) -> None:
    """It becomes the first evidence of the gyms' own pattern, worded as the spas' is."""
    spa_pattern = await teach(service, topic, ["++", "++", "++"], script=SCRIPT)
    (own,) = await gym_tries(service, topic, "-")
    assert own not in {"", spa_pattern}
    rows = await service.database.fetch(
        """
        SELECT business_category, action_template, occurrence_count, success_count
          FROM network_patterns WHERE pattern_type = $1 ORDER BY business_category
        """,
        topic,
    )
    assert [tuple(row) for row in rows] == [("gym", TOWEL, 1, 0), ("spa", TOWEL, 6, 6)]
    script = await service.value(
        "SELECT template FROM pattern_scripts WHERE pattern_id = $1::text::uuid", own
    )
    assert script == SCRIPT


async def test_outcomes_of_gyms_gather_in_one_pattern(service: Service, topic: str) -> None:
    """The second finds what the first began, as a capture would."""
    await teach(service, topic, ["++", "++", "++"])
    credited = await gym_tries(service, topic, "+", "-")
    assert len(set(credited)) == 1


async def test_the_discount_is_learned_from_what_gyms_report(service: Service, topic: str) -> None:
    """It falls with failures, and tells nothing while it rests on few gyms."""
    await teach(service, topic, ["+++", "+++", "+++"])
    await gym_tries(service, topic, "--", "--")
    assert await transfer(service, topic) == pytest.approx(0.7)
    await gym_tries(service, topic, "--")
    fallen = await transfer(service, topic)
    # Six failures, each where what a spa is told was expected; 3.5 of 5 is what nobody had tried.
    spa = (await ask(service, topic, new_account())).enhanced_insight
    assert fallen == pytest.approx(3.5 / (5 + 6 * spa.expected_success_rate))


async def test_gyms_come_to_use_their_own_pattern(service: Service, topic: str) -> None:
    """The discount rises with their successes until they have enough evidence themselves."""
    await teach(service, topic, ["+++++", "+++++", "+++++"])
    asking = {
        "outsider": new_account(),
        **{f"gym {number}": new_account() for number in range(3)},
    }
    given = {
        name: await ask(service, topic, account, category="gym") for name, account in asking.items()
    }
    for name in ("gym 0", "gym 1"):
        await service.network.ReportOutcome(report(asking[name], given[name].enhancement_id))
    assert await transfer(service, topic) == pytest.approx(0.7)
    await service.network.ReportOutcome(report(asking["gym 2"], given["gym 2"].enhancement_id))
    answer = (await ask(service, topic, asking["outsider"], category="gym")).enhanced_insight
    assert answer.factors.business_category == "gym"
    assert answer.factors.transfer == 1
    assert answer.evidence.occurrence_count == 3
    # What the gyms have is not enough for this caller, so the spas' is told at what it was worth.
    demanding = (
        await ask(service, topic, asking["outsider"], category="gym", min_occurrences=10)
    ).enhanced_insight
    assert demanding.factors.business_category == "spa"
    assert 0.7 < demanding.factors.transfer <= 1


async def test_the_discount_never_exceeds_one(service: Service, topic: str) -> None:
    """However well a neighbour's pattern does here, it is worth no more than there."""
    await teach(service, topic, ["++--", "++--", "++--"])
    gyms = [new_account() for _ in range(4)]
    # The spas' twelve outcomes are enough, the other gyms' nine at most are not.
    modest: dict[str, Any] = {"category": "gym", "min_success_rate": 0.3, "min_occurrences": 12}
    for gym in gyms:
        for _ in range(3):
            given = await ask(service, topic, gym, **modest)
            assert given.enhanced_insight.factors.business_category == "spa"
            await service.network.ReportOutcome(report(gym, given.enhancement_id))
    answer = await ask(service, topic, gyms[0], **modest)
    assert answer.enhanced_insight.factors.business_category == "spa"
    assert answer.enhanced_insight.factors.transfer == 1


async def test_the_holdout_is_left_alone_and_tracked(
    database_url: str, embeddings: OpenAIStandIn, topic: str
) -> None:
    """It is told nothing, what it would have been told is recorded, its outcome counts for none."""
    async with running(database_url, holdout_share=1.0, **openai(embeddings.base_url)) as service:
        pattern_id = await teach(service, topic, ["++", "++", "++"], script=SCRIPT)
        account = new_account()
        given = await ask(service, topic, account)
        assert given.no_match_reason == EnhanceInsightResponse.NO_MATCH_REASON_HOLDOUT
        assert not given.enhanced_insight.network_enhanced
        assert not given.enhanced_insight.proven_script
        assert given.enhanced_insight.confidence == given.enhanced_insight.base_confidence
        row = await service.database.fetchrow(
            """
            SELECT holdout, pattern_id::text, script, expected_success_rate > 0.5 AS expected
              FROM enhancements WHERE id = $1::text::uuid
            """,
            given.enhancement_id,
        )
        assert row is not None
        assert tuple(row) == (True, pattern_id, SCRIPT, True)
        answer = await service.network.ReportOutcome(report(account, given.enhancement_id))
        assert not answer.pattern_id
        counted = await service.value(
            "SELECT occurrence_count FROM network_patterns WHERE id = $1::text::uuid", pattern_id
        )
        assert counted == 6


async def test_a_share_of_the_wordings_is_explored(
    database_url: str, embeddings: OpenAIStandIn, topic: str
) -> None:
    """Both wordings are handed out, each with the chance it had."""
    async with running(
        database_url, script_exploration=1.0, exploration_loss=1.0, **openai(embeddings.base_url)
    ) as service:
        for script in ("Welcome back, {name}", "Hello {name}"):
            await teach(service, topic, ["+", "+", "+"], script=script)
        told = set()
        for _ in range(40):
            given = await ask(service, topic, new_account())
            told.add(given.enhanced_insight.proven_script)
        assert told == {"Welcome back, {name}", "Hello {name}"}
        propensities = await service.database.fetch(
            "SELECT DISTINCT script_propensity FROM enhancements WHERE pattern_type = $1", topic
        )
        assert [row[0] for row in propensities] == pytest.approx([0.5] * len(propensities))


async def test_without_exploration_the_proven_wording_is_certain(
    service: Service, topic: str
) -> None:
    """Its propensity is one; where no words were handed out there is none."""
    await teach(service, topic, ["+", "+", "+"], script=SCRIPT)
    given = await ask(service, topic, new_account())
    nothing = await ask(service, f"{topic}_else", new_account())
    propensity = "SELECT script_propensity FROM enhancements WHERE id = $1::text::uuid"
    assert await service.value(propensity, given.enhancement_id) == 1.0
    assert await service.value(propensity, nothing.enhancement_id) is None
