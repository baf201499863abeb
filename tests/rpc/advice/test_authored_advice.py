"""What a fresh network answers: its authors' advice, labelled, until evidence takes over."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from keeper_grpc.gen.keeper.network.v1 import insight_pb2, network_service_pb2, pattern_pb2
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    WITHDRAWAL_REASON_HARMFUL,
    RetirePatternRequest,
)
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import REACTION_ACCEPTED
from tests.rpc.advice.facts import CATALOG
from tests.rpc.advice.test_suggest_moves import tried
from tests.rpc.requests import new_account
from tests.rpc.service import Service, running

pytestmark = pytest.mark.usefixtures("seeded")

Response = network_service_pb2.EnhanceInsightResponse
Authored = pattern_pb2.AuthoredAdvice


def question(
    key: str,
    conditions: Mapping[str, Any] | None = None,
    *,
    action: str = "",
    category: str = "spa",
    account: str | None = None,
) -> network_service_pb2.EnhanceInsightRequest:
    """A question of the type of a pattern of the catalog, in its own conditions unless others are given."""
    known = CATALOG[key]
    asked = network_service_pb2.EnhanceInsightRequest(
        account_id=account or new_account(),
        insight=insight_pb2.Insight(
            type=known.pattern_type, business_category=category, action=action, confidence=0.5
        ),
    )
    asked.insight.conditions.update(known.conditions if conditions is None else conditions)
    return asked


@pytest.mark.parametrize("action", ["", "Hand out towels", "own"])
@pytest.mark.parametrize("key", sorted(CATALOG))
async def test_its_own_conditions_bring_every_pattern_of_the_catalog(
    service: Service, key: str, action: str
) -> None:
    """Whatever the account proposes, and if it proposes nothing; labelled, without a rate and without a boost."""
    known = CATALOG[key]
    for category in known.business_categories:
        answer = await service.network.EnhanceInsight(
            question(key, action=known.action if action == "own" else action, category=category)
        )
        got = answer.enhanced_insight
        assert got.authored_advice.action == got.suggested_approach == known.action
        assert got.authored_advice.script in {script.text for script in known.scripts}
        assert got.network_context.startswith("Authored, untested here; its author ")
        assert (got.base_confidence, got.confidence) == (0.5, 0.5)
        assert not got.network_enhanced
        assert answer.no_match_reason != Response.NO_MATCH_REASON_UNSPECIFIED
        assert not got.pattern_id
        assert not got.proven_script
        assert got.expected_success_rate == 0
        assert not got.HasField("evidence")
        assert not got.HasField("factors")
        claim, claimed = got.authored_advice.author_claim, known.claims.success_rate
        assert claim.HasField("success_rate") == (claimed is not None)
        if claimed is not None:
            assert claim.success_rate == pytest.approx(claimed)
            assert f"its author claims {claimed:.0%} success" in got.network_context


@pytest.mark.parametrize(
    ("key", "conditions"),
    [
        ("break_in_pattern", {"days_since_visit": 60, "avg_frequency": 28}),
        ("break_in_pattern", {"customer": {"days_since_visit": 60, "avg_frequency": 28}}),
        ("break_in_pattern", {"customer.days_since_visit": "60", "customer_avg_frequency": "28"}),
        ("high_value_at_risk", {"ltv": 2500, "frequency_declining": True}),
        ("negative_review_recovery", {"rating": 1}),
        ("negative_review_recovery", {"review_rating": 2, "complaint": "long wait"}),
        ("employee_coaching_needed", {"modifier_rate": 0.1, "team_average": 0.3}),
        (
            "morning_modifier_boost",
            {"morning_modifier_rate": 0.3, "afternoon_modifier_rate": 0.1},
        ),
    ],
)
async def test_a_trigger_holds_for_what_the_conditions_state(
    service: Service, key: str, conditions: Mapping[str, Any]
) -> None:
    """Facts are recognized by their names, with and without the subject."""
    got = (await service.network.EnhanceInsight(question(key, conditions))).enhanced_insight
    assert got.suggested_approach == CATALOG[key].action
    assert got.authored_advice.matched_by == Authored.MATCHED_BY_TRIGGER
    assert got.authored_advice.trigger == CATALOG[key].trigger


@pytest.mark.parametrize(
    ("key", "conditions"),
    [
        ("negative_review_recovery", {"rating": 5}),
        ("negative_review_recovery", {"rating": "4 or higher"}),
        ("break_in_pattern", {"days_since_visit": 20, "avg_frequency": 28}),
        ("break_in_pattern", {"churn_risk": "low"}),
        ("high_value_at_risk", {"ltv": 200, "visit_frequency": "declining"}),
        ("morning_modifier_boost", {"time_of_day": "morning"}),
        ("break_in_pattern", {"days_since_visit": 60, "avg_frequency": 28, "has_booking": True}),
        ("win_back_lapsing", {"days_since_visit": 120, "opted_out": "yes"}),
    ],
)
async def test_what_contradicts_the_author_is_not_answered_by_it(
    service: Service, key: str, conditions: Mapping[str, Any]
) -> None:
    """A satisfied reviewer is not offered an apology, however similar the words."""
    asked = question(key, conditions, action=CATALOG[key].action)
    got = (await service.network.EnhanceInsight(asked)).enhanced_insight
    assert got.suggested_approach != CATALOG[key].action


async def test_another_category_or_type_is_not_answered(service: Service) -> None:
    """The author wrote for some lines of business and for one type of insight."""
    barber = question("negative_review_recovery", category="barber")
    other = question("negative_review_recovery")
    other.insight.type = "shelf_labels"
    for asked in (barber, other):
        answer = await service.network.EnhanceInsight(asked)
        assert not answer.enhanced_insight.HasField("authored_advice")
        assert not answer.enhanced_insight.suggested_approach


@pytest.mark.parametrize("gate", [{"min_success_rate": 0.65}, {"min_occurrences": 4}])
async def test_who_asks_for_more_proof_gets_no_authors_word(
    service: Service, gate: Mapping[str, float]
) -> None:
    """A claim is no evidence; the defaults, said aloud, are the defaults."""
    asked = question("break_in_pattern")
    asked.min_success_rate, asked.min_occurrences = 0.60, 3
    answer = await service.network.EnhanceInsight(asked)
    assert answer.enhanced_insight.HasField("authored_advice")
    for name, value in gate.items():
        setattr(asked, name, value)
    answer = await service.network.EnhanceInsight(asked)
    assert not answer.enhanced_insight.HasField("authored_advice")


async def test_reported_outcomes_become_its_evidence_and_take_over(service: Service) -> None:
    """Three owners whose reports were good make it proven; the next question is enhanced, without similar words."""
    key, category = "morning_modifier_boost", "gym"
    pattern_ids = set()
    for _ in range(3):
        account = new_account()
        given = await service.network.EnhanceInsight(
            question(key, category=category, account=account)
        )
        pattern_ids.add(given.enhanced_insight.authored_advice.pattern_id)
        for success in (True, True):
            again = await service.network.EnhanceInsight(
                question(key, category=category, account=account)
            )
            report = network_service_pb2.ReportOutcomeRequest(
                request_id=str(uuid.uuid4()),
                account_id=account,
                enhancement_id=again.enhancement_id,
                outcome=insight_pb2.Outcome(success=success),
            )
            await service.network.ReportOutcome(report)
    (pattern_id,) = pattern_ids
    answer = await service.network.EnhanceInsight(question(key, category=category))
    got = answer.enhanced_insight
    assert got.network_enhanced
    assert (got.pattern_id, got.evidence.occurrence_count) == (pattern_id, 6)
    assert got.confidence > got.base_confidence
    assert not got.HasField("authored_advice")


async def test_what_failed_here_is_offered_no_more(service: Service) -> None:
    """Once its own evidence may be shown, an author's claim counts for nothing against it."""
    key, category = "employee_coaching_needed", "salon"
    for _ in range(2):
        await tried(service, key, category, new_account(), successes=0, failures=3)
    # Two are too few to be shown, and their failures must not be seen by it either.
    given = await service.network.EnhanceInsight(question(key, category=category))
    assert given.enhanced_insight.HasField("authored_advice")
    await tried(service, key, category, new_account(), successes=0, failures=3)
    answer = await service.network.EnhanceInsight(question(key, category=category))
    assert not answer.enhanced_insight.HasField("authored_advice")
    assert answer.no_match_reason == Response.NO_MATCH_REASON_SUCCESS_RATE_TOO_LOW


