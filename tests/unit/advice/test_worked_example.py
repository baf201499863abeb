"""The worked example of docs/learning.md, which must say what the code does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from keeper_grpc.domain.advice.ranking import Candidate, Requirements, Scored, context_line, rank
from keeper_grpc.domain.evidence.evidence import Share, boost
from keeper_grpc.domain.evidence.expectation import situate
from tests.unit.advice.test_situation_decides import RULE, candidate, dealt

PAGE = Path(__file__).parents[3] / "docs" / "learning.md"

MASSAGES = dealt("massage", 0, 16)
FACIALS = dealt("facial", 32, 32, owners=8)
ALL = MASSAGES | FACIALS

REQUIRED = Requirements(0.5, RULE)
ANY = Requirements(0.5, RULE, min_success_rate=0.0)


def related(fact: dict[str, Share]) -> Candidate:
    """The pattern, where nothing but one fact of the question is known."""
    known = candidate({}, ALL)
    return replace(known, situation=situate(ALL, {}, {"fact": fact}, RULE))


ASKED = {
    "massage on Monday": candidate(MASSAGES, FACIALS),
    "facial on Sunday": candidate(FACIALS, MASSAGES),
    "facial on Sunday, at a gym": candidate(FACIALS, MASSAGES, transfer=0.7),
    "massage on Friday": related(MASSAGES),
    "facial on Friday": related(FACIALS),
    "pedicure on Tuesday": candidate({}, ALL),
}

ROWS = {
    about.strip(): [cell.strip() for cell in cells.split("|")]
    for about, cells in re.findall(
        r"^\| (\w+ on \w+(?:, at a gym)?) \|(.*)\|$", PAGE.read_text(), re.MULTILINE
    )
}


def best(about: str, required: Requirements) -> Scored | None:
    """What is applied."""
    return rank([ASKED[about]], required).best


def test_the_page_has_the_example() -> None:
    """All of its rows are read."""
    assert list(ROWS) == list(ASKED)


@pytest.mark.parametrize("about", ROWS)
def test_the_worked_example_is_what_is_computed(about: str) -> None:
    """Basis, counts, rate, whether it is applied, and the confidence that it gives."""
    basis, counts, rate, at_least, applied, confidence = ROWS[about]
    scored = best(about, ANY)
    assert scored is not None
    expectation = scored.expectation
    assert basis == expectation.basis.name
    assert counts == f"{expectation.counted.successes} of {expectation.counted.trials}"
    assert rate == f"{scored.expected_success_rate:.0%}"
    assert at_least == f"{scored.lower_bound * scored.candidate.transfer:.0%}"
    judged = best(about, REQUIRED)
    assert applied == ("yes" if judged else "no")
    shown = boost(0.5, scored.expected_success_rate) if judged else 0.5
    assert confidence == f"{shown:.2f}"


def test_the_sentence_of_the_example_is_the_one_that_is_said() -> None:
    """The page quotes what a facial on Sunday is told."""
    scored = best("facial on Sunday", REQUIRED)
    assert scored is not None
    assert f"*{context_line(scored)}*" in PAGE.read_text()
