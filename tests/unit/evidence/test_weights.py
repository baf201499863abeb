from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import (
    AGE_STEPS,
    ALWAYS,
    RECENCY_EPOCH,
    Evidence,
    Share,
    cut_weights,
    heaviest,
    largest_weight,
    leave_out,
    recency_weight,
    two_digits,
    weigh,
)
from tests.unit.evidence.shares import owners, share

K = st.integers(2, 6)
TRIALS = st.lists(st.integers(1, 1000), min_size=1, max_size=14)
HONEST = 6


@given(TRIALS, K)
def test_no_owner_weighs_more_than_a_kth_of_all(trials: list[int], k: int) -> None:
    """Where there are k owners; with fewer, which are never shown, more than an equal part."""
    weights = cut_weights(trials, k)
    assert max(weights) <= sum(weights) / min(k, len(trials)) * (1 + 1e-9)


@given(TRIALS, K)
def test_no_owner_weighs_more_than_k_owners_made(trials: list[int], k: int) -> None:
    """However much fewer than k of them report together."""
    kth = sorted(trials, reverse=True)[min(k, len(trials)) - 1]
    assert max(cut_weights(trials, k)) <= kth


@given(TRIALS, K)
def test_no_owner_weighs_more_than_the_median_owner_or_a_few_trials(
    trials: list[int], k: int
) -> None:
    """However many of them report much, as long as they are a minority."""
    assert max(cut_weights(trials, k)) <= max(median(trials), ALWAYS)


@given(TRIALS, K)
def test_what_weighs_little_enough_is_not_cut(trials: list[int], k: int) -> None:
    """An owner below the limits weighs what it made."""
    weights = cut_weights(trials, k)
    limit = heaviest(trials, k)
    assert all(weight == own for weight, own in zip(weights, trials, strict=True) if own <= limit)


@given(st.lists(st.integers(1, 1000), min_size=6, max_size=14), st.integers(1, 1000), K)
def test_another_owner_takes_little_away(trials: list[int], more: int, k: int) -> None:
    """The first trials of every owner count, whoever joins."""
    before, after = heaviest(trials, k), heaviest([*trials, more], k)
    assert after >= min(before, ALWAYS) * (1 - 1e-12)


@given(TRIALS, K)
def test_the_kth_is_cut_as_plain_repetition_cuts_it(trials: list[int], k: int) -> None:
    """Cutting what exceeds a k-th of the rest, again and again, comes to the same."""
    k = min(k, len(trials))
    cut = [float(own) for own in trials]
    for _ in range(500):
        cut = [min(own, sum(cut) / k) for own in cut]
    limit = largest_weight(trials, k)
    assert [min(own, limit) for own in trials] == pytest.approx(cut, rel=1e-2)


@given(owners(), K)
def test_evidence_is_within_what_was_counted(shares: dict[str, Share], k: int) -> None:
    """Successes within trials, trials within what there is, and owners as many as there are."""
    evidence = weigh(shares.values(), k)
    assert 0 <= evidence.successes <= evidence.trials
    assert len(shares) <= evidence.trials <= sum(own.trials for own in shares.values())
    assert evidence.accounts == len(shares)
    trials, successes = evidence.recent
    assert 0 <= successes <= trials <= sum(own.recent[0] for own in shares.values()) * (1 + 1e-9)


@given(st.lists(share(), min_size=1, max_size=12), K)
def test_the_order_of_owners_does_not_matter(shares: list[Share], k: int) -> None:
    """Busiest first or last."""
    assert weigh(shares[::-1], k) == weigh(shares, k)


@given(st.integers(1, 50), st.integers(3, 12), st.data())
def test_owners_who_report_alike_are_counted_in_full(
    trials: int, count: int, data: st.DataObject
) -> None:
    """Where none stands out, nothing is cut and nothing is rounded."""
    good = data.draw(st.lists(st.integers(0, trials), min_size=count, max_size=count))
    evidence = weigh([Share(trials, successes) for successes in good], 3)
    assert (evidence.trials, evidence.successes) == (trials * count, sum(good))


