from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.privacy.text.brackets import rounded

MASK = re.compile(r"\[[a-z][a-z0-9_]*\]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Offer [customer] a mask", "Offer [customer] a mask"),
        ("Call [VIP] guests", "Call (VIP) guests"),
        ("[[tea]] and [guest: cake]", "([tea]) and (guest: cake)"),
        ("Fixed, and tell us] if", "Fixed, and tell us if"),
        ("with [a photo", "with a photo"),
        ("add[on", "add on"),
        ("[employee_1]] waits", "[employee_1] waits"),
    ],
)
def test_brackets_are_for_masks(text: str, expected: str) -> None:
    """Others are round, and none is left without its partner."""
    assert rounded(text) == expected


@given(st.text(st.sampled_from("[]ab_1 A:"), max_size=20))
def test_no_bracket_is_left_over(text: str) -> None:
    """Whatever is written: what is square is a mask. A second time changes nothing."""
    once = rounded(text)
    assert not set("[]") & set(MASK.sub("", once))
    assert rounded(once) == once


@pytest.mark.parametrize("name", ["Ana [VIP]", "[Ana]", "Ana]", "[[Ana]]"])
def test_names_in_brackets_leave_none_behind(name: str) -> None:
    """Declared with them or without."""
    insight = Insight("", "review_response", "spa", {}, f"Call {name} and offer a facial", "", 0.5)
    action = Anonymizer.default().anonymize(insight, Identifiers((name,))).insight.action
    assert "Ana" not in action
    assert not set("[]") & set(MASK.sub("", action))
