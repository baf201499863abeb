from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.metrics.as_treated import AsTreated, as_treated
from keeper_grpc.domain.metrics.contrast import Counts, contrast
from keeper_grpc.domain.metrics.experiment import OwnerOutcomes, experiment
from keeper_grpc.domain.metrics.uplift import Arm

RUNS = 1_000
DAYS = 60
QUESTIONS = 4
"""Different questions of an owner. Each stays in its arm, however often it is asked."""


@st.composite
def outcomes(draw: st.DrawFn) -> OwnerOutcomes:
    """Whatever one owner may have reported."""
    trials, held_out = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    followed = draw(st.integers(0, trials))
    followed_successes = draw(st.integers(0, followed))
    others = draw(st.integers(0, trials - followed))
    return OwnerOutcomes(
        draw(st.sampled_from("abcdef")),
        "spa",
        draw(st.sampled_from([0.1, 0.5])),
        Arm(trials, followed_successes + others),
        Arm(held_out, draw(st.integers(0, held_out))),
        Arm(followed, followed_successes),
    )


def played(random: np.random.Generator, owners: int, share: float, effect: float) -> Counts:
    """One experiment: by row of `contrast`, by owner and by day, what was reported so far.

    Owners follow 40% to 70% of their advice, and those who would do well anyway follow more of it: without any effect
    the followers succeed 20 points more often than the rest.
    """
    size = random.gamma(1.0, 0.7, owners)
    keen = random.random((owners, 1))
    own = 0.2 * (keen - 0.5) + random.normal(0.0, 0.15, (owners, QUESTIONS))
    held_out = random.random((owners, QUESTIONS)) < share
    asked = random.poisson(
        np.broadcast_to(size[:, None, None] / QUESTIONS, (owners, QUESTIONS, DAYS))
    )
    follows = 0.4 + 0.3 * keen
    followed = np.where(held_out[:, :, None], 0, random.binomial(asked, follows[:, :, None]))
    # Of one owner, too, the occasions on which advice is followed are the better ones.
    base = np.clip(0.45 + own, 0.15, 0.8)
    brought = effect + (random.normal(0.0, 0.05, (owners, 1)) if effect else 0.0)
    better = np.clip(base + 0.1 + brought, 0.02, 0.98)
    worse = np.clip(base - 0.1 * follows / (1 - follows), 0.02, 0.98)
    won_following = random.binomial(followed, better[:, :, None])
    won_otherwise = random.binomial(asked - followed, np.where(held_out, base, worse)[:, :, None])
    rows = [
        np.where(arm[:, :, None], counts, 0).sum(axis=1)
        for arm in (~held_out, held_out)
        for counts in (asked, won_following + won_otherwise)
    ]
    rows += [followed.sum(axis=1), won_following.sum(axis=1)]
    return np.stack(rows).astype(float).cumsum(axis=2)


def looks(counts: Counts) -> Sequence[AsTreated]:
    """What is read on each day."""
    return [as_treated(contrast([counts[:, :, day]])) for day in range(DAYS)]


def test_followers_who_do_well_anyway_are_no_effect() -> None:
    """In at most 5% of 1,000 experiments without any effect does the interval ever exclude zero, read daily."""
    random = np.random.default_rng(30)
    alarms = naive = 0
    for _ in range(RUNS):
        counts = played(random, 50, 0.2, 0.0)
        read = looks(counts)
        alarms += any(low > 0 or high < 0 for low, high in (each.interval for each in read))
        _, _, held, won_held, followed, won = counts[:, :, -1].sum(axis=1)
        naive += bool(held) and won / followed - won_held / held > 0.05
    assert alarms <= 0.05 * RUNS
    assert naive > 0.5 * RUNS, "those who followed did better than the held out"


def test_the_true_effect_lies_inside_on_every_day() -> None:
    """The interval holds the mean effect on those who followed all the time in 95% of 1,000 runs."""
    random = np.random.default_rng(31)
    held = sum(
        all(low <= 0.15 <= high for low, high in (each.interval for each in looks(counts)))
        for counts in (played(random, 12, 0.3, 0.15) for _ in range(RUNS))
    )
    assert held >= 0.95 * RUNS


