from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import CAUTIOUS, Prior, lower_bound
from keeper_grpc.domain.evidence.priors import (
    BORROWED,
    DEFAULT_PRIOR,
    STRENGTHS,
    Judged,
    LearnedPrior,
    Outcomes,
    Priors,
    Source,
    learn,
)

SPA = ("churn", "spa")


def outcomes(successes: int, trials: int = 20, kind: tuple[str, str] = SPA) -> Outcomes:
    """One published pattern's outcomes."""
    return Outcomes(*kind, trials, successes)


@st.composite
def published(draw: st.DrawFn, least: int = 1, most: int = 30) -> list[Outcomes]:
    """Patterns of one kind."""
    found = []
    for _ in range(draw(st.integers(least, most))):
        trials = draw(st.integers(1, 200))
        found.append(outcomes(draw(st.integers(0, trials)), trials))
    return found


@given(published())
def test_a_prior_is_a_belief_of_bounded_strength(known: list[Outcomes]) -> None:
    """However many patterns agree, the pattern's own outcomes can outweigh them."""
    learned = Priors(known).of(*SPA)
    assert (learned.source, learned.patterns) == (Source.CATEGORY, len(known))
    assert 0 < learned.prior.mean < 1
    for prior in (learned.prior, learned.cautious):
        # Shown in two digits.
        assert 0 < prior.successes + prior.failures <= max(STRENGTHS) * 1.05


@given(published(least=2))
def test_a_pattern_learns_nothing_from_itself(known: list[Outcomes]) -> None:
    """Its prior is what the others say, as if it were not there."""
    own, *others = known
    learned = Priors(known).of(*SPA, own)
    assert learned.prior.successes == pytest.approx(Priors(others).of(*SPA).prior.successes)
    assert learned.prior.failures == pytest.approx(Priors(others).of(*SPA).prior.failures)
    assert learned.patterns == len(others)


@given(published(), st.integers(0, 19))
def test_what_works_more_often_elsewhere_is_believed_in_more(
    known: list[Outcomes], successes: int
) -> None:
    """One more success of another pattern raises the mean."""
    less = Priors([*known, outcomes(successes)]).of(*SPA).prior.mean
    more = Priors([*known, outcomes(successes + 1)]).of(*SPA).prior.mean
    # Shown in two digits.
    assert more > less * 0.9


def test_patterns_that_agree_make_a_strong_prior_and_patterns_that_differ_a_weak_one() -> None:
    """The spread of rates decides how much the others say about one."""
    alike = Priors([outcomes(12)] * 40).of(*SPA).prior
    apart = Priors([outcomes(1), outcomes(19)] * 20).of(*SPA).prior
    assert alike.successes + alike.failures > 16
    assert apart.successes + apart.failures < 3
    assert alike.mean == pytest.approx(0.6, abs=0.03)


def test_what_is_expected_is_borrowed_from_the_type_and_from_all_types() -> None:
    """A category of its own comes first, then the type in every category, then every type, then nothing."""
    here = Priors([outcomes(18)] * 20)
    gym, other = here.of("churn", "gym"), here.of("other", "spa")
    assert [one.source for one in (here.of(*SPA), gym, other)] == [
        Source.CATEGORY,
        Source.TYPE,
        Source.NETWORK,
    ]
    assert here.of(*SPA).prior.mean > gym.prior.mean > 0.7
    assert Priors([]).of(*SPA) == DEFAULT_PRIOR


@given(published(), published())
def test_however_many_are_elsewhere_they_count_as_a_few(
    here: list[Outcomes], there: list[Outcomes]
) -> None:
    """Ten times as many patterns of the same kind elsewhere say the same as they do once there are enough."""
    there = [replace(one, business_category="gym") for one in there * BORROWED]
    few, many = Priors([*here, *there]).of(*SPA), Priors([*here, *there * 10]).of(*SPA)
    assert few.cautious == many.cautious
    assert few.prior == many.prior


def test_without_others_the_cautious_prior_is_the_default_one() -> None:
    """What is certain of a pattern that stands alone is said by one constant."""
    assert Priors([outcomes(18)]).of(*SPA, outcomes(18)).cautious == CAUTIOUS
    assert Priors([outcomes(18)]).of("other", "spa").cautious == CAUTIOUS


@pytest.mark.parametrize("successes", [12, 15, 18])
def test_more_is_certain_the_more_patterns_work_alike(successes: int) -> None:
    """Each that is published rules out worlds in which it would be luck."""
    certain = [
        lower_bound(8, 8, Priors([outcomes(successes)] * count).of(*SPA).cautious)
        for count in (0, 1, 5, 20)
    ]
    assert certain == sorted(certain)
    assert certain[0] < certain[-1]


def test_priors_tell_no_counts() -> None:
    """They are shown, in two digits, so that another pattern's outcomes are not read off them."""
    learned = Priors([outcomes(13, 37), outcomes(201, 455)]).of(*SPA)
    for weight in (learned.prior.successes, learned.prior.failures):
        assert weight == float(f"{weight:.1e}")


def judged(number: int, known: Outcomes, **changes: object) -> Judged:
    """A published pattern with the default prior."""
    pattern = Judged(UUID(int=number), known, published=True, current=DEFAULT_PRIOR, recent=known)
    return replace(pattern, **changes)  # type: ignore[arg-type]  # whatever a test changes


def test_unpublished_patterns_get_a_prior_and_give_none() -> None:
    """What fewer than k owners saw must not show through what others are expected to do."""
    shown = [judged(n, outcomes(15)) for n in range(BORROWED + 1)]
    hidden = [judged(100 + n, outcomes(0), published=False) for n in range(50)]
    with_them, without = learn([*shown, *hidden]), learn(shown)
    assert with_them[1] == without[1]
    given_to = {one.pattern_id: one.learned for one in with_them[0]}
    assert all(given_to[one.pattern_id] == one.learned for one in without[0])
    assert {given_to[one.pattern_id] for one in hidden} == {with_them[1][SPA]}


def test_an_authors_prior_stays_and_its_outcomes_teach() -> None:
    """The catalog's belief is the catalog's; what came of the pattern is everyone's."""
    works = Priors([outcomes(3)] * (BORROWED - 1) + [outcomes(15)]).of(*SPA).cautious
    believed = LearnedPrior(Prior(4, 1), Source.AUTHOR, 0, works)
    authored = [judged(n, outcomes(3), current=believed) for n in range(BORROWED)]
    assigned, to_come = learn([*authored, judged(99, outcomes(15))])
    assert [one.pattern_id for one in assigned] == [UUID(int=99)]
    assert to_come[SPA].patterns == BORROWED + 1


def test_a_prior_that_hardly_changes_is_left() -> None:
    """Learning again from the same patterns changes nothing."""
    known = [judged(n, outcomes(10 + n % 3)) for n in range(20)]
    assigned, _ = learn(known)
    settled = {one.pattern_id: one.learned for one in assigned}
    again, _ = learn([replace(one, current=settled[one.pattern_id]) for one in known])
    assert again == []
