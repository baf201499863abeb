from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from keeper_grpc.catalog.load import CatalogPattern, load_catalog
from keeper_grpc.composition.shared import authored_patterns
from keeper_grpc.domain.patterns.pattern import scope_id
from keeper_grpc.gen.keeper.network.v1 import insight_pb2, network_service_pb2, pattern_pb2
from keeper_grpc.one_shot.commands import seed
from keeper_grpc.settings import Settings
from tests.e2e.waiting import SOON
from tests.rpc.advice.facts import (
    AT_RISK,
    BAD_REVIEW,
    BROKEN_RHYTHM,
    CATALOG,
    EVERYTHING,
    FEW_ADD_ONS,
    MORNING,
    request,
)
from tests.rpc.requests import new_account
from tests.rpc.service import Service

pytestmark = pytest.mark.usefixtures("seeded")

UNTRIED = "; authored, untested here; its author "


async def tried(
    service: Service,
    key: str,
    category: str,
    account: str,
    *,
    successes: int,
    failures: int = 0,
    revenue: float | None = None,
) -> network_service_pb2.CapturePatternResponse:
    """An account does what a pattern of the catalog says, so often with each outcome.

    Returns the last reply.
    """
    known: CatalogPattern = CATALOG[key]
    answer = network_service_pb2.CapturePatternResponse()
    for success in [True] * successes + [False] * failures:
        capture = network_service_pb2.CapturePatternRequest(
            request_id=str(uuid.uuid4()),
            account_id=account,
            insight=insight_pb2.Insight(
                type=known.pattern_type,
                business_category=category,
                action=known.action,
                confidence=0.5,
            ),
            outcome=insight_pb2.Outcome(success=success, revenue_impact=revenue),
        )
        capture.insight.conditions.update(known.conditions)
        answer = await service.network.CapturePattern(capture)
        assert (await service.stored(capture.request_id)).disposition == "merged"
    return answer


async def test_a_pattern_has_the_same_evidence_through_every_call(service: Service) -> None:
    """Four accounts with a revenue of 100 each are a mean of 100.0, wherever a fifth one looks."""
    key, category = "high_value_at_risk", "gym"
    for _ in range(4):
        await tried(service, key, category, new_account(), successes=2, revenue=100.0)

    fifth, known = new_account(), CATALOG[key]
    question = network_service_pb2.EnhanceInsightRequest(
        account_id=fifth,
        insight=insight_pb2.Insight(
            type=known.pattern_type,
            business_category=category,
            action=known.action,
            confidence=0.5,
        ),
    )
    question.insight.conditions.update(known.conditions)
    enhanced = await service.network.EnhanceInsight(question)
    pattern_id = enhanced.enhanced_insight.pattern_id
    suggested = await service.network.SuggestMoves(
        request(AT_RISK, account=fifth, category=category)
    )
    (moved,) = [move.pattern for move in suggested.moves if move.pattern.pattern_id == pattern_id]
    got = await service.network.GetPattern(
        network_service_pb2.GetPatternRequest(pattern_id=pattern_id)
    )
    listed = await service.network.ListPatterns(
        network_service_pb2.ListPatternsRequest(
            pattern_type=known.pattern_type, business_category=category
        )
    )
    (found,) = [pattern for pattern in listed.patterns if pattern.pattern_id == pattern_id]
    captured = await tried(service, key, category, fifth, successes=1, revenue=900.0)

    seen = got.pattern.evidence
    assert (seen.occurrence_count, seen.account_count, seen.mean_revenue_impact) == (8, 4, 100.0)
    assert moved.evidence == found.evidence == captured.pattern.evidence == seen
    advised = enhanced.enhanced_insight.evidence
    assert (advised.occurrence_count, advised.account_count) == (8, 4)
    assert advised.mean_revenue_impact == 100.0


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        (BROKEN_RHYTHM, "break_in_pattern"),
        (AT_RISK, "high_value_at_risk"),
        (MORNING, "morning_modifier_boost"),
        (FEW_ADD_ONS, "employee_coaching_needed"),
        (BAD_REVIEW, "negative_review_recovery"),
    ],
)
async def test_facts_bring_the_move_that_they_call_for(
    service: Service, facts: Mapping[str, Any], key: str
) -> None:
    """Each pattern of the source design, and no other, comes of its own facts."""
    answer = await service.network.SuggestMoves(request(facts))
    (move,) = answer.moves
    assert move.pattern.action == CATALOG[key].action
    assert move.pattern.proven_script == min(script.text for script in CATALOG[key].scripts)
    assert move.trigger == CATALOG[key].trigger