def test_a_real_effect_is_found_and_not_the_followers_own() -> None:
    """With 400 owners the estimate is the effect, where followers less held out are ten points above it."""
    random = np.random.default_rng(32)
    found = [looks(played(random, 400, 0.5, 0.2))[-1] for _ in range(20)]
    assert np.mean([each.effect for each in found]) == pytest.approx(0.2, abs=0.02)
    assert sum(each.interval[0] > 0 for each in found) >= 18
    assert all(0.4 < each.followed_share < 0.7 for each in found)


@given(st.lists(outcomes(), max_size=12))
def test_it_shows_an_effect_only_where_the_uplift_is_one(given_: list[OwnerOutcomes]) -> None:
    """Zero is outside only if it is outside of the uplift's interval; the effect is inside, and no smaller than the uplift."""
    found = experiment(given_)
    treated = found.as_treated
    low, high = treated.interval
    assert -1.0 <= low <= high <= 1.0
    if treated.effect is None:
        assert (low, high) == (-1.0, 1.0)
        return
    assert found.difference is not None
    assert low <= treated.effect <= high
    assert abs(treated.effect) >= min(abs(found.difference), 1.0) - 1e-9
    assigned_low, assigned_high = found.interval
    assert low <= 0 <= high or not assigned_low <= 0 <= assigned_high


@given(st.lists(outcomes(), min_size=1, max_size=12), st.data())
def test_more_successes_of_the_advised_are_no_smaller_effect(
    given_: list[OwnerOutcomes], data: st.DataObject
) -> None:
    """The estimate grows with the uplift as long as as many follow."""
    before = experiment(given_)
    at = data.draw(st.integers(0, len(given_) - 1))
    own = given_[at]
    rest = (
        own.advised.trials - own.followed.trials - (own.advised.successes - own.followed.successes)
    )
    more = data.draw(st.integers(0, max(rest, 0)))
    better = OwnerOutcomes(
        own.owner_key,
        own.business_category,
        own.holdout_share,
        Arm(own.advised.trials, own.advised.successes + more),
        own.held_out,
        own.followed,
    )
    after = experiment([*given_[:at], better, *given_[at + 1 :]])
    if before.as_treated.effect is not None and after.as_treated.effect is not None:
        assert after.as_treated.effect >= before.as_treated.effect - 1e-9


def test_where_all_follow_it_is_the_uplift() -> None:
    """The experiment as assigned and as treated are the same, interval and all."""
    everybody = [
        OwnerOutcomes(name, "spa", 0.5, Arm(40, won), Arm(40, 20), Arm(40, won))
        for name, won in zip("abcdefgh", (28, 30, 26, 31, 24, 29, 33, 27), strict=True)
    ]
    found = experiment(everybody)
    assert found.as_treated.effect == pytest.approx(found.difference)
    assert found.as_treated.interval == pytest.approx(found.interval, abs=1e-3)
    assert found.as_treated.followed_share == 1.0


def test_where_nobody_follows_nothing_is_claimed() -> None:
    """A difference that advice cannot have made is not divided by next to nothing."""
    ignored = [OwnerOutcomes(name, "spa", 0.5, Arm(40, 30), Arm(40, 20)) for name in "abcdefgh"]
    assert experiment(ignored).as_treated == AsTreated()
    hardly = [*ignored, OwnerOutcomes("z", "spa", 0.5, Arm(40, 30), Arm(40, 20), Arm(1, 1))]
    assert experiment(hardly).as_treated.interval[1] == 1.0


def test_an_owner_that_is_a_whole_arm_shows_no_effect() -> None:
    """As for the uplift: an estimate, and no claim."""
    alone = [
        OwnerOutcomes("a", "spa", 0.5, Arm(50, 40), Arm(0, 0), Arm(25, 22)),
        OwnerOutcomes("b", "spa", 0.5, Arm(50, 40), Arm(50, 10), Arm(25, 22)),
    ]
    found = experiment(alone).as_treated
    assert found.effect == 1.0
    assert found.interval == (-1.0, 1.0)
