from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.rpc.convert import insights
from keeper_grpc.simulation.parameters import Parameters, stream
from keeper_grpc.simulation.play.episodes import Episode
from keeper_grpc.simulation.play.person import Person, alone
from keeper_grpc.simulation.play.speech import (
    done_by,
    names,
    script,
    statement,
    tone_of,
    wording,
)
from keeper_grpc.simulation.world.belief import Belief
from keeper_grpc.simulation.world.population import met, population, stages
from keeper_grpc.simulation.world.truth import SITUATIONS, World, actions_for
from keeper_grpc.simulation.world.wordings import KINDS, NOUNS, TONES

PARAMETERS = Parameters(customers=(3, 12), days=60)
SEEDS = st.integers(0, 2**32)


def every_rate(world: World) -> list[float]:
    """The whole truth."""
    return [
        world.success_rate(category, situation, action, tone)
        for category in NOUNS
        for situation in SITUATIONS
        for action in actions_for(situation.kind)
        for tone in TONES
    ]


@given(SEEDS)
def test_a_seed_makes_one_world(seed: int) -> None:
    """Whatever is asked for first, the same seed gives the same truth, and another seed another."""
    parameters = replace(PARAMETERS, seed=seed)
    world, other = World(parameters), World(parameters)
    situation = SITUATIONS[-1]
    action = actions_for(situation.kind)[-1]

    first = other.success_rate("gym", situation, action, "brief")

    assert first == world.success_rate("gym", situation, action, "brief")
    assert first != World(replace(parameters, seed=seed + 1)).success_rate(
        "gym", situation, action, "brief"
    )


def test_rates_are_probabilities_and_the_best_is_the_best() -> None:
    """No rate is certain, and nothing beats the action and the tone that are named as the best."""
    world = World(PARAMETERS)
    assert all(0 < rate < 1 for rate in every_rate(world))
    for category in NOUNS:
        for situation in SITUATIONS:
            rates = {
                action: world.success_rate(category, situation, action)
                for action in actions_for(situation.kind)
            }
            best = world.best_action(category, situation)
            assert rates[best] == max(rates.values())
            tones = {tone: world.tone(best, tone) for tone in TONES}
            assert tones[world.best_tone(best)] == max(tones.values())


def test_effects_have_the_spread_that_is_documented() -> None:
    """Over many worlds the log-odds of one action spread as the parameters say."""
    situation = SITUATIONS[0]
    action = actions_for(0)[0]
    drawn = [
        World(replace(PARAMETERS, seed=seed)).log_odds("spa", situation, action)
        for seed in range(2_000)
    ]
    mean = sum(drawn) / len(drawn)
    spread = (sum((each - mean) ** 2 for each in drawn) / len(drawn)) ** 0.5

    assert mean == pytest.approx(PARAMETERS.usual_log_odds, abs=0.08)
    assert spread == pytest.approx(PARAMETERS.action_spread, rel=0.07)


def test_categories_that_do_not_differ_share_one_truth() -> None:
    """Without a category effect an action works equally often everywhere."""
    world = World(replace(PARAMETERS, category_effect=0.0))
    for situation in SITUATIONS:
        for action in actions_for(situation.kind):
            assert len({world.log_odds(category, situation, action) for category in NOUNS}) == 1


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4, unique=True),
    st.integers(20, 400),
)
def test_each_stage_ends_with_its_customers(sizes: list[int], days: int) -> None:
    """When joining is over there are as many as the stage says, and then nobody joins."""
    parameters = replace(PARAMETERS, customers=tuple(sizes), days=days)
    accounts = population(parameters)

    assert [account.number for account in accounts] == list(range(max(sizes)))
    for stage in stages(parameters):
        assert sum(account.joined < stage.reached for account in accounts) == stage.customers
        assert not [a for a in accounts if stage.reached <= a.joined < stage.ends]


def test_categories_get_their_shares() -> None:
    """At any time no category is a whole account or more from its share."""
    accounts = population(replace(PARAMETERS, customers=(100,)))
    for size in range(1, 101):
        for category, share in PARAMETERS.category_shares.items():
            members = sum(account.category == category for account in accounts[:size])
            assert abs(members - share * size) < 1.5


def test_insights_come_after_joining_and_in_order() -> None:
    """An account meets nothing before it joined, and things one after the other."""
    for account in population(PARAMETERS):
        days = [insight.day for insight in met(PARAMETERS, account, 60)]
        assert all(account.joined < day < 60 for day in days)
        assert all(one < other for one, other in pairwise(days))


def test_an_account_learns_what_works() -> None:
    """After many outcomes it nearly always chooses what succeeded, and a new action is known too."""
    situation = SITUATIONS[0]
    good, bad, new = actions_for(0)[:3]
    belief = Belief([good, bad], lambda _, __: 0.5, strength=2)
    rng = stream(PARAMETERS, "test")
    assert {belief.choose(situation, rng) for _ in range(50)} == {good, bad}

    for _ in range(50):
        belief.learn(situation, bad, success=False)
        belief.learn(situation, new, success=True)

    chosen = [belief.choose(situation, rng) for _ in range(100)]
    assert chosen.count(new) > 90


