from __future__ import annotations

import json
import math
import operator
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.catalog.load import CatalogInvalid, parse_catalog
from keeper_grpc.domain.authored.triggers import (
    MAX_LENGTH,
    VOCABULARY,
    Kind,
    KnownFacts,
    TriggerInvalid,
    known_facts,
    parse_trigger,
)
from keeper_grpc.domain.insight import JsonValue

Facts = dict[str, JsonValue]

MORNINGS = (
    "appointments.morning_modifier_rate > 0 && "
    "appointments.morning_modifier_rate >= appointments.afternoon_modifier_rate * 2.999"
)

SOURCE_DESIGN: list[tuple[str, Facts, Facts]] = [
    (
        "customer.days_since_visit > customer.avg_frequency * 2",
        {"customer": {"days_since_visit": 57.0, "avg_frequency": 28.0}},
        {"customer": {"days_since_visit": 56.0, "avg_frequency": 28.0}},
    ),
    (
        "customer.ltv > 1000 && customer.frequency_declining",
        {"customer": {"ltv": 1000.5, "frequency_declining": True}},
        {"customer": {"ltv": 1000.5, "frequency_declining": False}},
    ),
    (
        "employee.modifier_rate < team_average * 0.5",
        {"employee": {"modifier_rate": 0.1}, "team_average": 0.3},
        {"employee": {"modifier_rate": 0.2}, "team_average": 0.3},
    ),
    ("review.rating <= 2", {"review": {"rating": 2.0}}, {"review": {"rating": 3.0}}),
    (
        MORNINGS,
        {"appointments": {"morning_modifier_rate": 0.3, "afternoon_modifier_rate": 0.1}},
        {"appointments": {"morning_modifier_rate": 0.29, "afternoon_modifier_rate": 0.1}},
    ),
]


def holds(text: str, facts: Facts) -> bool:
    """Whether a trigger is true of nested facts."""
    return parse_trigger(text).holds(known_facts(facts))


@pytest.mark.parametrize(("text", "yes", "no"), SOURCE_DESIGN)
def test_the_triggers_of_the_source_design_hold_when_they_should(
    text: str, yes: Facts, no: Facts
) -> None:
    """Each is true on one side of its edge and false on the other."""
    assert holds(text, yes)
    assert not holds(text, no)


@pytest.mark.parametrize(("text", "yes", "no"), SOURCE_DESIGN)
def test_a_missing_fact_means_that_the_trigger_does_not_apply(
    text: str, yes: Facts, no: Facts
) -> None:
    """Without facts, or without one that decides, nothing holds and nothing is raised."""
    assert not holds(text, {})
    for name in parse_trigger(text).names:
        known = dict(known_facts(yes))
        del known[name]
        assert not parse_trigger(text).holds(known)


def test_three_times_nothing_is_nothing() -> None:
    """Where no appointment has a modifier, mornings have no lead; against none, any share is one.

    The factor is 2.999 because 0.3 is less than 0.1 * 3 to a double.
    """
    assert not holds(
        MORNINGS, {"appointments": {"morning_modifier_rate": 0, "afternoon_modifier_rate": 0}}
    )
    assert holds(
        MORNINGS, {"appointments": {"morning_modifier_rate": 0.1, "afternoon_modifier_rate": 0}}
    )


@pytest.mark.parametrize("wrong", ["9", True, None, [9.0], {"a": 9.0}, math.nan, math.inf, 10**400])
def test_a_fact_of_the_wrong_kind_counts_as_missing(wrong: JsonValue) -> None:
    """A text, a flag or an infinity is no number: the trigger does not apply."""
    assert holds("review.rating < 10", {"review": {"rating": 9.0}})
    assert not holds("review.rating < 10", {"review": {"rating": wrong}})
    assert not holds("review.rating != 1", {"review": {"rating": wrong}})