@pytest.mark.parametrize("attackers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("honest", "success"), [((4, 5), False), ((1, 5), True)])
def test_colluding_owners_are_worth_their_number_however_much_they_report(
    attackers: int, honest: tuple[int, int], success: bool
) -> None:
    """Six honest owners of five outcomes each: m attackers have m of 6 + m parts, not more."""
    successes, trials = honest
    shares = [Share(trials, successes)] * HONEST
    for reported in (5, 29, 1_000_000):
        attack = [Share(reported, reported * success)] * attackers
        rate = weigh([*shares, *attack], 3).success_rate
        expected = (HONEST * successes + attackers * trials * success) / (
            trials * (HONEST + attackers)
        )
        assert rate == pytest.approx(expected, abs=0.5 / (trials * (HONEST + attackers)))


def test_one_account_neither_buries_nor_lifts_a_pattern() -> None:
    """24 of 30 stays above 60% under 29 failures of one account, 7 of 30 below under 29 successes."""
    good = [Share(5, 4)] * HONEST
    bad = [Share(5, 1)] * (HONEST - 1) + [Share(5, 2)]
    assert weigh(good, 3).success_rate == 0.8
    assert weigh([*good, Share(29, 0)], 3).success_rate >= 0.6
    assert weigh([*bad, Share(29, 29)], 3).success_rate < 0.6


def test_a_thousand_groups_of_one_account_leave_the_pattern_to_the_others() -> None:
    """It is still evidence of all of them, and the one is one of them."""
    evidence = weigh([Share(2, 2), Share(3, 3), Share(4, 3), Share(1000, 0)], 3)
    assert evidence.accounts == 4
    assert evidence.success_rate >= 0.5


@given(owners(least=3), st.floats(0, 1e9), K)
def test_one_owners_revenue_moves_the_typical_one_within_what_others_measured(
    shares: dict[str, Share], invented: float, k: int
) -> None:
    """The median of owners' rounded means lies within the honest ones, as long as these are the majority."""
    honest = [
        two_digits(own.revenue_total / own.revenue_count)
        for own in shares.values()
        if own.revenue_count
    ]
    attack = Share(9, 9, revenue_total=invented * 9, revenue_count=9)
    typical = weigh([*shares.values(), attack], k).typical_revenue
    assert typical is not None
    if len(honest) >= 2:
        assert min(honest) <= typical <= max(honest)


def test_old_outcomes_do_not_make_a_new_owner_dominate() -> None:
    """Ages are weighed under the cap of a k-th as well: one active owner among silent ones is one."""
    silent = [Share(100, 90, 1.0, 0.9)] * 5
    active = Share(100, 0, 100.0, 0.0)
    trials, successes = weigh([*silent, active], 3).recent
    assert successes / trials == pytest.approx(0.9 * 2 / 3)


@given(owners(least=3), st.floats(1, 20), K)
def test_no_owner_weighs_more_in_a_part_than_in_the_whole(
    shares: dict[str, Share], most: float, k: int
) -> None:
    """What it may weigh in the pattern bounds what it weighs in a script or a situation."""
    evidence = weigh(shares.values(), k, most)
    assert evidence.trials <= most * len(shares) + 1e-9
    assert max(cut_weights([own.trials for own in shares.values()], k, most)) <= most


@given(owners(), st.data())
def test_a_part_that_is_left_out_leaves_the_rest(
    shares: dict[str, Share], data: st.DataObject
) -> None:
    """What is left and what was left out come to the whole."""
    part = {
        owner: Share(
            trials,
            data.draw(
                st.integers(max(0, trials - own.trials + own.successes), min(trials, own.successes))
            ),
        )
        for owner, own in shares.items()
        for trials in [data.draw(st.integers(0, own.trials))]
    }
    rest = leave_out(shares, part)
    for owner, own in shares.items():
        assert rest[owner].trials + part[owner].trials == own.trials
        assert rest[owner].successes + part[owner].successes == own.successes
        assert rest[owner].recent[0] <= own.recent[0] * (1 + 1e-9)
    assert weigh(leave_out(shares, shares).values(), 3) == Evidence()


@given(
    st.lists(st.integers(0, 2000), min_size=1, max_size=50),
    st.integers(7, 400),
)
def test_recency_does_not_depend_on_the_order_of_arrival(ages: list[int], half_life: int) -> None:
    """Sums of weights are what ages weighed today would be, in any order, but for the steps in which they age."""
    span = timedelta(days=half_life)
    today = RECENCY_EPOCH + timedelta(days=2000)

    def recent(ordered: list[int]) -> float:
        weights = [recency_weight(today - timedelta(days=age), span) for age in ordered]
        return sum(weights) / recency_weight(today, span)

    by_age = sum(0.5 ** (age / half_life) for age in ages)
    assert recent(ages[::-1]) == pytest.approx(recent(ages))
    # Both ends of an age are rounded to a step.
    assert abs(math.log2(recent(ages) / by_age)) <= 1 / AGE_STEPS + 1e-9


def test_an_outcome_of_one_half_life_ago_counts_half() -> None:
    """And one of two a quarter; dates that no double could weigh are bounded."""
    span = timedelta(days=180)
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert recency_weight(now - span, span) / recency_weight(now, span) == pytest.approx(0.5)
    assert recency_weight(now - 2 * span, span) / recency_weight(now, span) == pytest.approx(0.25)
    assert recency_weight(now, timedelta(seconds=1)) == 2.0**1000
