from __future__ import annotations

import pytest

from keeper_grpc.domain.accounts.words import context_of
from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer


def context(action: str, script: str = "") -> str | None:
    """The context of an insight as the anonymizer leaves it."""
    anonymizer = Anonymizer.default(hash_word=lambda word: f"key:{word[::-1]}")
    insight = Insight("", "churn_prevention", "spa", {}, action, script, 0.5)
    return context_of(anonymizer.anonymize(insight, Identifiers()))


@pytest.mark.parametrize(
    ("action", "script", "expected"),
    [
        ("Offer a glowzilla soak to the guest", "", "offer a [other] soak to"),
        ("glowzilla soaks for everyone", "", "[other] soaks for"),
        ("Offer a soak", "Hi {name}, try glowzilla", "{name} try [other]"),
        ("Offer a glowzilla frostomax soak", "", None),
        ("Offer a glowzilla soak", "Try glowzilla", None),
        ("Offer a soak", "", None),
    ],
)
def test_a_context_belongs_to_one_word_for_certain(
    action: str, script: str, expected: str | None
) -> None:
    """Masked as it is, two words on each side; none where a hash could stand in several places."""
    assert context(action, script) == expected
