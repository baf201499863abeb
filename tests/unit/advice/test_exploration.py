from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from random import Random
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.advice.exploration import (
    HOPELESS,
    MOST_OPTIONS,
    ChosenScript,
    Option,
    chances,
    choose_pattern,
    choose_wording,
    explore,
    randomness,
    top_two,
)
from keeper_grpc.domain.advice.ranking import Candidate, Requirements, Scored, rank
from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.lifts import Lift
from keeper_grpc.domain.evidence.off_policy import Drawn
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, Scope, Script

RULE = PublicationRule(3)


def evidence(successes: int, trials: int, accounts: int = 5) -> Evidence:
    """Outcomes of so many accounts."""
    return Evidence(trials=trials, successes=successes, accounts=accounts)


def posterior(successes: int, trials: int) -> Option:
    """Beta posterior of so many outcomes under a uniform prior."""
    return Option(1.0 + successes, 1.0 + trials - successes)


def pattern(*scripts: Script) -> Pattern:
    """A pattern with these wordings."""
    return Pattern(
        pattern_id=UUID(int=1),
        scope=Scope("t", "spa", "m"),
        conditions={},
        action="Call",
        evidence=evidence(5, 10),
        scripts=scripts,
        first_discovered=datetime(2025, 1, 1, tzinfo=UTC),
        last_validated=None,
        prior=Prior(),
    )


KNOWN = pattern(
    Script("good", evidence(40, 50)),
    Script("fair", evidence(36, 50)),
    Script("new", evidence(3, 5)),
    Script("two accounts", evidence(9, 9, 2)),
    Script("authored", Evidence(), authored=True),
)


class Unused(Random):
    """Fails when drawn from."""

    def random(self) -> float:
        raise AssertionError


def test_without_exploration_the_proven_wording_is_certain() -> None:
    """Nothing is drawn."""
    assert choose_wording(KNOWN, RULE, 0.0, 1.0, Unused()) == ChosenScript("good", 1.0)


@pytest.mark.parametrize(
    ("scripts", "expected"),
    [
        ((), ""),
        ((Script("authored", Evidence(), authored=True),), "authored"),
        ((Script("one", evidence(4, 5)), Script("two accounts", evidence(9, 9, 2))), "one"),
    ],
)
def test_where_there_is_no_choice_nothing_is_explored(
    scripts: tuple[Script, ...], expected: str
) -> None:
    """Wordings that may not be shown are no choice."""
    chosen = choose_wording(pattern(*scripts), RULE, 1.0, 1.0, Unused())
    assert chosen == ChosenScript(expected, 1.0)


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_wordings_are_handed_out_as_often_as_their_propensity_says(share: float) -> None:
    """Over many draws; the shares of 1,000 draws err by less than 6 points."""
    rng = Random(7)  # noqa: S311 - not a secret
    drawn = [choose_wording(KNOWN, RULE, share, 1.0, rng) for _ in range(1_000)]
    assert len({wording.propensity for wording in drawn}) == 3
    counts = Counter(wording.template for wording in drawn)
    propensities = {wording.template: wording.propensity for wording in drawn}
    assert set(counts) == {"good", "fair", "new"}
    assert sum(propensities.values()) == pytest.approx(1)
    for template, count in counts.items():
        assert count / len(drawn) == pytest.approx(propensities[template], abs=0.06)
    assert propensities["good"] >= 1 - share
    assert propensities["new"] > 0.05 * share


def test_scripts_of_one_wording_are_not_tried_against_each_other() -> None:
    """Once lifts are known, of those that differ in masks the one that most is certain of is drawn."""
    scripts = [
        Script(text, Evidence(20, 12, 4), lift=Lift(0.0, 0.3))
        for text in ("Hi {name}, come in", "Hi [customer], come in", "{name}, your turn")
    ]
    known = pattern(*scripts)
    rng = Random(1)  # noqa: S311 - not a secret
    drawn = {choose_wording(known, RULE, 1.0, 1.0, rng).template for _ in range(50)}
    assert len(drawn) == 2
    assert "{name}, your turn" in drawn


def test_an_authored_wording_is_tried_against_those_of_accounts() -> None:
    """It is worth what its author claims, and others are drawn beside it."""
    believed = replace(
        pattern(Script("ours", evidence(6, 10)), Script("authored", Evidence(), authored=True)),
        prior=Prior(16.0, 4.0),
    )
    rng = Random(1)  # noqa: S311 - not a secret
    drawn = {choose_wording(believed, RULE, 1.0, 1.0, rng).template for _ in range(50)}
    assert drawn == {"ours", "authored"}


def test_an_account_that_asks_again_gets_the_same_choice() -> None:
    """On the same day; otherwise, and for another account, it is drawn again."""
    day = date(2026, 1, 5)

    def first(account: str, said: str, when: date) -> float:
        return randomness(account, said, when).random()

    assert first("a", "x", day) == first("a", "x", day)
    others = [("b", "x", day), ("a", "y", day), ("a", "x", date(2026, 1, 6))]
    assert len({first("a", "x", day), *(first(*each) for each in others)}) == 4


def fit(*counts: tuple[int, int], similarity: float = 0.9) -> list[Scored]:
    """Admissible patterns with these outcomes, in the order of their scores."""
    candidates = [
        Candidate(
            replace(pattern(), pattern_id=UUID(int=number), evidence=evidence(*each)), similarity
        )
        for number, each in enumerate(counts, start=1)
    ]
    return list(rank(candidates, Requirements(0.5, RULE, 0.1)).fit)


