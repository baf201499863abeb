"""A bound of 95% certainty holds in 95% of the cases, in worlds that the code does not know.

Each network has patterns with true rates drawn from a world, and outcomes drawn from these. The priors
are learned from the network's own patterns, as they are in service, and the bounds are what is shown.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betaincinv

from bench.coverage import SHOWN_FROM, WORLDS, misses
from keeper_grpc.domain.evidence.evidence import LOWER_QUANTILE, Evidence, Prior, Share, weigh
from keeper_grpc.domain.evidence.expectation import expect, situate
from keeper_grpc.domain.evidence.publication import PublicationRule

PROMISED = 0.95
PATTERNS = 60
NETWORKS = 150
RULE = PublicationRule(3)


def assert_kept(missed: list[bool]) -> None:
    """At most one in twenty, but for what chance does to the count."""
    if missed:
        error = np.sqrt(PROMISED * (1 - PROMISED) / len(missed))
        assert np.mean(missed) <= 1 - PROMISED + 3 * error


@pytest.mark.parametrize("trials", [3, 5, 10, 20, 50])
@pytest.mark.parametrize("name", WORLDS)
def test_bounds_keep_their_promise(name: str, trials: int) -> None:
    """For all, for those that are shown, and for the best of many."""
    chance = np.random.default_rng([trials, sum(map(ord, name))])
    missed = misses(WORLDS[name], trials, PATTERNS, NETWORKS, chance)
    assert_kept(missed.all)
    assert_kept(missed.shown)
    assert_kept(missed.best)


@pytest.mark.parametrize("name", ["uniform", "Beta(4, 4)", "half and half", "two narrow peaks"])
def test_before_anything_is_learned_they_keep_it_for_all_and_for_those_shown(name: str) -> None:
    """The default prior is of no world. What seldom works is only found out by learning."""
    chance = np.random.default_rng(5)
    for trials in (3, 5, 10, 20, 50):
        truths = WORLDS[name](chance, 20_000)
        successes = chance.binomial(trials, truths)
        bounds = np.array([Evidence(trials, good).lower_bound() for good in range(trials + 1)])
        missed = truths < bounds[successes]
        assert_kept(missed.tolist())
        assert_kept(missed[successes / trials >= SHOWN_FROM].tolist())


def test_the_prior_that_was_there_before_did_not_keep_it() -> None:
    """This test can fail: the 5% quantile under Beta(1/2, 1/2) misses far more of those shown."""
    chance = np.random.default_rng(7)
    truths = WORLDS["Beta(2, 8)"](chance, 20_000)
    successes = chance.binomial(5, truths)
    missed = truths < betaincinv(0.5 + successes, 5.5 - successes, 0.05)
    with pytest.raises(AssertionError):
        assert_kept(missed[successes / 5 >= SHOWN_FROM].tolist())


@pytest.mark.parametrize("trials", [1, 3, 10])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_bounds_in_a_situation_keep_it(trials: int, spread: float) -> None:
    """Where the situation matters and where it does not, and two facts tell the same.

    Six owners made so many trials each in the situation, and ten elsewhere, four of them with the fact.
    The pattern's rate is uniform, and each of the three moves its log odds by a normal variable.
    """
    chance = np.random.default_rng([trials, int(10 * spread)])
    missed, shown = [], []

    def made(count: int, rate: float) -> dict[str, Share]:
        good = chance.binomial(count, rate, 6)
        return {str(owner): Share(count, int(successes)) for owner, successes in enumerate(good)}

    for _ in range(2000):
        odds = -np.log(1 / chance.uniform(0.02, 0.98) - 1)
        here, shared, other = 1 / (1 + np.exp(-odds - spread * chance.normal(size=3)))
        inside = made(trials, here)
        fact = _plus(inside, made(4, shared))
        pattern = _plus(fact, made(6, other))
        situation = situate(pattern, inside, [fact, fact], RULE)
        expected = expect(weigh(pattern.values(), RULE.k), Prior(), situation)
        missed.append(bool(here < expected.lower_bound))
        if expected.rate >= SHOWN_FROM:
            shown.append(missed[-1])
    assert_kept(missed)
    assert_kept(shown)


def _plus(one: dict[str, Share], other: dict[str, Share]) -> dict[str, Share]:
    return {
        owner: Share(one[owner].trials + more.trials, one[owner].successes + more.successes)
        for owner, more in other.items()
    }


def test_a_cut_weight_claims_no_more_than_the_whole_did() -> None:
    """An owner that made ten times as much as the others: its rate is surer than its weight says."""
    chance = np.random.default_rng(11)
    missed = []
    for _ in range(5000):
        truth = chance.uniform()
        shares = [Share(n, int(chance.binomial(n, truth))) for n in (2, 3, 4, 5, 50)]
        missed.append(bool(truth < weigh(shares, RULE.k).lower_bound()))
    assert np.mean(missed) <= LOWER_QUANTILE + 0.01
