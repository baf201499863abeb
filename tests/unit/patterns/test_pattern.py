from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest

from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.lifts import Lift
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import Neighbour, Pattern, Scope, Script, merge_target

THRESHOLD = 0.95
PLAIN = Thresholds(merge=THRESHOLD, cluster=0.85, retrieval=0.4)
RULE = PublicationRule(3)
ACTION = "Raise the price of Saturday massages"


def neighbour(
    number: int, similarity: float, action: str = ACTION, action_similarity: float = 1.0
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


def test_the_most_similar_action_wins_in_any_order() -> None:
    """The nearest sentence does not take an observation from the pattern of its action."""
    same_situation, same_action = neighbour(1, 0.99, ACTION, 0.9), neighbour(2, 0.96, ACTION, 0.95)
    assert merge_target(ACTION, [same_situation, same_action], PLAIN) is same_action
    assert merge_target(ACTION, [same_action, same_situation], PLAIN) is same_action


def test_of_equally_similar_actions_the_nearest_sentence_wins() -> None:
    """Two patterns of one action in two situations are told apart by the situation."""
    near, also_near = neighbour(1, 0.99), neighbour(2, 0.98)
    assert merge_target(ACTION, [also_near, near], PLAIN) is near


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


FLOORS = Thresholds(
    merge=0.9,
    cluster=0.7,
    sentence=0.7,
    retrieval=0.4,
    action=0.6,
    action_unlike=0.8,
    action_shared=0.4,
    action_terse=0.2,
)


@pytest.mark.parametrize(
    ("one", "other", "floor"),
    [
        ("Recommend a robe", "Suggest some slippers", FLOORS.action_unlike),
        ("Apologize", "Reply", FLOORS.action),
        ("Text the guest a booking link", "Send a link for booking by SMS", FLOORS.action_shared),
        (
            "Trial month",
            "Let the guest try the higher membership for a month",
            FLOORS.action_terse,
        ),
    ],
)
def test_every_merge_needs_a_similar_action(one: str, other: str, floor: float) -> None:
    """The more the words of two actions agree, the less the model has to; below, nothing merges."""
    assert merge_target(one, [neighbour(1, 1.0, other, floor)], FLOORS) is not None
    assert (
        merge_target(one, [neighbour(1, 1.0, other, float(np.nextafter(floor, 0)))], FLOORS) is None
    )
    assert merge_target(one, [neighbour(1, 0.69, other, 1.0)], FLOORS) is None


def test_a_substituted_word_keeps_apart_what_a_model_finds_equal() -> None:
    """One product in the place of another is another action at any cosine."""
    shampoo, conditioner = "Recommend the shampoo for curls", "Recommend the conditioner for curls"
    assert merge_target(shampoo, [neighbour(1, 1.0, conditioner, 1.0)], FLOORS) is None


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
    assert pattern(authored, script("proven", 25, 3)).proven_script(RULE) == "proven"


def test_an_authored_script_yields_only_to_more_than_its_author_claims() -> None:
    """By lower bound: three accounts' nine successes do not outdo a claim of 87%; many do."""
    authored = script("from the catalog", 0, accounts=0, authored=True)
    claimed = replace(pattern(), prior=Claim(success_rate=0.87).prior())

    def against(successes: int, trials: int) -> str:
        other = Script("theirs", Evidence(trials, successes, 3))
        return replace(claimed, scripts=(authored, other)).proven_script(RULE)

    assert against(9, 9) == "from the catalog"
    assert against(60, 70) == "from the catalog"
    assert against(200, 201) == "theirs"


def test_an_authored_script_is_held_to_its_own_outcomes_too() -> None:
    """Where k accounts have used it, what came of it counts beside the claim."""
    theirs = Script("theirs", Evidence(60, 45, 3))
    for own, proven in ((50, "from the catalog"), (10, "theirs")):
        authored = Script("from the catalog", Evidence(60, own, 3), authored=True)
        known = replace(pattern(authored, theirs), prior=Claim(success_rate=0.87).prior())
        assert known.proven_script(RULE) == proven


def test_equal_scripts_are_told_apart_the_same_way_every_time() -> None:
    """A tie goes to the text that sorts first, in either order."""
    one, other = script("a", 20), script("b", 20)
    assert pattern(one, other).proven_script(RULE) == pattern(other, one).proven_script(RULE) == "a"


def test_an_empty_template_is_no_script() -> None:
    """A script that the anonymizer emptied is never the proven one."""
    assert pattern(script("", 30)).proven_script(RULE) == ""


def test_two_unknown_products_are_not_one_pattern() -> None:
    """Both read `[other] [other]`, which is as similar as can be."""
    masked = "Offer [other] [other]"
    near = replace(neighbour(1, 1.0), action=masked)
    assert merge_target(masked, [near], PLAIN) is None


LIKELY, UNLIKELY = Lift(0.4, 0.1), Lift(-0.4, 0.1)


def lifted(one: Script, lift: Lift) -> Script:
    """The script with what was learned elsewhere."""
    return replace(one, lift=lift)


def test_what_did_well_elsewhere_is_proven_where_outcomes_say_little() -> None:
    """Without lifts the better record is; many outcomes of its own outweigh any lift."""
    one, other = script("one", 16), script("other", 15)
    assert pattern(one, other).proven_script(RULE) == "one"
    learned = pattern(lifted(one, UNLIKELY), lifted(other, LIKELY))
    assert learned.proven_script(RULE) == "other"
    much = replace(one, evidence=Evidence(3_000, 2_400, 30))
    assert pattern(lifted(much, UNLIKELY), lifted(other, LIKELY)).proven_script(RULE) == "one"


def test_a_script_that_is_new_since_lifts_were_learned_is_expected_to_add_nothing() -> None:
    """It takes part, at what its pattern does."""
    learned = pattern(lifted(script("one", 15), UNLIKELY), script("new", 15))
    believed = learned.scripts_believed(learned.publishable_scripts(RULE))
    assert believed["new"].mean > believed["one"].mean
    assert learned.proven_script(RULE) == "new"


def test_an_authors_wording_that_was_tried_is_judged_like_any_other_once_lifts_are_known() -> None:
    """Its claim, which is too high as claims are, no longer keeps the others away."""
    claimed = Claim(success_rate=0.95).prior()
    tried = script("authored", 24, authored=True)
    better = script("better", 25)
    before = replace(pattern(tried, better), prior=claimed, evidence=Evidence(60, 40, 6))
    assert before.proven_script(RULE) == "authored"
    learned = replace(before, scripts=[replace(s, lift=Lift(0.0, 0.25)) for s in before.scripts])
    assert learned.proven_script(RULE) == "better"
    untried = script("authored", 2, accounts=1, authored=True)
    kept = replace(learned, scripts=(untried, lifted(better, Lift(0.0, 0.25))))
    assert kept.proven_script(RULE) == "authored"
