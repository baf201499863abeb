import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keeper_grpc.catalog.load import (
    CatalogClaims,
    CatalogInvalid,
    catalog_text,
    load_catalog,
    parse_catalog,
)
from keeper_grpc.domain.evidence.evidence import Prior
from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.domain.patterns.claim import CLAIM_WEIGHT, Claim
from keeper_grpc.privacy.anonymizer import Anonymizer

TYPES = {
    "break_in_pattern": "churn_prevention",
    "high_value_at_risk": "churn_prevention",
    "morning_modifier_boost": "modifier_opportunity",
    "employee_coaching_needed": "modifier_opportunity",
    "negative_review_recovery": "review_response",
}

Edit = Callable[[dict[str, Any]], object]


def claimed(**figures: Any) -> Edit:
    """Let the first pattern's author claim these figures."""
    return lambda catalog: catalog["patterns"][0]["claims"].update(figures)


@pytest.fixture
def raw() -> dict[str, Any]:
    """The shipped catalog as plain JSON, to be broken by a test."""
    document: dict[str, Any] = json.loads(catalog_text())
    document["patterns"].sort(key=lambda pattern: pattern["key"] != "break_in_pattern")
    return document


def test_shipped_catalog_holds_the_five_patterns_of_the_source_design() -> None:
    """Each has its type and is offered to every business category."""
    patterns = {pattern.key: pattern for pattern in load_catalog().patterns}

    assert {key: patterns[key].pattern_type for key in TYPES} == TYPES
    assert all(set(patterns[key].business_categories) == {"spa", "salon", "gym"} for key in TYPES)


def test_every_type_that_examples_and_docs_name_has_a_pattern() -> None:
    """A fresh server has something to say about each."""
    assert {pattern.pattern_type for pattern in load_catalog().patterns} >= {
        *TYPES.values(),
        *("birthday", "gift_cards", "late_arrival", "membership_renewal", "membership_upgrade"),
        *("no_show_reduction", "off_peak", "package_expiry", "pricing", "rebooking", "referral"),
        *("retail", "review_request", "second_visit", "service_demand", "upsell_opportunity"),
        *("waitlist", "win_back"),
    }


def test_sample_knowledge_claims_little_and_says_that_it_is_an_estimate() -> None:
    """Authors claim too much: what nobody has measured claims no business, and 55% at most."""
    for pattern in load_catalog().patterns:
        if pattern.key not in TYPES:
            assert pattern.reason.startswith("Our estimate: ")
            assert pattern.claims == CatalogClaims(success_rate=pattern.claims.success_rate)
            assert 0.2 <= (pattern.claims.success_rate or 0) <= 0.55


def test_every_pattern_has_scripts_in_different_tones_and_a_guardrail() -> None:
    """Two or three, of which each is another text."""
    for pattern in load_catalog().patterns:
        assert 2 <= len({script.text for script in pattern.scripts}) == len(pattern.scripts) <= 3
        assert pattern.guardrails


def test_the_catalog_is_the_table_of_the_source_design() -> None:
    """Triggers, figures and follow-ups are the table's, no more and no less, for each pattern."""
    patterns = {pattern.key: pattern for pattern in load_catalog().patterns if pattern.key in TYPES}

    assert {key: pattern.trigger.split(" unless ")[0] for key, pattern in patterns.items()} == {
        "break_in_pattern": "customer.days_since_visit > customer.avg_frequency * 2",
        "high_value_at_risk": "customer.ltv > 1000 && customer.frequency_declining",
        "morning_modifier_boost": (
            "appointments.morning_modifier_rate > 0 && "
            "appointments.morning_modifier_rate >= appointments.afternoon_modifier_rate * 2.999"
        ),
        "employee_coaching_needed": "employee.modifier_rate < team_average * 0.5",
        "negative_review_recovery": "review.rating <= 2",
    }
    claims = {
        key: replace(pattern.claim(), reason="", guardrails=()) for key, pattern in patterns.items()
    }
    assert claims == {
        "break_in_pattern": Claim(success_rate=0.67, learned_from=47),
        "high_value_at_risk": Claim(success_rate=0.78, learned_from=23),
        "morning_modifier_boost": Claim(monthly_revenue_dollars=1800, adoption_rate=0.84),
        "employee_coaching_needed": Claim(
            success_rate=0.72, improvement_factor=2.3, improvement_days=30
        ),
        "negative_review_recovery": Claim(
            follow_up_action="Offer the reviewer a complimentary service",
            success_rate=0.61,
            rating_improvement=2.3,
        ),
    }