def test_only_patterns_that_may_be_better_are_tried() -> None:
    """One whose best case is worse than what is certain of the first is no contender."""
    scored = fit((90, 100), (6, 10), (20, 100))
    rng = Random(5)  # noqa: S311 - not a secret
    drawn = [choose_pattern(scored, 1.0, 1.0, rng) for _ in range(200)]
    assert {each.best.candidate.pattern.pattern_id.int for each in drawn} == {1, 2}
    for each in drawn:
        assert sum(chance for _, chance in each.contenders) == pytest.approx(1)
        assert (each.best, each.propensity) in each.contenders
    assert choose_pattern(scored, 0.0, 1.0, Unused()).propensity == 1
    alone = choose_pattern(fit((90, 100), (20, 100)), 1.0, 1.0, Unused())
    assert (alone.propensity, alone.contenders) == (1, ())


@st.composite
def variants(draw: st.DrawFn, least: int = 1) -> list[Option]:
    """Some wordings' posteriors."""
    trials = draw(st.lists(st.integers(0, 2000), min_size=least, max_size=6))
    return [posterior(draw(st.integers(0, count)), count) for count in trials]


@given(variants(least=2), st.floats(0.01, 1), st.floats(0, 0.1))
@settings(max_examples=40)
def test_exploring_never_costs_more_than_it_may(
    known: list[Option], share: float, most: float
) -> None:
    """Nor more often than its share, nor than the doubt about the usual one deserves."""
    found = explore(known, share, most)
    assert sum(found.propensities) == pytest.approx(1)
    assert found.expected_loss <= most + 1e-9
    doubt = 1 - chances(known)[0] if len(known) <= MOST_OPTIONS else 0.5
    assert 1 - found.propensities[0] <= share * max(2 * doubt, 2 * HOPELESS) + 1e-9
    at_risk = sum(
        chance * max(known[0].mean - option.mean, 0.0)
        for chance, option in zip(found.propensities[1:], known[1:], strict=True)
    )
    assert at_risk <= most + 1e-9
    assert 1 - found.propensities[0] <= share + 1e-9


@given(variants())
@settings(max_examples=40)
def test_chances_are_a_distribution(known: list[Option]) -> None:
    """Each is a probability, and together they are 1; so are those of top-two sampling."""
    for found in (chances(known), top_two(chances(known))):
        assert all(0 <= chance <= 1 for chance in found)
        assert sum(found) == pytest.approx(1)


@given(variants(), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_chances_are_those_of_the_highest_draw(known: list[Option], seed: int) -> None:
    """Integrated and simulated agree; 5,000 draws err by less than 3 points."""
    rng = np.random.default_rng(seed)
    draws = np.stack([rng.beta(each.successes, each.failures, 5_000) for each in known])
    won = np.bincount(draws.argmax(axis=0), minlength=len(known)) / 5_000
    assert chances(known) == pytest.approx(won.tolist(), abs=0.03)


def test_what_is_worth_less_wins_less_often() -> None:
    """Of two with the same record, the one that is less surely about the question."""
    same = posterior(8, 10)
    assert chances([same, replace(same, worth=0.8)])[0] > 0.6


def test_equal_evidence_has_equal_chances_and_better_evidence_the_better_one() -> None:
    """With more evidence the better wording is surer to win."""
    assert chances([posterior(8, 10)] * 4) == pytest.approx([0.25] * 4)
    little = chances([posterior(8, 10), posterior(6, 10)])[0]
    much = chances([posterior(80, 100), posterior(60, 100)])[0]
    assert 0.5 < little < much < 1


def test_half_of_the_draws_go_to_the_best_of_the_others() -> None:
    """However sure the leader is."""
    assert top_two([1.0, 0.0, 0.0]) == pytest.approx([0.5, 0.25, 0.25])
    assert top_two([0.5, 0.5]) == pytest.approx([0.5, 0.5])


GOOD_USERS = evidence(95, 100, accounts=20)


def drawn(good: int, each: int, owners: int = 8) -> dict[str, Drawn]:
    """Outcomes of a coin's throws at so many owners, where half was expected to succeed."""
    return {
        f"{owner}": Drawn(each, 2.0 * each, 4.0 * each, 2.0 * (good - each / 2))
        for owner in range(owners)
    }


def test_what_chance_has_shown_outranks_what_users_chose() -> None:
    """Good accounts share a bad script: given to anybody, it fails, and the other one works."""
    chosen, other = Script("a", GOOD_USERS), Script("b", evidence(30, 50))
    assert pattern(chosen, other).proven_script(RULE) == "a"
    tried = pattern(replace(chosen, drawn=drawn(1, 6)), replace(other, drawn=drawn(5, 6)))
    assert tried.proven_script(RULE) == "b"
    alike = pattern(replace(chosen, drawn=drawn(3, 6)), replace(other, drawn=drawn(4, 6, owners=4)))
    assert alike.proven_script(RULE) == "a"
    few = pattern(
        replace(chosen, drawn=drawn(0, 60, owners=2)),
        replace(other, drawn=drawn(60, 60, owners=2)),
    )
    assert few.proven_script(RULE) == "a"
