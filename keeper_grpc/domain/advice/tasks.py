"""What an insight asks of people: a task.

A task speaks in the network's words where the network gave advice that may still be shown, and in
the account's own (anonymized) words elsewhere. A task that comes from an insight carries the
anonymized text too: it goes on to systems that the anonymizer cannot see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.evidence.expectation import Basis
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import AnonymizedInsight, JsonValue
from keeper_grpc.domain.patterns.pattern import Pattern

NETWORK_VALIDATED = "Network Validated"
"""The source design's label for a task that rests on other accounts' outcomes."""

AUTHORED_UNTESTED = "Authored, Untested"
"""The label of a task that rests on an author's word alone."""

DUE = {
    "review_response": timedelta(days=1),
    "churn_prevention": timedelta(days=2),
    "modifier_opportunity": timedelta(days=7),
}
"""Time to act, by pattern type. A review is read while it is new; a guest who drifts away is lost
within the week; an offer to add to a visit can wait for the next staff meeting."""

DUE_BY_DEFAULT = timedelta(days=3)
"""Time to act for every other type: types are open, and few things keep longer."""

TITLE_LENGTH = 80
"""Characters. What task lists show in one line."""

_PLACEHOLDER = re.compile(r"\{[^{}\s]+\}")
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[\n;]")


@dataclass(frozen=True, slots=True)
class Task:
    """Something for people to do. `success_probability` is in [0, 1]; empty texts mean none."""

    title: str
    steps: tuple[str, ...]
    due_time: datetime
    confidence_label: str
    success_probability: float
    script: str
    script_note: str


def task_of_advice(given: HandedOut, rule: PublicationRule, now: datetime) -> Task:
    """The task that an enhancement asks for; a plain one where there was no advice.

    A pattern that has lost so much support that it may not be shown any more counts as none, and so does one that
    turned out to be harmful.
    """
    report = f"Record the outcome with ReportOutcome, enhancement_id {given.enhancement_id}"
    known = given.pattern
    if given.authored and known is not None and known.authored and known.applies:
        return _authored_task(given, known, now, report)
    if known is None or known.withheld(rule) or known.crossed:
        return _task(given.insight, given.insight.confidence, now, report)
    script = given.script if known.may_hand_out(given.script, rule) else ""
    return Task(
        title=_title(known.action, given.insight.type),
        steps=_steps(given.insight.conditions, known.action, script, report),
        due_time=_due(given.insight.type, now),
        confidence_label=NETWORK_VALIDATED,
        success_probability=given.expected_success_rate,
        script=script,
        script_note=_script_note(given, known, script, rule),
    )


def _authored_task(given: HandedOut, known: Pattern, now: datetime, report: str) -> Task:
    """What an author advised: the success rate is the insight's own, since nothing here bears out another."""
    authored = {script.template for script in known.scripts if script.authored}
    script = given.script if given.script in authored else ""
    return Task(
        title=_title(known.action, given.insight.type),
        steps=_steps(given.insight.conditions, known.action, script, report, tried=False),
        due_time=_due(given.insight.type, now),
        confidence_label=AUTHORED_UNTESTED,
        success_probability=given.insight.confidence,
        script=script,
        script_note="",
    )


def task_of_insight(insight: AnonymizedInsight, now: datetime) -> Task:
    """The plain task that an insight asks for by itself."""
    return _task(
        insight,
        insight.confidence,
        now,
        "Record the outcome with CapturePattern, with this insight",
    )


def _task(insight: AnonymizedInsight, probability: float, now: datetime, report: str) -> Task:
    return Task(
        title=_title(insight.action, insight.type),
        steps=_steps(insight.conditions, insight.action, insight.script, report),
        due_time=_due(insight.type, now),
        confidence_label="",
        success_probability=probability,
        script=insight.script,
        script_note="",
    )


def _due(pattern_type: str, now: datetime) -> datetime:
    return now + DUE.get(pattern_type, DUE_BY_DEFAULT)


def _title(action: str, pattern_type: str) -> str:
    """The action's first sentence in one line; what the insight is about, where there is no action."""
    if not action:
        return f"Follow up: {pattern_type.replace('_', ' ')}"
    sentence = _SENTENCE_END.split(action.strip(), maxsplit=1)[0]
    line = " ".join(sentence.split()).rstrip(".!?")
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[: TITLE_LENGTH - 1]
    return (cut.rpartition(" ")[0] or cut) + "…"


def _steps(
    conditions: Mapping[str, JsonValue],
    action: str,
    script: str,
    report: str,
    *,
    tried: bool = True,
) -> tuple[str, ...]:
    """Check, do, say, record: each only where there is something to it. An untried script has no rate to keep."""
    steps = []
    if conditions:
        subjects = ", ".join(key.replace("_", " ") for key in sorted(conditions))
        steps.append(f"Check that this still applies: {subjects}")
    steps.append(action or "Decide what to do about it, and do it")
    if script:
        placeholders = tuple(dict.fromkeys(_PLACEHOLDER.findall(script)))
        if placeholders:
            steps.append(f"Fill in {', '.join(placeholders)} in the script")
        if tried:
            steps.append("Use the script as it is worded: its success rate is that of these words")
        else:
            steps.append("Use the script of the author; nobody here has tried it")
    steps.append(report)
    return tuple(steps)


def _script_note(given: HandedOut, known: Pattern, script: str, rule: PublicationRule) -> str:
    """What may be expected of the words; an authored script that nobody has tried has no note.

    Says the rate of the advice, and what it was made of where that is not the situation: two rates for one thing to do, of which one would not be of the account's
    situation, would contradict each other.
    """
    for tried in known.scripts:
        if script and tried.template == script and not rule.withheld(tried.evidence):
            made_of = _MADE_OF[given.basis] if given.basis else ""
            return f"This script works {given.expected_success_rate:.0%} of the time{made_of}"
    return ""


_MADE_OF = {
    Basis.SITUATION: "",
    Basis.ADJUSTED: ", adjusted to this situation",
    Basis.PATTERN: ", in all situations together",
}
