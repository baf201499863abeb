from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.domain.authored.matching import Match, MatchedBy, agree, match
from keeper_grpc.domain.authored.triggers import facts_of_conditions, parse_trigger
from keeper_grpc.domain.insight import JsonValue

CATALOG = load_catalog().patterns
REVIEW = next(pattern for pattern in CATALOG if pattern.key == "negative_review_recovery")


def matched(
    trigger: str,
    authored: Mapping[str, JsonValue],
    asked: Mapping[str, JsonValue],
    *,
    similar: bool = False,
) -> Match | None:
    """The match of a question whose conditions are these."""
    return match(
        parse_trigger(trigger), authored, facts_of_conditions(asked), asked, similar=similar
    )


@pytest.mark.parametrize("pattern", CATALOG, ids=lambda pattern: pattern.key)
def test_a_pattern_of_the_catalog_is_about_its_own_conditions(pattern: object) -> None:
    """All of them agree; no other pattern of its type and category is about them as surely."""
    own = next(one for one in CATALOG if one is pattern)
    strengths = {
        other.key: found.strength
        for other in CATALOG
        if other.pattern_type == own.pattern_type
        and {*other.business_categories} & {*own.business_categories}
        and (found := matched(other.trigger, other.conditions, own.conditions))
    }
    assert strengths.pop(own.key) == 1.0
    assert all(strength < 1.0 for strength in strengths.values())


@given(st.integers(1, 5), st.booleans())
def test_a_trigger_decides_where_its_facts_are_stated(rating: int, similar: bool) -> None:
    """Bad reviews match whatever they say; good ones never do, however similar the words."""
    found = matched(REVIEW.trigger, REVIEW.conditions, {"rating": rating}, similar=similar)
    assert (found is not None) == (rating <= 2)
    assert found is None or found.by is MatchedBy.TRIGGER


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"churn_risk": "high"}, Match(MatchedBy.CONDITIONS, 0.5, ("churn_risk",))),
        ({"churn_risk": "High "}, Match(MatchedBy.CONDITIONS, 0.5, ("churn_risk",))),
        (
            {"churn_risk": "high", "gap": "more than twice the usual"},
            Match(MatchedBy.CONDITIONS, 1.0, ("churn_risk", "gap")),
        ),
        ({"churn_risk": "high", "gap": "61-90"}, Match(MatchedBy.CONDITIONS, 0.5, ("churn_risk",))),
        ({"churn_risk": "high", "gap": 70}, Match(MatchedBy.CONDITIONS, 0.5, ("churn_risk",))),
        ({"churn_risk": "medium", "gap": "over twice the usual"}, None),
        ({"churn_risk": "high", "gap": "below twice the usual"}, None),
        ({"service": "massage"}, None),
        ({}, None),
    ],
)
def test_conditions_speak_for_a_pattern_and_one_that_contradicts_against_it(
    asked: Mapping[str, JsonValue], expected: Match | None
) -> None:
    """A figure is not compared with an author's phrase, and what is not stated says nothing."""
    authored = {"churn_risk": "high", "gap": "over twice the usual"}
    trigger = "customer.days_since_visit > customer.avg_frequency * 2"
    assert matched(trigger, authored, asked) == expected


def test_similar_words_alone_match_where_nothing_contradicts() -> None:
    """They are the weakest reason."""
    trigger, authored = "customer.no_show_count > 2", {"churn_risk": "high"}
    found = matched(trigger, authored, {"service": "massage"}, similar=True)
    assert found is not None
    assert found.by is MatchedBy.WORDS
    assert found.strength < 0.5
    assert matched(trigger, authored, {"churn_risk": "low"}, similar=True) is None


@pytest.mark.parametrize(
    ("authored", "asked", "same"),
    [
        ("high", "low", False),
        ("2 or lower", "4 or higher", False),
        ("2 or lower", "2 or lower", True),
        ("afternoon", "late afternoon", True),
        ("nearly full", "half empty", False),
        ("declining", "not declining", False),
        (3, 3.0, True),
        (3, 4, False),
        (True, True, True),
        (True, False, False),
        (True, "yes", None),
        ("less than half of the team average", "more than half of the team average", False),
        ("weekly visits stopped", "only one visit so far", None),
        ("", "high", None),
        ([1], "high", None),
    ],
)
def test_values_agree_contradict_or_cannot_be_compared(
    authored: JsonValue, asked: JsonValue, same: bool | None
) -> None:
    """Either way round."""
    assert agree(authored, asked) is same
    assert agree(asked, authored) is same


@pytest.mark.parametrize(
    "conditions",
    [
        {"days_since_visit": 60, "avg_frequency": 28},
        {"customer": {"days_since_visit": 60, "avg_frequency": 28}},
        {"customer.days_since_visit": 60, "customer.avg_frequency": 28},
        {"Customer-Days Since Visit": "60", "customer_avg_frequency": " 28 "},
    ],
)
def test_conditions_state_facts_by_their_names(conditions: Mapping[str, JsonValue]) -> None:
    """With the subject or without, nested or not, in figures or in texts of figures."""
    facts = facts_of_conditions(conditions)
    assert facts == {"customer.days_since_visit": 60.0, "customer.avg_frequency": 28.0}


def test_texts_and_flags_are_read_as_engines_write_them() -> None:
    """Days in capitals, flags as words; what is of another kind is no fact."""
    facts = facts_of_conditions(
        {"day_of_week": "Monday", "frequency_declining": "Yes", "ltv": "a lot", "rating": True}
    )
    assert facts == {"visit.day_of_week": "monday", "customer.frequency_declining": True}
    said = {"time_of_day": "early Morning", "day_of_week": "on Mondays and Tuesday, monday"}
    facts = facts_of_conditions(said)
    assert facts["visit.time_of_day"] == "morning"
    assert facts["visit.day_of_week"] == "on mondays and tuesday, monday"


@given(
    st.dictionaries(
        st.sampled_from(["rating", "ltv", "customer", "visit", "first", "favorite_services", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
            max_leaves=6,
        ),
    ),
    st.booleans(),
)
def test_any_conditions_get_an_answer(conditions: dict[str, JsonValue], similar: bool) -> None:
    """Whatever a caller sends, every pattern of the catalog matches it or not."""
    for pattern in CATALOG:
        found = matched(pattern.trigger, pattern.conditions, conditions, similar=similar)
        assert found is None or 0 < found.strength <= 1
