from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence

import pytest

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2, pattern_pb2
from tests.rpc.geometry import Geometry
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account, new_topic, question
from tests.rpc.service import Service

Response = network_service_pb2.EnhanceInsightResponse
ENHANCED = Response.NO_MATCH_REASON_UNSPECIFIED


async def teach(
    service: Service,
    topic: str,
    outcomes: Mapping[str, str] | Sequence[str],
    *,
    action: str = "Offer a warm towel",
    script: str = "",
    category: str = "spa",
) -> str:
    """Capture outcomes by account, as "++-" for two successes and a failure; the pattern's id."""
    by_account = (
        outcomes if isinstance(outcomes, Mapping) else {new_account(): seen for seen in outcomes}
    )
    for account, seen in by_account.items():
        for outcome in seen:
            stored = await service.capture(
                capture(
                    topic,
                    action,
                    account=account,
                    success=outcome == "+",
                    script=script,
                    category=category,
                )
            )
    return stored.pattern_id


async def test_a_newcomer_gets_what_others_learned(service: Service, topic: str) -> None:
    """Every field of an enhanced insight follows from the others' evidence."""
    script = "Hi {name}, a warm towel is waiting for you"
    pattern_id = await teach(service, topic, ["+++", "++-", "+++"], script=script)
    asked = question(topic, script="Come in", insight_id="mine-7", potential_value=250)
    answer = await service.network.EnhanceInsight(asked)
    got = answer.enhanced_insight
    assert answer.no_match_reason == ENHANCED
    assert got.network_enhanced
    assert got.pattern_id == pattern_id
    assert got.suggested_approach == "Offer a warm towel"
    assert got.proven_script == script
    # The pattern's posterior mean under a uniform prior: all outcomes had the question's conditions,
    # none, and count once.
    assert got.expected_success_rate == pytest.approx((8 + 1) / (9 + 2), abs=1e-4)
    assert got.base_confidence == 0.5
    assert got.confidence == pytest.approx(0.5 * (1 + got.expected_success_rate * 0.3), abs=1e-12)
    assert got.network_context == "This approach worked 82% of the time across 9 similar cases"
    assert got.basis == pattern_pb2.EXPECTATION_BASIS_SITUATION
    assert got.explanation
    evidence = got.evidence
    assert (evidence.occurrence_count, evidence.success_count, evidence.account_count) == (9, 8, 3)
    assert evidence.success_rate == pytest.approx(8 / 9)
    assert 0 < evidence.lower_bound < evidence.success_rate
    assert evidence.similarity == pytest.approx(1, abs=1e-6)
    assert got.insight.insight_id == "mine-7"
    assert got.insight.type == topic


async def test_a_high_confidence_is_capped_below_certainty(service: Service, topic: str) -> None:
    """The boost never makes a confidence of one."""
    await teach(service, topic, ["++", "++", "++"])
    answer = await service.network.EnhanceInsight(question(topic, confidence=0.95))
    assert answer.enhanced_insight.confidence == 0.99


@pytest.mark.parametrize(
    ("outcomes", "overrides", "reason"),
    [
        (["+-", "+-", "+-", "+", "+"], {}, ENHANCED),
        (["+-", "+-", "+-"], {}, Response.NO_MATCH_REASON_SUCCESS_RATE_TOO_LOW),
        (["+-", "+-", "+-"], {"min_success_rate": 0.5}, ENHANCED),
        (["--", "--", "--"], {"min_success_rate": 0.0}, ENHANCED),
        (
            ["++-", "++-", "++-"],
            {"min_success_rate": 0.67},
            Response.NO_MATCH_REASON_SUCCESS_RATE_TOO_LOW,
        ),
        (["+", "+", "+"], {}, ENHANCED),
        (["+", "+", "+"], {"min_occurrences": 4}, Response.NO_MATCH_REASON_TOO_FEW_OCCURRENCES),
        # The account with two observations weighs as much as the others, a third.
        (["++", "+", "+"], {"min_occurrences": 4}, Response.NO_MATCH_REASON_TOO_FEW_OCCURRENCES),
        (["+", "+", "+", "+"], {"min_occurrences": 4}, ENHANCED),
        (["+", "+", "+"], {"min_occurrences": 1}, ENHANCED),
        (["+++", "+++"], {}, Response.NO_MATCH_REASON_NO_PATTERNS),
        (["+++", "+++"], {"min_occurrences": 1}, Response.NO_MATCH_REASON_NO_PATTERNS),
        (["+" * 31, "+", "+"], {}, ENHANCED),
        (["-" * 31, "+", "+"], {}, ENHANCED),
        (["+" * 31, "-", "+"], {}, ENHANCED),
        (["+" * 31, "-", "-"], {}, Response.NO_MATCH_REASON_SUCCESS_RATE_TOO_LOW),
        (["++", "+", "+"], {}, ENHANCED),
        ([], {}, Response.NO_MATCH_REASON_NO_PATTERNS),
    ],
)
async def test_the_thresholds_decide_and_the_reason_says_which(
    service: Service,
    topic: str,
    outcomes: Sequence[str],
    overrides: Mapping[str, float],
    reason: int,
) -> None:
    """Rate, occurrences and accounts at and below their limits, and what one account may weigh."""
    if outcomes:
        await teach(service, topic, outcomes)
    asked = question(topic)
    for name, value in overrides.items():
        setattr(asked, name, value)
    answer = await service.network.EnhanceInsight(asked)
    assert answer.no_match_reason == reason
    got = answer.enhanced_insight
    assert got.network_enhanced is (reason == ENHANCED)
    if reason != ENHANCED:
        assert (got.base_confidence, got.confidence) == (0.5, 0.5)
        assert not got.suggested_approach
        assert not got.pattern_id
        assert not got.HasField("evidence")


