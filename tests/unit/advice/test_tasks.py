from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.advice.tasks import (
    DUE,
    DUE_BY_DEFAULT,
    TITLE_LENGTH,
    task_of_advice,
    task_of_insight,
)
from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.expectation import Basis
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import AnonymizedInsight
from keeper_grpc.domain.patterns.pattern import Pattern, Scope, Script

NOW = datetime(2025, 6, 2, 9, tzinfo=UTC)
RULE = PublicationRule(3)
ID = UUID(int=7)
SCRIPT = "Hi {name}, may I hold {day} for you, {name}?"
SHOWN = Evidence(trials=15, successes=13, accounts=5)


def insight(action: str = "Call the guest", **fields: object) -> AnonymizedInsight:
    """An anonymized insight about churn."""
    values: dict[str, object] = {
        "type": "churn_prevention",
        "business_category": "spa",
        "conditions": {"days_since_visit": 60, "churn_risk": "high"},
        "action": action,
        "script": "",
        "confidence": 0.4,
        "dollar_value": 0.0,
        "potential_value": 0.0,
    }
    return AnonymizedInsight(**{**values, **fields})  # type: ignore[arg-type]  # the fields above


def pattern(evidence: Evidence = SHOWN, *scripts: Script) -> Pattern:
    """A pattern that says to offer an appointment."""
    return Pattern(
        pattern_id=UUID(int=1),
        scope=Scope("churn_prevention", "spa", "m"),
        conditions={},
        action="Offer an appointment. Do it by phone.",
        evidence=evidence,
        scripts=scripts,
        first_discovered=NOW,
        last_validated=None,
        prior=Prior(),
    )


def handed_out(
    known: Pattern | None, script: str = "", basis: Basis | None = Basis.SITUATION
) -> HandedOut:
    """An enhancement with this pattern."""
    return HandedOut(
        enhancement_id=ID,
        scope=Scope("churn_prevention", "spa", "m"),
        insight=insight(),
        pattern=known,
        similarity=0.9,
        expected_success_rate=0.83,
        script=script,
        created_at=NOW,
        basis=basis,
    )


def test_advice_becomes_a_task_with_label_probability_script_and_note() -> None:
    """Check, do, fill in, say, record: in this order."""
    known = pattern(SHOWN, Script(SCRIPT, SHOWN))
    task = task_of_advice(handed_out(known, SCRIPT), RULE, NOW)
    assert task.title == "Offer an appointment"
    assert task.steps == (
        "Check that this still applies: churn risk, days since visit",
        "Offer an appointment. Do it by phone.",
        "Fill in {name}, {day} in the script",
        "Use the script as it is worded: its success rate is that of these words",
        f"Record the outcome with ReportOutcome, enhancement_id {ID}",
    )
    assert task.confidence_label == "Network Validated"
    assert task.success_probability == 0.83
    assert task.script == SCRIPT
    assert task.script_note == "This script works 83% of the time"


@pytest.mark.parametrize(
    ("basis", "said"),
    [
        (Basis.SITUATION, "This script works 83% of the time"),
        (Basis.ADJUSTED, "This script works 83% of the time, adjusted to this situation"),
        (Basis.PATTERN, "This script works 83% of the time, in all situations together"),
        (None, "This script works 83% of the time"),
    ],
)
def test_the_note_says_what_its_rate_was_made_of(basis: Basis | None, said: str) -> None:
    """Where it was the situation alone there is nothing to add."""
    known = pattern(SHOWN, Script(SCRIPT, SHOWN))
    assert task_of_advice(handed_out(known, SCRIPT, basis), RULE, NOW).script_note == said


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        (Script(SCRIPT, Evidence(), authored=True), SCRIPT),
        (Script(SCRIPT, Evidence(trials=5, successes=5, accounts=2)), ""),
        (Script("Other words", SHOWN), ""),
    ],
)
def test_words_without_evidence_to_show_have_no_note(script: Script, shown: str) -> None:
    """An authored script that has not been tried is shown; one that lost its accounts no longer is."""
    task = task_of_advice(handed_out(pattern(SHOWN, script), SCRIPT), RULE, NOW)
    assert task.script == shown
    assert task.script_note == ""


@pytest.mark.parametrize(
    "known",
    [None, pattern(Evidence(trials=9, successes=9, accounts=2))],
)
def test_without_a_pattern_to_show_the_task_is_the_accounts_own(known: Pattern | None) -> None:
    """No label, no script, the engine's own confidence; its outcome can still be reported."""
    task = task_of_advice(handed_out(known, SCRIPT), RULE, NOW)
    assert task.title == "Call the guest"
    assert (task.confidence_label, task.script, task.script_note) == ("", "", "")
    assert task.success_probability == 0.4
    assert str(ID) in task.steps[-1]


def test_an_insight_becomes_a_task_with_its_own_script() -> None:
    """Nothing is claimed of its words, and its outcome is captured."""
    task = task_of_insight(insight(script="Hi {name}"), NOW)
    assert task.script == "Hi {name}"
    assert (task.confidence_label, task.script_note) == ("", "")
    assert "Fill in {name} in the script" in task.steps
    assert "CapturePattern" in task.steps[-1]


@pytest.mark.parametrize("pattern_type", [*DUE, "something_new"])
def test_the_type_says_how_urgent_it_is(pattern_type: str) -> None:
    """By the table, else the default."""
    task = task_of_insight(insight(type=pattern_type), NOW)
    assert task.due_time == NOW + DUE.get(pattern_type, DUE_BY_DEFAULT)
    assert task.due_time > NOW + timedelta(hours=1)


def test_an_insight_without_action_is_to_be_followed_up() -> None:
    """A title and a step there always are."""
    task = task_of_insight(insight("", conditions={}), NOW)
    assert task.title == "Follow up: churn prevention"
    assert len(task.steps) == 2


@given(st.text(min_size=1))
def test_a_title_is_one_short_line(action: str) -> None:
    """Whatever the action is."""
    title = task_of_insight(insight(action), NOW).title
    assert len(title) <= TITLE_LENGTH
    assert len(title.splitlines()) <= 1


def test_a_long_action_is_cut_between_words() -> None:
    """An ellipsis says that there is more; the step has all of it."""
    action = "Invite the guest to the " + "very " * 20 + "quiet evening"
    task = task_of_insight(insight(action), NOW)
    assert task.title.endswith(" very…")
    assert action in task.steps
