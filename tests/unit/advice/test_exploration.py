from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.advice.exploration import ChosenScript, chances, choose_wording
from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, Scope, Script

RULE = PublicationRule(3)


def evidence(successes: int, trials: int, accounts: int = 5) -> Evidence:
    """Outcomes of so many accounts."""
    return Evidence(trials=trials, successes=successes, accounts=accounts)


def posterior(successes: int, trials: int) -> tuple[float, float]:
    """Beta posterior of so many outcomes under a uniform prior."""
    return 1.0 + successes, 1.0 + trials - successes


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
    assert choose_wording(KNOWN, RULE, 0.0, Unused()) == ChosenScript("good", 1.0)


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
    assert choose_wording(pattern(*scripts), RULE, 1.0, Unused()) == ChosenScript(expected, 1.0)


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_wordings_are_handed_out_as_often_as_their_propensity_says(share: float) -> None:
    """Over many draws; the shares of 1,000 draws err by less than 6 points."""
    rng = Random(7)  # noqa: S311 - not a secret
    drawn = [choose_wording(KNOWN, RULE, share, rng) for _ in range(1_000)]
    assert len({wording.propensity for wording in drawn}) == 3
    counts = Counter(wording.template for wording in drawn)
    propensities = {wording.template: wording.propensity for wording in drawn}
    assert set(counts) == {"good", "fair", "new"}
    assert sum(propensities.values()) == pytest.approx(1)
    for template, count in counts.items():
        assert count / len(drawn) == pytest.approx(propensities[template], abs=0.06)
    assert propensities["good"] >= 1 - share


def test_equal_sources_give_equal_choices() -> None:
    """The source of randomness alone decides."""
    one, other = Random(3), Random(3)  # noqa: S311 - not secrets
    for _ in range(20):
        assert choose_wording(KNOWN, RULE, 0.5, one) == choose_wording(KNOWN, RULE, 0.5, other)


@st.composite
def variants(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Some wordings' posteriors."""
    trials = draw(st.lists(st.integers(0, 2000), min_size=1, max_size=5))
    return [posterior(draw(st.integers(0, count)), count) for count in trials]


@given(variants())
@settings(max_examples=40)
def test_chances_are_a_distribution(known: list[tuple[float, float]]) -> None:
    """Each is a probability, and together they are 1."""
    found = chances(known)
    assert all(0 <= chance <= 1 for chance in found)
    assert sum(found) == pytest.approx(1)


@given(variants(), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_chances_are_those_of_the_highest_draw(known: list[tuple[float, float]], seed: int) -> None:
    """Integrated and simulated agree; 5,000 draws err by less than 3 points."""
    rng = np.random.default_rng(seed)
    draws = np.stack([rng.beta(*each, 5_000) for each in known])
    won = np.bincount(draws.argmax(axis=0), minlength=len(known)) / 5_000
    assert chances(known) == pytest.approx(won.tolist(), abs=0.03)


def test_equal_evidence_has_equal_chances_and_better_evidence_the_better_one() -> None:
    """With more evidence the better wording is surer to win."""
    assert chances([posterior(8, 10)] * 4) == pytest.approx([0.25] * 4)
    little = chances([posterior(8, 10), posterior(6, 10)])[0]
    much = chances([posterior(80, 100), posterior(60, 100)])[0]
    assert 0.5 < little < much < 1
