from __future__ import annotations

from dataclasses import replace

import pytest

from keeper_grpc.domain.advice.ranking import DEFAULT_MIN_SUCCESS_RATE
from keeper_grpc.simulation.measures.ceilings import Ceilings, Reach
from keeper_grpc.simulation.measures.marginal import Marginal, left_out, marginal
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.oracle import best_advice, with_oracle
from keeper_grpc.simulation.play.person import alone
from keeper_grpc.simulation.world.population import met, population
from keeper_grpc.simulation.world.truth import World, actions_for
from keeper_grpc.simulation.world.wordings import TONES

PARAMETERS = Parameters(customers=(12,), days=60, insights_a_day=2.0)
WORLD = World(PARAMETERS)
ACCOUNTS = population(PARAMETERS)
INSIGHTS = [insight for account in ACCOUNTS for insight in met(PARAMETERS, account, 60)]


def test_the_oracle_says_what_works_best_and_nothing_where_nothing_does() -> None:
    """Its advice is the true best of all actions and tones by the bar that binds the network too."""
    said = [(insight, best_advice(WORLD, insight)) for insight in INSIGHTS]
    assert any(advice is None for _, advice in said)
    for insight, advice in said:
        category, situation = insight.account.category, insight.situation
        rates = [
            WORLD.success_rate(category, situation, action, tone)
            for action in actions_for(situation.kind)
            for tone in TONES
        ]
        if advice is None:
            assert max(rates) < DEFAULT_MIN_SUCCESS_RATE
        else:
            assert advice.expected == max(rates) >= DEFAULT_MIN_SUCCESS_RATE
            assert insight.confidence < advice.confidence < 1


def test_the_oracle_lifts_accounts_and_leaves_alone_who_is_held_out() -> None:
    """With it the same accounts have better chances; questions that were held out are as without it."""
    account = ACCOUNTS[0]
    lonely = alone(PARAMETERS, WORLD, account, 60)
    ideal = with_oracle(PARAMETERS, WORLD, account, 60, held_out=set())
    held = with_oracle(
        PARAMETERS, WORLD, account, 60, {(account.number, e.met.number) for e in lonely}
    )
    assert sum(e.chance for e in ideal) > sum(e.chance for e in lonely)
    assert [e.chance for e in held] == [e.chance for e in lonely]
    assert all(e.answer and e.answer.held_out for e in held)


def test_a_share_needs_a_ceiling() -> None:
    """Nothing is a share of a ceiling that is not there, or not above zero."""
    assert Reach(0.3, 0.6).share == pytest.approx(0.5)
    assert Reach(-0.1, 0.2).share == pytest.approx(-0.5)
    assert Reach(None, 0.6).share is None
    assert Reach(0.3, None).share is None
    assert Reach(0.3, 0.0).share is None
    nothing = Reach(None, None)
    known = Ceilings(
        enhanced=Reach(0.9, 1.0),
        answered=nothing,
        first=nothing,
        in_vain=0.0,
        success=nothing,
        better=Reach(0.1, 0.2),
        sooner=Reach(2.0, 2.5),
        confidence=nothing,
        advice=nothing,
        patterns=nothing,
    )
    assert known.least == pytest.approx(0.5)
    assert replace(known, sooner=nothing).least is None


def test_accounts_are_left_out_over_the_whole_order_of_joining() -> None:
    """Early ones teach longer than late ones, so each part of the order gives one."""
    chosen = left_out(PARAMETERS, 4)
    assert [number // 3 for number in chosen] == [0, 1, 2, 3]
    assert left_out(PARAMETERS, 4) == chosen
    assert sorted(left_out(PARAMETERS, 100)) == [account.number for account in ACCOUNTS]


def test_what_an_account_adds_is_what_the_others_lose_without_it() -> None:
    """The others' gain over being alone, with the account less without it, in shares of the latter."""
    lonely = {
        (e.met.account.number, e.met.number): e
        for account in ACCOUNTS
        for e in alone(PARAMETERS, WORLD, account, 60)
    }
    full = [replace(e, chance=e.chance + 0.2) for e in lonely.values()]
    less = [
        replace(lonely[e.met.account.number, e.met.number], chance=e.chance - 0.1)
        for e in full
        if e.met.account.number != 3
    ]
    found = marginal(PARAMETERS, full, {3: less}, lonely)
    assert found.customers == 12
    assert list(found.added) == pytest.approx([1.0])

    several = Marginal(50, [0.01, 0.03, 0.02])
    assert several.mean == pytest.approx(0.02)
    assert several.interval == pytest.approx((0.02 - 0.024841, 0.02 + 0.024841), abs=1e-5)