@pytest.mark.parametrize(
    ("cosine", "reason"),
    [(0.401, ENHANCED), (0.399, Response.NO_MATCH_REASON_NOTHING_SIMILAR)],
)
async def test_the_retrieval_floor_decides(
    service: Service, topic: str, geometry: Geometry, cosine: float, reason: int
) -> None:
    """A pattern about something else says nothing, however well it works."""
    words = topic.replace("_", " ")
    geometry.apart(f"Offer a {words} bath", f"Mention the {words} bath", cosine=cosine)
    await teach(service, topic, ["++", "++", "++"], action=f"Offer a {words} bath")
    answer = await service.network.EnhanceInsight(question(topic, f"Mention the {words} bath"))
    assert answer.no_match_reason == reason


async def test_no_account_gets_its_own_evidence_back(service: Service, topic: str) -> None:
    """Of three accounts each sees two others, too few; the one that knows all gets nothing."""
    accounts = [new_account() for _ in range(3)]
    await teach(service, topic, dict.fromkeys(accounts, "++"))
    for account in accounts:
        answer = await service.network.EnhanceInsight(question(topic, account=account))
        assert answer.no_match_reason == Response.NO_MATCH_REASON_NO_PATTERNS
    alone, mine = new_account(), new_topic()
    await teach(service, mine, {alone: "++++++"})
    answer = await service.network.EnhanceInsight(question(mine, account=alone))
    assert answer.no_match_reason == Response.NO_MATCH_REASON_NO_PATTERNS


async def test_own_outcomes_and_own_script_are_subtracted(service: Service, topic: str) -> None:
    """What an account is told is what it would be told had it never captured."""
    mine = new_account()
    theirs = "Hi {name}, enjoy a warm towel"
    await teach(service, topic, ["++", "+-", "++"], script=theirs)
    before = await service.network.EnhanceInsight(question(topic))
    await teach(service, topic, {mine: "-" * 50}, script="Towels! Towels for all!")
    after = await service.network.EnhanceInsight(question(topic, account=mine))
    was, now = before.enhanced_insight.evidence, after.enhanced_insight.evidence
    # Evidence grows old between the two questions, by milliseconds.
    assert now.lower_bound == pytest.approx(was.lower_bound, abs=1e-6)
    now.lower_bound = was.lower_bound
    assert now == was
    assert after.enhanced_insight.proven_script == theirs
    assert after.enhanced_insight.confidence == before.enhanced_insight.confidence
    others = await service.network.EnhanceInsight(question(topic))
    shown = others.enhanced_insight.evidence
    assert (shown.occurrence_count, shown.success_count) == (8, 5)


async def test_a_script_needs_three_accounts_of_its_own(service: Service, topic: str) -> None:
    """A published pattern does not publish the wording of two accounts."""
    await teach(service, topic, ["+", "+", "+"])
    await teach(service, topic, ["++", "++"], script="Our secret towel sentence")
    answer = await service.network.EnhanceInsight(question(topic))
    assert answer.enhanced_insight.network_enhanced
    assert answer.enhanced_insight.proven_script == ""


async def test_types_are_isolated(service: Service, topic: str, geometry: Geometry) -> None:
    """What is known of one type says nothing about another, though the words are the same."""
    other = new_topic()
    geometry.together(topic.replace("_", " "), other.replace("_", " "))
    await teach(service, topic, ["++", "++", "++"])
    answer = await service.network.EnhanceInsight(question(other))
    assert answer.no_match_reason == Response.NO_MATCH_REASON_NO_PATTERNS