async def test_who_found_that_it_fails_is_not_offered_it_again(service: Service) -> None:
    """Three failures of its own are enough for an account, and say nothing to another."""
    key, category = "high_value_at_risk", "gym"
    account = new_account()
    await tried(service, key, category, account, successes=0, failures=2)
    asked = question(key, category=category, account=account)
    assert (await service.network.EnhanceInsight(asked)).enhanced_insight.HasField(
        "authored_advice"
    )
    await tried(service, key, category, account, successes=0, failures=1)
    got = (await service.network.EnhanceInsight(asked)).enhanced_insight
    assert got.suggested_approach != CATALOG[key].action
    other = await service.network.EnhanceInsight(question(key, category=category))
    assert other.enhanced_insight.HasField("authored_advice")


async def test_reactions_and_tasks_work_as_for_any_advice(service: Service) -> None:
    """A task says that nobody has tried it, and its success probability is the insight's own."""
    account = new_account()
    given = await service.network.EnhanceInsight(question("high_value_at_risk", account=account))
    await service.network.ReportReaction(
        network_service_pb2.ReportReactionRequest(
            request_id=str(uuid.uuid4()),
            account_id=account,
            enhancement_id=given.enhancement_id,
            reaction=REACTION_ACCEPTED,
        )
    )
    order = network_service_pb2.GenerateTaskRequest(
        account_id=account, enhancement_id=given.enhancement_id
    )
    task = (await service.network.GenerateTask(order)).task
    assert task.confidence_label == "Authored, Untested"
    assert task.success_probability == 0.5
    scripts = {script.text for script in CATALOG["high_value_at_risk"].scripts}
    assert task.script in scripts
    assert CATALOG["high_value_at_risk"].action in task.steps
    assert task.script_note == ""


