from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.insight import AnonymizedInsight, JsonValue


def insight(
    conditions: dict[str, JsonValue] | None = None, action: str = "Call the guest", script: str = ""
) -> AnonymizedInsight:
    """An insight that differs in what a test is about."""
    return AnonymizedInsight(
        type="churn_prevention",
        business_category="day_spa",
        conditions=conditions or {},
        action=action,
        script=script,
        confidence=0.5,
        dollar_value=1.0,
        potential_value=2.0,
    )


def test_the_sentence_is_the_documented_one() -> None:
    """`When {conditions}, {action} ({type}, {category}).`, keys sorted, underscores as spaces."""
    rendered = insight({"service": "massage", "days_since_visit": 45.0}).render()
    assert rendered == (
        "When days since visit is 45, service is massage, "
        "Call the guest (churn prevention, day spa)."
    )


@pytest.mark.parametrize(
    ("conditions", "action", "rendered"),
    [
        ({}, "Call the guest", "Call the guest (churn prevention, day spa)."),
        ({"rating": 2}, "", "When rating is 2 (churn prevention, day spa)."),
        ({}, "", "(churn prevention, day spa)."),
    ],
)
def test_what_is_missing_is_left_out(
    conditions: dict[str, JsonValue], action: str, rendered: str
) -> None:
    """A question without action, or without conditions, reads like the sentence less that part."""
    assert insight(conditions, action).render() == rendered


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "yes"),
        (False, "no"),
        (None, "unknown"),
        (45.0, "45"),
        (4.5, "4.5"),
        (7, "7"),
        ("high", "high"),
        (["facial", 2.0], "facial, 2"),
        ({"b_key": 1.0, "a_key": "x"}, "a key x, b key 1"),
    ],
)
def test_every_kind_of_value_reads_as_prose(value: JsonValue, words: str) -> None:
    """Numbers without needless decimals, booleans as words, nested values in key order."""
    assert insight({"key": value}).render().startswith(f"When key is {words},")


values: st.SearchStrategy[JsonValue] = st.recursive(
    st.one_of(st.booleans(), st.floats(-1e6, 1e6), st.text("ab ", max_size=5), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("xyz", min_size=1), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc_", min_size=1, max_size=6), values, max_size=6), st.randoms())
def test_equal_conditions_give_equal_text(conditions: dict[str, JsonValue], chance: object) -> None:
    """The order in which a client wrote its keys, at any depth, changes nothing."""

    def shuffled(value: JsonValue) -> JsonValue:
        if isinstance(value, dict):
            keys = list(value)
            chance.shuffle(keys)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
            return {key: shuffled(value[key]) for key in keys}
        if isinstance(value, list):
            return [shuffled(item) for item in value]
        return value

    reordered = shuffled(conditions)
    assert isinstance(reordered, dict)
    assert insight(reordered).render() == insight(conditions).render()


def test_wording_worth_and_confidence_are_not_part_of_it() -> None:
    """Scripts of one action meet, and nothing of how it went or what it was worth is embedded."""
    rendered = insight(script="Hi {name}, we miss you").render()
    assert rendered == insight().render()
    assert "0.5" not in rendered