async def test_another_categorys_pattern_counts_at_a_discount(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """A gym that nobody of its trade can help gets what spas know, worth less, and is told so."""
    geometry.together(topic.replace("_", " "))
    await teach(service, topic, ["++", "++", "++"])
    at_home = (await service.network.EnhanceInsight(question(topic))).enhanced_insight
    abroad = (
        await service.network.EnhanceInsight(question(topic, category="gym"))
    ).enhanced_insight
    assert (at_home.factors.transfer, at_home.factors.business_category) == (1, "spa")
    assert (abroad.factors.transfer, abroad.factors.business_category) == (0.7, "spa")
    assert abroad.confidence == pytest.approx(0.5 * (1 + abroad.expected_success_rate * 0.3))
    assert abroad.confidence < at_home.confidence
    assert abroad.expected_success_rate == pytest.approx(
        0.7 * at_home.expected_success_rate, abs=1e-4
    )
    assert abroad.factors.score == pytest.approx(0.7 * at_home.factors.score, abs=1e-4)


async def test_the_own_category_goes_first(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """What the own trade knows is told, even where another trade did better; two are too few."""
    geometry.together(topic.replace("_", " "))
    spas = await teach(service, topic, ["+++++", "+++++", "+++++"])
    gyms = await teach(service, topic, ["++-", "++-"], category="gym")
    answer = await service.network.EnhanceInsight(question(topic, category="gym"))
    assert answer.enhanced_insight.pattern_id == spas
    await teach(service, topic, ["++-"], category="gym")
    answer = await service.network.EnhanceInsight(question(topic, category="gym"))
    assert answer.enhanced_insight.pattern_id == gyms


async def test_the_closest_miss_tells_only_what_may_be_told(service: Service, topic: str) -> None:
    """Of two accounts' pattern nothing; of a published one how near it is and how it did."""
    nothing = await service.network.EnhanceInsight(question(topic))
    assert not nothing.HasField("closest_miss")
    await teach(service, topic, ["+-", "--"])
    hidden = await service.network.EnhanceInsight(question(topic))
    assert not hidden.HasField("closest_miss")
    await teach(service, topic, ["+-"])
    told = (await service.network.EnhanceInsight(question(topic))).closest_miss
    assert told.similarity == pytest.approx(1, abs=1e-6)
    assert told.success_rate == pytest.approx(1 / 3)
    assert told.expected_success_rate == pytest.approx((2 + 1) / (6 + 2), abs=1e-4)
    assert told.occurrence_count == 6


async def test_requirements_do_not_tell_withheld_evidence(service: Service, topic: str) -> None:
    """Whatever the caller requires, a pattern of two accounts gives one answer."""
    await teach(service, topic, ["+" * 6 + "-" * 3, "+-"])
    reasons = {
        (
            await service.network.EnhanceInsight(
                question(topic, min_success_rate=rate, min_occurrences=count)
            )
        ).no_match_reason
        for rate in (0.0, 0.63, 0.64, 1.0)
        for count in (1, 11, 12)
    }
    assert reasons == {Response.NO_MATCH_REASON_NO_PATTERNS}


async def test_the_surer_pattern_wins_not_the_luckier(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """At equal similarity nineteen of twenty beat three of three."""
    words = topic.replace("_", " ")
    lucky, sure = f"Offer a {words} drink", f"Stop offering a {words} drink"
    geometry.together(lucky, sure, f"Ask about a {words} drink")
    await teach(service, topic, ["+", "+", "+"], action=lucky)
    pattern_id = await teach(service, topic, ["+++++", "+++++", "+++++", "++++-"], action=sure)
    answer = await service.network.EnhanceInsight(question(topic, f"Ask about a {words} drink"))
    assert answer.enhanced_insight.pattern_id == pattern_id


async def test_an_insight_without_action_and_script_is_answered(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """The network is asked for them: what matches is the situation."""
    geometry.together(topic.replace("_", " "))
    await teach(service, topic, ["++", "++", "++"])
    answer = await service.network.EnhanceInsight(question(topic, "", conditions={"rating": 2}))
    assert answer.enhanced_insight.suggested_approach == "Offer a warm towel"
    assert answer.enhanced_insight.insight.action == ""


async def test_every_enhancement_is_recorded_under_its_id(service: Service, topic: str) -> None:
    """Both advice and its absence leave a row, so that an outcome can be attributed."""
    unknown = await service.network.EnhanceInsight(question(topic))
    pattern_id = await teach(service, topic, ["++", "++", "++"])
    known = await service.network.EnhanceInsight(question(topic))
    assert known.enhancement_id != unknown.enhancement_id
    sql = "SELECT {} FROM enhancements WHERE id = $1"
    row = uuid.UUID(unknown.enhancement_id)
    assert await service.value(sql.format("no_match_reason"), row) == "no_patterns"
    assert await service.value(sql.format("pattern_id"), row) is None
    row = uuid.UUID(known.enhancement_id)
    assert await service.value(sql.format("no_match_reason"), row) is None
    assert await service.value(sql.format("pattern_id"), row) == uuid.UUID(pattern_id)
    assert await service.value(sql.format("confidence"), row) == known.enhanced_insight.confidence


async def test_asking_changes_no_evidence(service: Service, topic: str) -> None:
    """A hot loop of questions leaves the pattern as it was."""
    await teach(service, topic, ["++", "++", "++"])
    answers = await asyncio.gather(
        *(service.network.EnhanceInsight(question(topic)) for _ in range(20))
    )
    assert {answer.no_match_reason for answer in answers} == {ENHANCED}
    assert {answer.enhanced_insight.evidence.occurrence_count for answer in answers} == {6}
    assert len({answer.enhancement_id for answer in answers}) == 20


async def test_an_unknown_account_without_category_is_refused(service: Service, topic: str) -> None:
    """Without a category there is nothing to search in."""
    refused = await refusal(service.network.EnhanceInsight(question(topic, category="")))
    assert refused.reason == "ACCOUNT_CATEGORY_UNKNOWN"