async def test_an_untried_move_says_that_its_rate_is_its_authors_claim(service: Service) -> None:
    """No evidence is shown, and the explanation gives facts and source."""
    answer = await service.network.SuggestMoves(request(FEW_ADD_ONS))
    (move,) = answer.moves
    assert move.expected_success_rate == 0.72
    assert move.pattern.evidence.occurrence_count == 0
    assert move.explanation == (
        f"employee.modifier_rate is 0.1 and team_average is 0.3{UNTRIED}"
        "claims 72% success, results 2.3 times as good in 30 days"
    )
    claim = move.pattern.author_claim
    assert (claim.success_rate, claim.improvement_factor) == (0.72, 2.3)
    assert claim.improvement_period.ToTimedelta() == timedelta(days=30)
    assert not claim.HasField("learned_from")


async def test_businesses_that_a_claim_was_learned_from_are_not_cases(service: Service) -> None:
    """They are in the claim and in the explanation, and not in the evidence."""
    (move,) = (await service.network.SuggestMoves(request(BROKEN_RHYTHM))).moves
    assert move.pattern.author_claim.learned_from == 47
    assert move.pattern.evidence.account_count == 0
    assert move.explanation.endswith("claims 67% success, learned from 47 businesses")


async def test_a_move_without_a_claimed_rate_has_no_expected_one(service: Service) -> None:
    """No rate is invented, and moves with a claimed one come before it."""
    (move,) = (await service.network.SuggestMoves(request(MORNING))).moves
    assert not move.HasField("expected_success_rate")
    assert move.explanation == (
        "appointments.morning_modifier_rate is 0.3 and appointments.afternoon_modifier_rate is 0.1"
        f"{UNTRIED}states no success rate and claims $1,800 more revenue a month on average, "
        "84% adoption"
    )
    all_of_them = (await service.network.SuggestMoves(request(EVERYTHING))).moves
    assert all_of_them[-1].pattern.action == move.pattern.action
    assert [found.expected_success_rate for found in all_of_them[:-1]] == [0.78, 0.72, 0.67, 0.61]


async def test_evidence_of_others_counts_and_ones_own_does_not(service: Service) -> None:
    """Three accounts have tried: a fourth sees them all, one of the three too few to be told."""
    accounts = [new_account() for _ in range(3)]
    for account in accounts:
        await tried(service, "negative_review_recovery", "gym", account, successes=3, failures=1)

    (seen,) = (await service.network.SuggestMoves(request(BAD_REVIEW, category="gym"))).moves
    assert 0.6 < seen.expected_success_rate < 0.75
    assert (seen.pattern.evidence.occurrence_count, seen.pattern.evidence.account_count) == (12, 3)
    assert seen.explanation.startswith(
        "review.rating is 2; 9 of 12 similar cases at 3 other gym accounts succeeded in all "
    )

    own = request(BAD_REVIEW, account=accounts[0], category="gym")
    (left,) = (await service.network.SuggestMoves(own)).moves
    assert left.expected_success_rate == 0.61
    assert left.pattern.evidence.occurrence_count == 0
    assert left.explanation == (
        f"review.rating is 2{UNTRIED}claims 61% success, ratings 2.3 stars higher on average"
    )
    assert left.pattern.author_claim == seen.pattern.author_claim
    assert (
        seen.pattern.author_claim.follow_up_action == "Offer the reviewer a complimentary service"
    )

    fourth = new_account()
    await tried(service, "negative_review_recovery", "gym", fourth, successes=1, failures=3)
    others = request(BAD_REVIEW, account=fourth, category="gym")
    (same,) = (await service.network.SuggestMoves(others)).moves
    assert same.pattern.evidence == seen.pattern.evidence
    assert same.explanation == seen.explanation


