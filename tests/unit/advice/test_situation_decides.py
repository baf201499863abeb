from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.advice.ranking import (
    Candidate,
    NoMatch,
    Requirements,
    context_line,
    explain,
    rank,
)
from keeper_grpc.domain.evidence.evidence import Prior, Share, weigh
from keeper_grpc.domain.evidence.expectation import Basis, situate
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, Scope

RULE = PublicationRule(3)

priors = st.sampled_from([Prior(), Prior(3, 2), Prior(1, 9), Prior(26, 6), Prior(30.4, 1.6)])
transfers = st.sampled_from([1.0, 0.7, 0.3])


def dealt(owner: str, successes: int, trials: int, owners: int = 4) -> dict[str, Share]:
    """So many outcomes, dealt out to owners one after the other."""
    shares = {}
    for number in range(owners):
        count = len(range(number, trials, owners))
        if count:
            shares[f"{owner} {number}"] = Share(count, len(range(number, successes, owners)))
    return shares


def candidate(
    here: dict[str, Share],
    elsewhere: dict[str, Share],
    prior: Prior = Prior(),  # noqa: B008 - a frozen value
    transfer: float = 1.0,
) -> Candidate:
    """A pattern that owners know from the question's situation, and others from elsewhere."""
    shares = here | elsewhere
    return Candidate(
        Pattern(
            pattern_id=UUID(int=1),
            scope=Scope("churn_prevention", "spa", "model"),
            conditions={},
            action="Call the guest",
            evidence=weigh(shares.values(), RULE.k),
            scripts=(),
            first_discovered=datetime(2026, 1, 1, tzinfo=UTC),
            last_validated=None,
            prior=prior,
        ),
        0.9,
        situate(shares, here, {}, RULE),
        transfer,
    )


counts = st.integers(0, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
candidates = st.builds(
    lambda here, elsewhere, prior, transfer: candidate(
        dealt("here", *here), dealt("elsewhere", *elsewhere), prior, transfer
    ),
    counts,
    counts,
    priors,
    transfers,
)


@given(candidates, st.floats(0, 1), st.integers(1, 30))
def test_what_is_judged_is_what_is_shown(known: Candidate, rate: float, count: int) -> None:
    """A pattern is applied if and only if the rate and the count that its answer shows suffice."""
    ranking = rank([known], Requirements(0.5, RULE, rate, count))
    shown = ranking.best
    expectation = known.expectation
    suffices = (
        not RULE.withheld(known.pattern.evidence)
        and expectation.rate * known.transfer >= rate
        and expectation.counted.trials >= count
    )
    assert (shown is not None) == suffices
    if shown is None:
        return
    assert shown.expected_success_rate >= rate
    said = re.match(
        r"This approach worked (\d+)% of the time across (\d+) similar cases", context_line(shown)
    )
    assert said is not None
    assert said[1] == f"{shown.expected_success_rate:.0%}"[:-1]
    assert int(said[2]) == shown.expectation.counted.trials >= count
    assert f" {shown.expected_success_rate:.0%} are expected" in explain(shown, "spa")


@given(st.integers(7, 40), st.integers(1, 60), st.sampled_from([3, 4, 6]), priors)
def test_what_never_works_here_is_not_applied(
    trials: int, elsewhere: int, owners: int, prior: Prior
) -> None:
    """Whatever other situations and the network's other patterns promise."""
    known = candidate(
        dealt("here", 0, trials, owners), dealt("elsewhere", elsewhere * 4, elsewhere * 4), prior
    )
    assert rank([known], Requirements(0.5, RULE)).no_match is NoMatch.SUCCESS_RATE_TOO_LOW


@given(st.integers(16, 40), st.integers(1, 60), priors)
def test_what_always_works_here_is_applied(trials: int, elsewhere: int, prior: Prior) -> None:
    """However rarely it works in other situations."""
    known = candidate(dealt("here", trials, trials), dealt("elsewhere", 0, elsewhere * 4), prior)
    best = rank([known], Requirements(0.5, RULE)).best
    assert best is not None
    assert best.expectation.basis is Basis.SITUATION


@pytest.mark.parametrize(
    ("here", "elsewhere", "applied"),
    [
        ((0, 16), (32, 32), False),
        ((1, 16), (32, 32), False),
        ((2, 20), (40, 40), False),
        ((6, 16), (32, 32), False),
        ((12, 16), (32, 32), True),
        ((32, 32), (0, 32), True),
        ((32, 32), (4, 100), True),
        ((14, 16), (10, 40), True),
        ((0, 0), (32, 48), True),
        ((0, 0), (20, 48), False),
    ],
)
def test_the_situation_decides_and_not_the_rate_of_all(
    here: tuple[int, int], elsewhere: tuple[int, int], applied: bool
) -> None:
    """Of so many cases in it and elsewhere, so many succeeded."""
    known = candidate(dealt("here", *here), dealt("elsewhere", *elsewhere))
    assert (rank([known], Requirements(0.5, RULE)).best is not None) is applied


@given(st.integers(0, 40), st.integers(3, 40))
def test_few_owners_decide_no_situation(successes: int, trials: int) -> None:
    """What two know of it is shown as what all know of the pattern."""
    here = dealt("here", min(successes, trials), trials, owners=2)
    known = candidate(here, dealt("elsewhere", 30, 40))
    assert known.expectation.basis is Basis.PATTERN
    assert known.expectation.counted == known.pattern.evidence


@given(counts, counts, priors)
def test_the_count_is_of_what_the_rate_was_made_of(
    here: tuple[int, int], elsewhere: tuple[int, int], prior: Prior
) -> None:
    """Of the situation alone where that outweighs everything else, and of the whole pattern where not."""
    known = candidate(dealt("here", *here), dealt("elsewhere", *elsewhere), prior)
    expectation = known.expectation
    if expectation.basis is Basis.SITUATION:
        assert expectation.counted == known.situation.here
        strength = expectation.believed.successes + expectation.believed.failures
        assert 2 * expectation.counted.trials >= strength or not known.situation.elsewhere.trials
    else:
        assert expectation.counted == known.pattern.evidence


def test_a_few_cases_here_adjust_the_rate_and_are_not_all_that_is_counted() -> None:
    """Three of three after two hundred elsewhere are not "across 3 cases"."""
    known = candidate(dealt("here", 3, 3, 3), dealt("elsewhere", 150, 200))
    best = rank([known], Requirements(0.5, RULE)).best
    assert best is not None
    assert best.expectation.basis is Basis.ADJUSTED
    assert context_line(best).endswith("similar cases, adjusted to this situation")