def test_a_person_without_advice_lives_as_if_alone() -> None:
    """The arms differ by the network's answers and by nothing else."""
    world = World(PARAMETERS)
    account = population(PARAMETERS)[0]
    person = Person(PARAMETERS, world, account, 60)
    waiting: list[Episode] = []
    episodes: list[Episode] = []
    for day in range(60):
        for episode in [each for each in waiting if each.known_day == day]:
            person.learn(episode)
        for insight in person.insights(day):
            waiting.append(person.act(insight))
            episodes.append(waiting[-1])

    assert episodes
    assert episodes == alone(PARAMETERS, world, account, 60)


def test_tone_and_action_are_read_from_a_script() -> None:
    """Both are found again, for every action of every category, whatever the pattern is about."""
    for category in NOUNS:
        for kind in range(len(KINDS)):
            for action in actions_for(kind):
                for tone in TONES:
                    said = script(action, category, tone)
                    assert tone_of(said) == tone
                    for other in actions_for(kind):
                        done = done_by(said, other)
                        assert done.idea == action.idea
                        assert done == action or "$n" not in action.means.line
    assert tone_of("Come back soon") is None
    assert done_by("Come back soon", actions_for(0)[1]) == actions_for(0)[1]


def test_no_two_actions_of_a_kind_are_worded_alike() -> None:
    """Otherwise the truth could not be told from the words."""
    for category in NOUNS:
        for kind in range(len(KINDS)):
            said = [
                wording(action, category, which)
                for action in actions_for(kind)
                for which in range(len(action.means.wordings))
            ]
            assert len(set(said)) == len(said)


def test_no_two_accounts_share_an_invented_word() -> None:
    """A word that k accounts use would in time be masked no longer."""
    seen: set[str] = set()
    for account in population(replace(PARAMETERS, customers=(300,))):
        words = {
            word
            for customer in (0, 1)
            for name in names(account, customer)
            for word in name.split()
        }
        assert not words & seen
        seen |= words


def test_names_are_declared_for_the_share_that_is_documented() -> None:
    """About 30% of the statements name people, and about 80% of those declare them."""
    parameters = replace(PARAMETERS, customers=(40,), days=200)
    statements = [
        statement(parameters, insight, actions_for(insight.situation.kind)[0], "warm")
        for account in population(parameters)
        for insight in met(parameters, account, 200)
    ]
    personal = [declared for said, declared in statements if "beginning with" in said.action]

    assert len(personal) / len(statements) == pytest.approx(parameters.personal, abs=0.05)
    declared = sum(bool(each.customer_names) for each in personal)
    assert declared / len(personal) == pytest.approx(parameters.declared, abs=0.06)


def test_nothing_that_accounts_say_is_left_for_them_to_approve() -> None:
    """Words are approved by the wall clock: were there any, a run would depend on its speed."""
    catalog = load_catalog()
    anonymizer = Anonymizer.default(catalog.service_names, hash_word=lambda word: word)
    for account in population(replace(PARAMETERS, customers=(12,))):
        for insight in met(PARAMETERS, account, 60):
            actions = actions_for(insight.situation.kind)
            action = actions[insight.number % len(actions)]
            said, declared = statement(PARAMETERS, insight, action, account.tone)
            anonymized = anonymizer.anonymize(
                insights.insight(said), insights.identifiers(declared)
            )

            assert anonymized.unknown_words == ()
            assert anonymized.insight.action
            assert tone_of(anonymized.insight.script) == account.tone
            other = actions[(insight.number + 1) % len(actions)]
            assert done_by(anonymized.insight.script, other).idea == action.idea
            texts = f"{anonymized.insight.action} {anonymized.insight.script}"
            assert not any(
                word in texts
                for customer in (0, 1)
                for name in names(account, customer)
                for word in name.split()
            )


@given(SEEDS)
def test_a_trap_wins_guests_and_loses_money(seed: int) -> None:
    """One idea of each kind; without a trap effect there is none, and nothing costs anything."""
    plain = replace(PARAMETERS, seed=seed)
    trapped = replace(plain, trap_effect=1.5)
    world = World(trapped)
    for kind in range(len(KINDS)):
        actions = actions_for(kind)
        assert len({action.idea for action in actions if world.is_trap(action)}) == 1
        assert not any(World(plain).is_trap(action) for action in actions)
    account = population(trapped)[0]
    for episode in alone(trapped, world, account, 60):
        losing = episode.success and world.is_trap(episode.action)
        assert (episode.revenue - episode.cost < 0) or not losing
        assert bool(episode.cost) == losing