async def test_moves_come_by_what_is_sure_of_them(service: Service) -> None:
    """What worked nearly always leads, beliefs follow, and what failed is not suggested."""
    for _ in range(3):
        account = new_account()
        await tried(service, "morning_modifier_boost", "spa", account, successes=6)
        await tried(service, "break_in_pattern", "spa", account, successes=1, failures=5)

    answer = await service.network.SuggestMoves(request(EVERYTHING))
    actions = [move.pattern.action for move in answer.moves]
    assert len(actions) == 4
    assert actions[0] == CATALOG["morning_modifier_boost"].action
    assert CATALOG["break_in_pattern"].action not in actions
    again = await service.network.SuggestMoves(request(EVERYTHING))
    assert again.moves == answer.moves
    only = await service.network.SuggestMoves(request(EVERYTHING, max_moves=1))
    assert list(only.moves) == [answer.moves[0]]


async def test_a_move_is_expected_to_work_as_advice_in_the_same_situation_is(
    service: Service,
) -> None:
    """The facts are the situation: what failed for two stars and works for one is suggested for one only."""
    known = CATALOG["negative_review_recovery"]
    for rating, success in ((1, True), (2, False)):
        for _ in range(8):
            account = new_account()
            for _ in range(3):
                capture = network_service_pb2.CapturePatternRequest(
                    request_id=str(uuid.uuid4()),
                    account_id=account,
                    insight=insight_pb2.Insight(
                        type=known.pattern_type,
                        business_category="salon",
                        action=known.action,
                        confidence=0.5,
                    ),
                    outcome=insight_pb2.Outcome(success=success),
                )
                capture.insight.conditions.update({"rating": rating})
                await service.network.CapturePattern(capture)

    (move,) = (
        await service.network.SuggestMoves(request({"review": {"rating": 1}}, category="salon"))
    ).moves
    failing = await service.network.SuggestMoves(request(BAD_REVIEW, category="salon"))
    question = network_service_pb2.EnhanceInsightRequest(
        account_id=new_account(),
        insight=insight_pb2.Insight(
            type=known.pattern_type, business_category="salon", confidence=0.5
        ),
    )
    question.insight.conditions.update({"rating": 1})
    advised = (await service.network.EnhanceInsight(question)).enhanced_insight
    assert advised.network_enhanced
    assert not failing.moves
    assert move.basis == advised.basis == pattern_pb2.EXPECTATION_BASIS_SITUATION
    assert move.expected_success_rate == pytest.approx(advised.expected_success_rate, abs=1e-4)
    assert move.expected_success_rate > 0.8
    assert ", all of them in this situation; in this situation " in move.explanation


async def test_five_moves_unless_asked_and_fifty_at_most(service: Service) -> None:
    """Zero means 5; more than 50 means 50."""
    kind = await service.database.fetchval(
        "SELECT pattern_type FROM network_patterns WHERE catalog_key = 'morning_modifier_boost' LIMIT 1"
    )
    await service.database.execute(
        """
        WITH place AS (
            INSERT INTO scopes (scope_id, pattern_type, business_category) VALUES ($1, $2, 'bath_house')
        )
        INSERT INTO network_patterns (
            id, scope_id, pattern_type, business_category, embedding_model, pattern_embedding, context,
            action_template, catalog_key, catalog_version, first_discovered, trigger)
        SELECT gen_random_uuid(), $1, pattern_type, 'bath_house', embedding_model, pattern_embedding,
               context, action_template, catalog_key || n, 1, now(), trigger
          FROM network_patterns, generate_series(1, 60) n
         WHERE catalog_key = 'morning_modifier_boost' AND business_category = 'spa'
        """,
        scope_id(kind, "bath_house"),
        kind,
    )

    async def moves(asked: int) -> int:
        answer = await service.network.SuggestMoves(
            request(MORNING, category="bath_house", max_moves=asked)
        )
        return len(answer.moves)

    # What is written behind the server's back is known within a second.
    async with asyncio.timeout(SOON):
        while not await moves(1):
            pass
    assert [await moves(asked) for asked in (0, 7, 50, 1000)] == [5, 7, 50, 50]


