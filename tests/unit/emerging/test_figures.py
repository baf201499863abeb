from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.emerging.figures import Describer, completed, two_digits
from keeper_grpc.domain.emerging.model import EmergingPattern, worth_sending
from keeper_grpc.domain.emerging.novelty import Known, NoveltyScale
from keeper_grpc.domain.emerging.tally import Fact, Tally
from keeper_grpc.domain.emerging.words import ClusterWords

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF_PAST = timedelta(seconds=30, microseconds=7)
SCALE = NoveltyScale(
    action_routine=0.75, action_variation=0.25, sentence_same=0.9, sentence_other=0.5
)
DESCRIBER = Describer(k=3, window=timedelta(days=7))


def fact(number: int, **fields: object) -> Fact:
    """A sighting of an account of its own; fields that are not given are the same for all."""
    given: dict[str, object] = {
        "owner_key": str(number),
        "business_category": "spa",
        "confidence": 0.5,
        "potential_value": 100.0,
        "seen_time": NOON + HALF_PAST,
        **fields,
    }
    return Fact(**given)  # type: ignore[arg-type]


def described(facts: Iterable[Fact], similarity: float = 0.9) -> EmergingPattern:
    """The figures of these sightings."""
    tally = Tally()
    for number, each in enumerate(facts):
        tally.add(number, each)
    return DESCRIBER.counted(UUID(int=1), ("model", "type"), tally, similarity, NOON)


def test_figures_are_rounded() -> None:
    """Two digits of money, hundredths of confidence, thousandths of similarity, minutes of time."""
    facts = [
        fact(1, confidence=0.123, potential_value=1234.56),
        fact(2, confidence=0.9, potential_value=0.01),
        fact(3, seen_time=NOON - HALF_PAST),
    ]
    told = described(facts, similarity=0.87654)
    assert told.total_potential_value == 1300
    assert told.mean_confidence == 0.51
    assert told.mean_similarity == 0.877
    assert told.first_seen_time == NOON - timedelta(minutes=1)
    assert told.last_seen_time == NOON
    assert (told.account_count, told.sighting_count) == (3, 3)
    known = completed(told, ClusterWords("words", "label"), Known(0.12345, 0.5, UUID(int=2)), SCALE)
    assert (known.common_pattern, known.label) == ("words", "label")
    assert known.novelty == 0.5
    assert known.promoted_pattern_id == UUID(int=2)


@pytest.mark.parametrize(
    "renewed",
    [
        fact(9, potential_value=104.0),
        fact(9, confidence=0.52),
        fact(9, seen_time=NOON + timedelta(seconds=59)),
    ],
)
def test_what_the_rounding_hides_is_no_news(renewed: Fact) -> None:
    """When one of ten sightings has another amount, confidence or second, no figure changes."""
    others = [fact(number) for number in range(9)]
    before = described([*others, fact(9)])
    assert not worth_sending(before, described([*others, renewed]))


def test_a_category_of_too_few_accounts_is_not_shown() -> None:
    """However many sightings they have; and where no category has enough, none is."""
    spas = [fact(number) for number in range(3)]
    gyms = [fact(number % 2 + 3, business_category="gym") for number in range(6)]
    assert described(spas + gyms).business_categories == ("spa",)
    assert described(spas[:2] + gyms).business_categories == ()
    assert described([*spas, *gyms, fact(5, business_category="gym")]).business_categories == (
        "gym",
        "spa",
    )


@given(st.floats(-1e9, 1e9))
def test_two_digits_are_within_a_twentieth(amount: float) -> None:
    """Of any amount, of either sign."""
    assert abs(two_digits(amount) - amount) <= abs(amount) / 20 + 1e-300