def test_what_decides_alone_needs_no_other_fact() -> None:
    """CEL's logic: a side that is true settles `||`, whatever the other side lacks."""
    text = "review.rating <= 2 || customer.no_show_count > 3"
    assert holds(text, {"review": {"rating": 1.0}})
    assert holds(text, {"customer": {"no_show_count": 4.0}})
    assert not holds(text, {"review": {"rating": 5.0}})


@pytest.mark.parametrize(
    "text",
    [
        '"facial" in customer.favorite_services',
        'visit.day_of_week in ["saturday", "sunday"]',
        "review.rating in [1, 2]",
        "size(customer.favorite_services) > 1",
        "customer.favorite_services.size() == 2",
        "review.rating > 3 ? visit.first : !visit.first",
        "-review.rating < 0",
        "5 / 2 == 2.5",
    ],
)
def test_operators_beside_the_source_designs(text: str) -> None:
    """Membership, size, choice and negation are part of the language."""
    facts: Facts = {
        "customer": {"favorite_services": ["facial", "massage"]},
        "visit": {"day_of_week": "sunday", "first": False},
        "review": {"rating": 1.0},
    }
    assert holds(f"({text}) && review.rating == 1.0", facts)


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
numbers = st.floats(-1e6, 1e6)
literals = st.integers(-1000, 1000) | st.floats(-1000, 1000).map(lambda x: round(x, 3))


@given(
    facts=st.tuples(numbers, numbers),
    literal=literals,
    comparison=st.sampled_from(sorted(COMPARISONS)),
    arithmetic=st.sampled_from(sorted(ARITHMETIC)),
    mirrored=st.booleans(),
)
def test_numbers_compute_as_doubles_whether_written_as_integers_or_not(
    facts: tuple[float, float], literal: float, comparison: str, arithmetic: str, mirrored: bool
) -> None:
    """`x > y * 2` and `x > y * 2.0` are the same, on either side of every operator."""
    left, right = facts
    operands = (literal, right) if mirrored else (right, literal)
    names = (f"({literal})", "team_average") if mirrored else ("team_average", f"({literal})")
    if arithmetic == "/" and operands[1] == 0:
        return
    expected = COMPARISONS[comparison](left, ARITHMETIC[arithmetic](*operands))
    text = f"customer.ltv {comparison} {names[0]} {arithmetic} {names[1]}"
    assert holds(text, {"customer": {"ltv": left}, "team_average": right}) == expected


