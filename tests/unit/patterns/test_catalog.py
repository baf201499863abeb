import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from keeper_grpc.catalog.load import CatalogInvalid, load_catalog, parse_catalog

TYPES = {
    "break_in_pattern": "churn_prevention",
    "high_value_at_risk": "churn_prevention",
    "morning_modifier_boost": "modifier_opportunity",
    "employee_coaching_needed": "modifier_opportunity",
    "negative_review_recovery": "review_response",
}

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def raw() -> dict[str, Any]:
    """The shipped catalog as plain JSON, to be broken by a test."""
    text = resources.files("keeper_grpc.catalog").joinpath("catalog.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def test_shipped_catalog_holds_the_five_patterns_of_the_source_design() -> None:
    """Each pattern has its type and is offered to every business category."""
    patterns = load_catalog().patterns

    assert {pattern.key: pattern.pattern_type for pattern in patterns} == TYPES
    assert all(set(p.business_categories) == {"spa", "salon", "gym"} for p in patterns)


def test_triggers_are_the_expressions_of_the_source_design() -> None:
    """The CEL texts that the source design names stand in the file unchanged."""
    triggers = {pattern.key: pattern.trigger for pattern in load_catalog().patterns}

    assert triggers == {
        "break_in_pattern": "customer.days_since_visit > customer.avg_frequency * 2",
        "high_value_at_risk": "customer.ltv > 1000 && customer.frequency_declining",
        "morning_modifier_boost": 'visit.time_of_day == "morning"',
        "employee_coaching_needed": "employee.modifier_rate < team_average * 0.5",
        "negative_review_recovery": "review.rating <= 2",
    }


def test_prior_keeps_its_rate_as_a_beta_distribution() -> None:
    """Successes and trials become pseudo-successes and pseudo-failures."""
    for pattern in load_catalog().patterns:
        prior = pattern.prior.as_prior()

        assert prior.successes == pattern.prior.successes
        assert prior.successes + prior.failures == pattern.prior.trials


def test_scripts_name_the_customer_or_employee_by_placeholder() -> None:
    """An authored script is a template, never addressed to a person."""
    for pattern in load_catalog().patterns:
        assert "{name}" in pattern.script or "{employee_name}" in pattern.script


@pytest.mark.parametrize("phrase", ["Swedish Massage", "Brazilian Wax", "Gold Package", "Balayage"])
def test_names_that_look_like_people_are_service_names(phrase: str) -> None:
    """The phrases that recognizers take for people and places are listed for protection."""
    names = load_catalog().service_names

    assert phrase in names
    assert len(names) >= 120


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda c: c.pop("version"), "version: "),
        (lambda c: c.update(version=0), "version: "),
        (lambda c: c.update(patterns=[]), "patterns: "),
        (lambda c: c.update(surplus=1), "surplus: "),
        (lambda c: c["patterns"].append(c["patterns"][0]), "repeated key: break_in_pattern"),
        (lambda c: c["patterns"][1].update(extra=1), "patterns.1.extra: "),
        (lambda c: c["patterns"][0].update(version="1"), "patterns.0.version: "),
        (lambda c: c["patterns"][0].update(key="Break In"), "patterns.0.key: "),
        (lambda c: c["patterns"][0].update(trigger=" "), "patterns.0.trigger: "),
        (lambda c: c["patterns"][0].update(action="Call.\nThen wait."), "patterns.0.action: "),
        (lambda c: c["patterns"][0].update(script="Hi {Name}"), "patterns.0.script: "),
        (lambda c: c["patterns"][0].update(script="Hi {name"), "patterns.0.script: "),
        (lambda c: c["patterns"][0].update(conditions={}), "patterns.0.conditions: "),
        (lambda c: c["patterns"][0].update(conditions={"a": [1]}), "patterns.0.conditions.a"),
        (
            lambda c: c["patterns"][0].update(business_categories=["spa", "spa"]),
            "patterns.0.business_categories: Value error, repeated: spa",
        ),
        (lambda c: c["patterns"][0].update(learned_from=0), "patterns.0.learned_from: "),
        (lambda c: c["patterns"][2]["prior"].update(successes=8), "patterns.2.prior: "),
        (lambda c: c["patterns"][2]["prior"].update(successes=0), "patterns.2.prior.successes: "),
        (lambda c: c["patterns"][2]["prior"].update(trials=500), "patterns.2.prior.trials: "),
        (lambda c: c["service_names"].append("BALAYAGE"), "service_names: "),
    ],
)
def test_a_broken_catalog_is_refused_with_the_place_of_the_fault(
    raw: dict[str, Any], edit: Edit, complaint: str
) -> None:
    """Whoever edits the file learns which entry is wrong."""
    edit(raw)

    with pytest.raises(CatalogInvalid) as caught:
        parse_catalog(json.dumps(raw))

    assert complaint in str(caught.value)


def test_every_fault_is_reported_at_once(raw: dict[str, Any]) -> None:
    """Two faults give two lines."""
    raw["version"] = -1
    raw["patterns"][0]["key"] = ""

    with pytest.raises(CatalogInvalid) as caught:
        parse_catalog(json.dumps(raw))

    assert len(str(caught.value).splitlines()) == 2


def test_text_that_is_not_json_is_refused() -> None:
    """A truncated file is told apart from an invalid entry."""
    with pytest.raises(CatalogInvalid, match="catalog: Invalid JSON"):
        parse_catalog('{"version": 1')
