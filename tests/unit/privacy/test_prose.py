"""Ordinary prose of the trade passes untouched, and the names that look like it do not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer

HISTORY = Path(__file__).parents[3] / "examples" / "history.jsonl"
UNDECLARED = re.compile(r"\[(person|other)")
ANA = Identifiers(customer_names=("Ana Ruiz",), employee_names=("Bo Chen",))


@pytest.fixture(scope="module")
def anonymizer() -> Anonymizer:
    """The anonymizer as the service has it, with the catalog's service names."""
    return Anonymizer.default(load_catalog().service_names)


def masked(anonymizer: Anonymizer, text: str, identifiers: Identifiers | None = None) -> str:
    """What becomes of an action."""
    insight = Insight("", "churn_prevention", "spa", {}, text, "", 0.5)
    return anonymizer.anonymize(insight, identifiers or Identifiers()).insight.action


@pytest.mark.parametrize(
    "text",
    [
        "Ring guests who broke their rhythm",
        "Ask guests at check-in about aromatherapy",
        "Ask lapsed clients for a review",
        "Call members with a card on file",
        "Come and try it",
        "Mark a place on the waitlist for them",
        "Life got busy? We kept your slot.",
        "You can add it with one click",
        "You asked for a quiet room, and we have one.",
        "Can You come on Friday?",
        "How is the plan going?",
        "May I keep it for you?",
        "Can't make it? If you can't come, we won't charge you.",
        "Someone on the waitlist will be glad",
    ],
)
def test_sentences_that_open_with_a_word_keep_it(anonymizer: Anonymizer, text: str) -> None:
    """Imperatives and questions are how actions and scripts are written."""
    assert masked(anonymizer, text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lower the price and tell Ana Ruiz first", "Lower the price and tell [customer] first"),
        ("Good news, Ana. Saturday is free", "Good news, [customer]. Saturday is free"),
        ("Hi Ana, late bookings cost a fee", "Hi [customer], late bookings cost a fee"),
        ("Ana, I'm sorry about the color", "[customer], I'm sorry about the color"),
        ("Let Bo walk you through it", "Let [employee_1] walk you through it"),
        ("See you with Bo. Reply C to confirm", "See you with [employee_1]. Reply C to confirm"),
        ("Spoke to Xiomara. Monday is fine", "Spoke to [person]. Monday is fine"),
    ],
)
def test_what_follows_a_person_stays(anonymizer: Anonymizer, text: str, expected: str) -> None:
    """The next word of the sentence, and the first of the next one, are no surname."""
    assert masked(anonymizer, text, ANA) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Rose called about her card", "Rose"),
        ("Mark wants a refund", "Mark"),
        ("Cook and Banks called", "Cook"),
        ("Young said the room was cold", "Young"),
        ("Jane You said the room was cold", "You"),
        ("Mr. You said the room was cold", "You"),
        ("J. You called", "You"),
        ("May booked twice", "May"),
        ("give Hope a call back", "Hope"),
        ("Spoke to Xiomara. Young asked for a refund", "Young"),
        ("Ana Stone rebooked", "Stone"),
        ("ana stone rebooked", "stone"),
        ("Ana D. Stone rebooked", "Stone"),
        ("invite Ana, Stone and the rest", "Stone"),
        ("Have Ana Stone ring her", "Stone"),
        ("Sun A called", "Sun"),
    ],
)
@pytest.mark.parametrize("identifiers", [Identifiers(), Identifiers(customer_names=("Ana",))])
def test_names_in_the_same_places_do_not(
    anonymizer: Anonymizer, text: str, name: str, identifiers: Identifiers
) -> None:
    """What prose gained, names did not: at a sentence's start, after a person, before an `a`."""
    assert name not in masked(anonymizer, text, identifiers)


def test_the_example_history_loses_nothing_that_nobody_declared(anonymizer: Anonymizer) -> None:
    """In 480 actions and scripts whose people are all declared, no other word is taken for one."""
    lost = []
    for line in HISTORY.read_text("utf-8").splitlines():
        row = json.loads(line)
        declared = Identifiers(**{kind: tuple(names) for kind, names in row["identifiers"].items()})
        for field in ("action", "script"):
            kept = masked(anonymizer, row["insight"].get(field, ""), declared)
            if UNDECLARED.search(kept):
                lost.append(kept)
    assert lost == []