async def test_seeding_again_changes_nothing_and_gives_old_rows_their_triggers(
    service: Service, settings: Settings
) -> None:
    """A pattern that was seeded before there were triggers is upgraded, a current one is not."""
    await seed(settings)
    again = await seed(settings)
    everything = len(authored_patterns(load_catalog()))
    assert (again.added, again.upgraded, again.unchanged) == (0, 0, everything)

    of_salons = "catalog_key = 'high_value_at_risk' AND business_category = 'salon'"
    await service.database.execute(
        f"UPDATE network_patterns SET trigger = NULL WHERE {of_salons}"  # noqa: S608 - a constant
    )
    upgraded = await seed(settings)
    assert (upgraded.added, upgraded.upgraded, upgraded.unchanged) == (0, 1, everything - 1)
    stored = await service.value(f"SELECT trigger FROM network_patterns WHERE {of_salons}")  # noqa: S608 - a constant
    assert stored == CATALOG["high_value_at_risk"].trigger


async def test_a_trigger_that_another_release_stored_is_skipped(service: Service) -> None:
    """Facts that this release does not know cost one move, not the call."""
    await service.database.execute(
        "UPDATE network_patterns SET trigger = 'customer.mood > 3 || visit.first' "
        "WHERE catalog_key = 'break_in_pattern' AND business_category = 'gym'"
    )
    facts = {**EVERYTHING, "visit": {"first": True}}
    answer = await service.network.SuggestMoves(request(facts, category="gym"))
    actions = {move.pattern.action for move in answer.moves}
    assert CATALOG["break_in_pattern"].action not in actions
    assert CATALOG["high_value_at_risk"].action in actions


async def test_a_learned_trigger_suggests_its_pattern(service: Service) -> None:
    """Where its conditions hold and the author's are not known to fail, with its figures beside the pattern's."""
    key, category = "high_value_at_risk", "gym"
    for _ in range(4):
        await tried(service, key, category, new_account(), successes=8)
    await service.value(
        """
        INSERT INTO learned_triggers AS t (scope_id, pattern_id, conditions, success_rate, rate_low, rate_high,
               lift, trials, owner_count, lead_days, learned_time, verified_time)
        SELECT scope_id, id, '[["membership_tier", "==", "premium"]]', 0.8, 0.7, 0.9, 1.5, 60, 7, 6,
               now(), now()
          FROM network_patterns WHERE business_category = $1 AND catalog_key = $2
        RETURNING t.pattern_id
        """,
        category,
        key,
    )

    async def moves(facts: dict[str, Any]) -> list[network_service_pb2.Move]:
        answer = await service.network.SuggestMoves(request(facts, category=category))
        return list(answer.moves)

    (move,) = await moves({"customer": {"membership_tier": "premium"}})
    assert move.trigger == move.learned.condition == "customer.membership_tier == 'premium'"
    assert (move.learned.precision, move.learned.precision_low) == (0.8, 0.7)
    assert (move.learned.lift, move.learned.account_count) == (1.5, 7)
    assert move.learned.lead_time.ToTimedelta() == timedelta(days=6)
    assert "learned: where customer.membership_tier == 'premium', 80% succeed" in move.explanation
    assert move.HasField("expected_success_rate")
    assert await moves({"customer": {"membership_tier": "standard"}}) == []
    await service.value(
        "UPDATE learned_triggers SET retired_time = now() WHERE retired_time IS NULL RETURNING 1"
    )
    assert await moves({"customer": {"membership_tier": "premium"}}) == []