@pytest.mark.parametrize(
    ("key", "in_action", "in_script"),
    [
        (
            "break_in_pattern",
            ["personal reminder", "20% discount", "favorite service"],
            ["{favorite_service}", "20% off"],
        ),
        ("high_value_at_risk", ["owner calls", "personally"], ["the owner of", "call you myself"]),
        (
            "morning_modifier_boost",
            ["pre-sell modifiers at booking", "afternoon", "booking confirmation"],
            ["is booked", "{modifier}"],
        ),
        (
            "employee_coaching_needed",
            ["pair", "top performer", "three shifts"],
            ["next three shifts", "{mentor_name}"],
        ),
        (
            "negative_review_recovery",
            ["owner thanks", "introduces", "talk directly", "e-mail or phone"],
            ["thank you", "I am {owner_name}", "talk with you directly", "write", "call"],
        ),
    ],
)
def test_actions_and_scripts_say_what_the_table_says(
    key: str, in_action: list[str], in_script: list[str]
) -> None:
    """The wording is ours; each part of the table's approach is in it."""
    (pattern,) = (pattern for pattern in load_catalog().patterns if pattern.key == key)

    assert [part for part in in_action if part not in pattern.action.lower()] == []
    assert [part for part in in_script if part not in pattern.scripts[0].text] == []


def test_a_prior_is_the_claimed_rate_at_a_small_weight() -> None:
    """Five real outcomes weigh as much as a claim; without a rate the prior claims nothing."""
    for pattern in load_catalog().patterns:
        rate, prior = pattern.claims.success_rate, pattern.claim().prior()

        if rate is None:
            assert pattern.key == "morning_modifier_boost"
            assert prior == Prior()
        else:
            assert prior.successes + prior.failures == CLAIM_WEIGHT == 5
            assert prior.successes / CLAIM_WEIGHT == pytest.approx(rate)


def test_the_anonymizer_leaves_the_catalogs_words_alone() -> None:
    """An account that does what the catalog says, in its words, says the same after anonymization."""
    catalog = load_catalog()
    anonymizer = Anonymizer.default(catalog.service_names)
    for pattern, script in [(one, script) for one in catalog.patterns for script in one.scripts]:
        insight = Insight(
            insight_id="",
            type=pattern.pattern_type,
            business_category="spa",
            conditions=pattern.conditions,
            action=pattern.action,
            script=script.text,
            confidence=0.5,
        )
        said = anonymizer.anonymize(insight, Identifiers()).insight

        assert (said.conditions, said.action, said.script) == (
            pattern.conditions,
            pattern.action,
            script.text,
        )


def test_scripts_name_the_customer_or_employee_by_placeholder() -> None:
    """An authored script is a template, never addressed to a person."""
    for pattern in load_catalog().patterns:
        for script in pattern.scripts:
            assert "{name}" in script.text or "{employee_name}" in script.text


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
        (
            lambda c: c["patterns"][0].update(scripts=[{"tone": "warm", "text": "Hi {Name}"}]),
            "patterns.0.scripts.0.text: ",
        ),
        (
            lambda c: c["patterns"][0].update(scripts=[{"tone": "warm", "text": "Hi {name"}]),
            "patterns.0.scripts.0.text: ",
        ),
        (lambda c: c["patterns"][0].update(scripts=[]), "patterns.0.scripts: "),
        (
            lambda c: c["patterns"][0]["scripts"].append(c["patterns"][0]["scripts"][0]),
            "repeated tone",
        ),
        (lambda c: c["patterns"][0].update(reason=""), "patterns.0.reason: "),
        (lambda c: c["patterns"][0].update(conditions={}), "patterns.0.conditions: "),
        (lambda c: c["patterns"][0].update(conditions={"a": [1]}), "patterns.0.conditions.a"),
        (
            lambda c: c["patterns"][0].update(business_categories=["spa", "spa"]),
            "patterns.0.business_categories: Value error, repeated: spa",
        ),
        (claimed(learned_from=0), "patterns.0.claims.learned_from: "),
        (claimed(success_rate=1), "patterns.0.claims.success_rate: "),
        (claimed(success_rate=67), "patterns.0.claims.success_rate: "),
        (claimed(adoption_rate=0), "patterns.0.claims.adoption_rate: "),
        (claimed(rating_improvement=5), "patterns.0.claims.rating_improvement: "),
        (claimed(improvement={"factor": 2}), "patterns.0.claims.improvement.days: "),
        (lambda c: c["patterns"][0].update(action_since=4), "action_since must not be above"),
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