def test_dividing_by_zero_is_infinite_and_not_an_error() -> None:
    """As doubles have it, also by an integer zero."""
    facts: Facts = {"customer": {"ltv": 5.0, "visit_count": 0.0}}
    for zero in ("0", "0.0", "customer.visit_count"):
        assert holds(f"customer.ltv / {zero} > 1000000", facts)
        assert holds(f"-customer.ltv / {zero} < -1000000", facts)
        assert not holds(f"customer.visit_count / {zero} == 0", facts)


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("", 1, 1, "Syntax error"),
        ("review.rating <=", 1, 17, "Syntax error"),
        (
            "review.rating <= 2 &&\n customer.mood > 1",
            2,
            10,
            "undeclared reference to 'customer.mood'",
        ),
        ("customer", 1, 1, "undeclared reference"),
        (
            "review.rating > 'two'",
            1,
            15,
            "no matching overload for '_>_' applied to '(double, string)'",
        ),
        ("visit.first > 1", 1, 13, "(bool, double)"),
        ("1 < 2 && 3 < 4 && visit.first > 1 && 5 < 6", 1, 31, "(bool, double)"),
        ("1 < 2 &&\n1 < 2 && review.rating in ['1']", 2, 24, "(double, list(string))"),
        ("visit.time_of_day + 'x' == 'y'", 1, 19, "'(string, string)'"),
        ("review.rating == null", 1, 15, "no matching overload"),
        ("review.rating", 1, 1, "yields double"),
        ("review.rating && visit.first", 1, 15, "no matching overload"),
        ("visit.first ? 1 : 2", 1, 1, "yields double"),
        ("visit.time_of_day.matches('(a+)+$')", 1, 26, "undeclared reference to 'matches'"),
        ("customer.favorite_services.exists(s, s == 'a')", 1, 35, "undeclared reference"),
        ("customer.favorite_services.all(s, true)", 1, 32, "undeclared reference"),
        ("has(customer.ltv)", 1, 4, "undeclared reference to 'has'"),
        ("dyn(review.rating) == 'a'", 1, 4, "undeclared reference to 'dyn'"),
        ("timestamp('2020-01-01T00:00:00Z') > review.rating", 1, 10, "undeclared"),
        ("review.rating == {'a': 1}['a']", 1, 18, "maps and messages"),
        ("visit.first &&\ngoogle.protobuf.BoolValue{value: true}", 2, 26, "maps and messages"),
        ("1 < 2", 1, 1, "names no fact"),
        ("'review.rating' == 'x'", 1, 1, "names no fact"),
        ("(" * 100 + "visit.first" + ")" * 100, None, None, "recursion limit"),
        ("visit.first" + " " * MAX_LENGTH, None, None, "longer than 1000"),
        ("visit.first == \ud800", None, None, "not Unicode"),
    ],
)
def test_what_is_no_trigger_is_refused_with_its_place(
    text: str, line: int | None, column: int | None, reason: str
) -> None:
    """Syntax, names, kinds, functions, macros and sizes outside of the language name their place."""
    with pytest.raises(TriggerInvalid) as caught:
        parse_trigger(text)
    assert reason in caught.value.reason
    assert (caught.value.line, caught.value.column) == (line, column)
    if line is not None:
        assert str(caught.value).startswith(f"line {line}, column {column}: ")


def test_a_trigger_knows_the_facts_it_speaks_of() -> None:
    """In order, once each, and not those that only a string or a comment mentions."""
    trigger = parse_trigger(
        "customer . ltv > 5 && customer.favorite_services.size() > 1 && customer.ltv < 9\n"
        r"""&& visit.time_of_day != "review.rating" && r'\d' != visit.time_of_day // team_average"""
    )
    assert trigger.names == ("customer.ltv", "customer.favorite_services", "visit.time_of_day")


def test_an_unknown_trigger_stops_the_catalog_and_names_the_entry() -> None:
    """Whoever edits the catalog learns which trigger is wrong, where and why."""
    pattern = {
        "key": "k",
        "version": 1,
        "action_since": 1,
        "pattern_type": "t",
        "business_categories": ["spa"],
        "trigger": "customer.ltv > 'much'",
        "conditions": {"a": 1},
        "action": "Call",
        "scripts": [{"tone": "warm", "text": "Hi"}],
        "follow_up_action": None,
        "claims": {"success_rate": 0.5},
        "reason": "A guess.",
        "guardrails": [],
    }
    catalog = {"version": 1, "patterns": [pattern], "service_names": ["Facial"]}
    with pytest.raises(CatalogInvalid, match=r"patterns\.0\.trigger: .*line 1, column 14"):
        parse_catalog(json.dumps(catalog))


LATE = "customer.days_since_visit > 60 unless customer.has_booking || customer.opted_out"


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"customer.days_since_visit": 90.0}, True),
        ({"customer.days_since_visit": 30.0}, False),
        ({"customer.days_since_visit": 90.0, "customer.has_booking": True}, False),
        ({"customer.days_since_visit": 90.0, "customer.has_booking": False}, True),
        ({"customer.days_since_visit": 90.0, "customer.opted_out": True}, False),
        ({"customer.opted_out": True}, False),
        ({"customer.opted_out": False}, None),
        ({}, None),
    ],
)
def test_what_is_known_after_unless_excludes(facts: KnownFacts, verdict: bool | None) -> None:
    """What is not known there excludes nothing."""
    assert parse_trigger(LATE).verdict(facts) is verdict


