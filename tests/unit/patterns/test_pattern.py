from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest

from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Neighbour, Pattern, Scope, Script, merge_target
from keeper_grpc.domain.patterns.similarity import Thresholds

THRESHOLD = 0.95
PLAIN = Thresholds(merge=THRESHOLD, cluster=0.85, retrieval=0.4)
RULE = PublicationRule(3)
ACTION = "Raise the price of Saturday massages"


def neighbour(
    number: int, similarity: float, action: str = ACTION, action_similarity: float = 0.0
) -> Neighbour:
    """A pattern at these cosines; its action is the observation's unless another is given."""
    return Neighbour(UUID(int=number), action, similarity, action_similarity)


def script(template: str, successes: int, accounts: int = 3, *, authored: bool = False) -> Script:
    """A script that `accounts` accounts used ten times each."""
    seen = Evidence(10 * accounts, successes, accounts)
    return Script(template, seen, authored)


def pattern(*scripts: Script) -> Pattern:
    """A pattern with these scripts."""
    return Pattern(
        pattern_id=UUID(int=1),
        scope=Scope("pricing", "spa", "model"),
        conditions={},
        action=ACTION,
        evidence=Evidence(30, 20, 3),
        scripts=scripts,
        first_discovered=datetime(2026, 1, 1, tzinfo=UTC),
        last_validated=None,
        prior=Prior(),
    )


@pytest.mark.parametrize(
    ("similarity", "merges"),
    [(np.nextafter(THRESHOLD, 1), True), (THRESHOLD, True), (np.nextafter(THRESHOLD, 0), False)],
)
def test_the_merge_turns_exactly_at_the_threshold(similarity: float, merges: bool) -> None:
    """At or above it merges, the next smaller number does not."""
    near = neighbour(1, similarity)
    assert merge_target(ACTION, [near], PLAIN) == (near if merges else None)


def test_the_nearest_compatible_neighbour_wins() -> None:
    """Of several that are near enough, the first one takes the observation."""
    near, also_near = neighbour(1, 0.99), neighbour(2, 0.98)
    assert merge_target(ACTION, [near, also_near], PLAIN) is near


def test_an_opposite_is_passed_over_for_the_next() -> None:
    """A nearer pattern that says the opposite does not take it, and does not hide the right one."""
    opposite = neighbour(1, 0.99, "Lower the price of Saturday massages")
    right = neighbour(2, 0.96)
    assert merge_target(ACTION, [opposite, right], PLAIN) is right


def test_an_opposite_alone_starts_a_new_pattern() -> None:
    """Neither an opposite nor a compatible one below the threshold is a target."""
    opposite = neighbour(1, 1.0, "Lower the price of Saturday massages")
    assert merge_target(ACTION, [opposite], PLAIN) is None
    assert merge_target(ACTION, [opposite, neighbour(2, 0.94)], PLAIN) is None
    assert merge_target(ACTION, [], PLAIN) is None


REWORDED = Thresholds(
    merge=0.95, cluster=0.8, retrieval=0.4, reworded_sentence=0.7, reworded_action=0.6
)


@pytest.mark.parametrize(
    ("sentence", "action", "merges"),
    [
        (0.70, 0.60, True),
        (0.95, 0.00, True),
        (np.nextafter(0.70, 0), 0.99, False),
        (0.94, np.nextafter(0.60, 0), False),
    ],
)
def test_a_rewording_needs_both_its_similarities(
    sentence: float, action: float, merges: bool
) -> None:
    """A model that is calibrated for it merges when sentence and action are both near enough."""
    near = neighbour(1, sentence, ACTION, action)
    assert (merge_target(ACTION, [near], REWORDED) is near) is merges


def test_a_rewording_behind_another_action_is_found() -> None:
    """The nearest sentence may be another action in the same situation."""
    other = neighbour(1, 0.94, "Call the guest", 0.3)
    reworded = neighbour(2, 0.8, ACTION, 0.7)
    assert merge_target(ACTION, [other, reworded], REWORDED) is reworded
    opposite = neighbour(1, 0.94, "Lower the price of Saturday massages", 0.9)
    assert merge_target(ACTION, [opposite, reworded], REWORDED) is reworded


def test_without_calibration_the_rewording_rule_is_off() -> None:
    """Thresholds of 1.0 leave it out, even for an equal action."""
    assert merge_target(ACTION, [neighbour(1, 0.94, ACTION, 1.0)], PLAIN) is None


def test_the_proven_script_has_the_best_lower_bound_not_the_best_rate() -> None:
    """27 of 30 by three accounts beats 100% of a script that fewer accounts used."""
    sure, lucky = script("sure", 90, accounts=10), script("lucky", 28, accounts=3)
    assert pattern(lucky, sure).proven_script(RULE) == "sure"


def test_a_script_of_few_accounts_is_never_shown() -> None:
    """Two accounts' wording stays theirs, however well it works."""
    assert pattern(script("theirs", 20, accounts=2)).proven_script(RULE) == ""


def test_an_authored_script_stands_in_until_one_is_proven() -> None:
    """The catalog's words are nobody's, so they need no accounts; proven ones go first."""
    authored = script("from the catalog", 0, accounts=0, authored=True)
    assert pattern(authored, script("theirs", 20, 2)).proven_script(RULE) == "from the catalog"
    assert pattern(authored, script("proven", 20, 3)).proven_script(RULE) == "proven"


def test_equal_scripts_are_told_apart_the_same_way_every_time() -> None:
    """A tie goes to the text that sorts first, in either order."""
    one, other = script("a", 20), script("b", 20)
    assert pattern(one, other).proven_script(RULE) == pattern(other, one).proven_script(RULE) == "a"


def test_an_empty_template_is_no_script() -> None:
    """A script that the anonymizer emptied is never the proven one."""
    assert pattern(script("", 30)).proven_script(RULE) == ""