async def test_a_retired_pattern_is_offered_no_more(service: Service) -> None:
    """What an operator took back is not handed out as its author's word either."""
    asked = question("negative_review_recovery", category="gym")
    given = (await service.network.EnhanceInsight(asked)).enhanced_insight.authored_advice
    await service.admin.RetirePattern(
        RetirePatternRequest(pattern_id=given.pattern_id, reason=WITHDRAWAL_REASON_HARMFUL)
    )
    got = (await service.network.EnhanceInsight(asked)).enhanced_insight
    assert got.authored_advice.pattern_id != given.pattern_id
    assert got.suggested_approach != CATALOG["negative_review_recovery"].action


async def test_a_holdout_withholds_it_and_counts_it_in_both_arms(
    database_of_its_own: str,
) -> None:
    """What an author would have said is recorded and not told, and a rebuild counts the experiment the same."""
    async with running(database_of_its_own, seed_catalog=True, holdout_share=0.5) as service:
        arms = {True: 0, False: 0}
        given = {}
        for _ in range(12):
            account = new_account()
            answer = await service.network.EnhanceInsight(
                question("break_in_pattern", account=account)
            )
            held_out = answer.no_match_reason == Response.NO_MATCH_REASON_HOLDOUT
            got = answer.enhanced_insight
            assert got.HasField("authored_advice") is not held_out
            assert bool(got.suggested_approach) is not held_out
            assert not answer.HasField("closest_miss")
            arms[held_out] += 1
            given[account] = answer.enhancement_id
        for account, enhancement_id in given.items():
            await service.network.ReportOutcome(
                network_service_pb2.ReportOutcomeRequest(
                    request_id=str(uuid.uuid4()),
                    account_id=account,
                    enhancement_id=enhancement_id,
                    outcome=insight_pb2.Outcome(success=True),
                )
            )
        counted = await service.database.fetchrow(
            "SELECT sum(advised)::int, sum(held_out)::int FROM experiment_outcomes"
        )
        assert counted is not None
        assert tuple(counted) == (arms[False], arms[True])
        evidence = await service.value(
            "SELECT count(*) FROM observations WHERE pattern_id IS NOT NULL"
        )
        assert evidence == arms[False]
        assert await service.value("SELECT rebuild_experiment()") == 0
        assert await service.value("SELECT rebuild_measures()") == 0


async def test_a_stream_answers_as_a_call_does(service: Service) -> None:
    """A tournament gets the same advice."""
    asked = question("high_value_at_risk", category="salon")
    stream = service.network.EnhanceInsights()
    await stream.write(
        network_service_pb2.EnhanceInsightsRequest(correlation_id="one", request=asked)
    )
    await stream.done_writing()
    (answer,) = [message async for message in stream]
    alone = await service.network.EnhanceInsight(asked)
    assert answer.response.enhanced_insight == alone.enhanced_insight
    assert alone.enhanced_insight.HasField("authored_advice")