def test_the_facts_after_unless_are_named_too() -> None:
    """An explanation repeats those that are known."""
    assert parse_trigger(LATE).names == (
        "customer.days_since_visit",
        "customer.has_booking",
        "customer.opted_out",
    )


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("review.rating < 3 unless", 25),
        ("review.rating < 3 unless 1 < 2", 19),
        ("review.rating < 3 unless team_average", 26),
        ("review.rating < 3 unless customer.nothing", 34),
        ("unless review.rating < 3", 1),
        ("review.rating < 3 unless customer.opted_out unless customer.has_booking", 45),
    ],
)
def test_a_fault_after_unless_is_reported_at_its_place(text: str, column: int) -> None:
    """Columns count from the beginning of the whole text."""
    with pytest.raises(TriggerInvalid) as caught:
        parse_trigger(text)
    assert (caught.value.line, caught.value.column) == (1, column)


def test_unless_within_a_text_is_a_text() -> None:
    """Only the word itself excludes."""
    trigger = parse_trigger("customer.membership_tier == 'gold unless silver'")
    assert trigger.verdict({"customer.membership_tier": "gold unless silver"}) is True


FRAGMENTS = [
    *VOCABULARY,
    *("&&", "||", "!", "==", "<", "+", "*", "/", "%", "?", ":", "in", "(", ")", "[", "]", "{", "}"),
    *(
        ".",
        ",",
        "size",
        "has",
        "exists",
        "x",
        "1",
        "2.5",
        "0x7f",
        "1e400",
        "9223372036854775808",
        "-",
    ),
    *(
        '"',
        "'",
        '"a"',
        "'''",
        "r'",
        "\\",
        "//",
        "\n",
        "\0",
        "true",
        "null",
        "b'x'",
        "`",
        "\ud800",
        "é",
    ),
]
hostile_texts = st.text() | st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(" ".join)
scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=3), scalars)
fields = st.sampled_from(sorted({name.rpartition(".")[2] for name in VOCABULARY}))
subjects = st.sampled_from(sorted({name.partition(".")[0] for name in VOCABULARY}))
any_facts = st.dictionaries(
    subjects, values | st.dictionaries(fields, values, max_size=6), max_size=5
)


@given(text=hostile_texts, facts=any_facts)
def test_any_text_is_a_trigger_or_refused_and_any_facts_are_evaluated(
    text: str, facts: Facts
) -> None:
    """Neither the checker nor the evaluation raises anything but TriggerInvalid."""
    try:
        trigger = parse_trigger(text)
    except TriggerInvalid:
        return
    assert isinstance(trigger.holds(known_facts(facts)), bool)


@given(facts=any_facts)
def test_hostile_facts_raise_nothing(facts: Facts) -> None:
    """Known facts are of their declared kinds, and triggers over all of them answer."""
    known = known_facts(facts)
    assert known.keys() <= VOCABULARY.keys()
    for text, _, _ in SOURCE_DESIGN:
        assert isinstance(parse_trigger(text).holds(known), bool)
    assert isinstance(parse_trigger("'a' in customer.favorite_services").holds(known), bool)


def test_the_costliest_trigger_over_the_largest_facts_is_quick() -> None:
    """The longest text of the costliest operator, over as many facts as a request may hold."""
    term = "'b' in customer.favorite_services"
    text = "||".join([term] * ((MAX_LENGTH + 2) // (len(term) + 2)))
    services: list[JsonValue] = ["a"] * (16 * 1024 // 5)
    trigger = parse_trigger(text)
    known = known_facts({"customer": {"favorite_services": services}})

    started = time.process_time()
    assert not trigger.holds(known)
    # Measured: 0.0015 s. A hundred times as much allows for slow machines, and for no square.
    assert time.process_time() - started < 0.15


def test_every_kind_of_fact_is_in_the_vocabulary() -> None:
    """Each kind has at least one fact, so that each is exercised above."""
    assert set(VOCABULARY.values()) == set(Kind)
