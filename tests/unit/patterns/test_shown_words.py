from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.merging.action import stance
from keeper_grpc.domain.patterns.shown_words import Wording, shown_action, shown_conditions
from keeper_grpc.domain.patterns.situation import facts

K = 3


def by(*owners: str, action: str) -> Wording:
    """An action in the words of these owners."""
    return Wording(action, frozenset(owners))


def test_the_sentence_of_most_owners_is_shown_whole() -> None:
    """A word that fewer used does not come into it."""
    wordings = [
        by("a", action="Send a card to the mayor"),
        by("b", "c", "d", action="Send a card to the guest"),
        by("e", "f", "g", "h", action="Write a card to the guest"),
    ]
    assert shown_action(wordings, K) == "Write a card to the guest"


def test_two_owners_do_not_outvote_many_that_word_alike() -> None:
    """A sentence of fewer than k owners counts by what of it can be shown."""
    alike = [
        by(name, action=f"Send a card to every {name} guest")
        for name in ("shy", "new", "old", "big")
    ]
    shown = shown_action([by("x", "y", action="Wire the deposit to us and send a card"), *alike], K)
    assert shown == "Send a card to every … guest"


@pytest.mark.parametrize(
    "actions",
    [
        ("Never raise prices", "Don't raise prices", "Refuse to raise prices"),
        ("raise prices", "lift prices", "increase prices"),
        ("the card", "a card of the", "the best of the card"),
        ("alpha", "beta", "gamma"),
    ],
)
def test_what_would_say_too_little_or_the_opposite_is_not_shown(actions: tuple[str, ...]) -> None:
    """A direction or a "never" of fewer than k owners, or hardly a word that they share."""
    shown = shown_action([by(str(n), action=action) for n, action in enumerate(actions)], K)
    assert "prices" not in shown
    assert shown in {"", "the card"}


WORDS = [
    "send",
    "card",
    "guest",
    "towel",
    "mayor",
    "20%",
    "never",
    "stop",
    "raise",
    "lower",
    "prices",
    "{name}",
    "[customer]",
    "the",
    "to",
    "🎉",
]
actions = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
wordings = st.dictionaries(
    actions, st.frozensets(st.sampled_from("abcdef"), min_size=1), max_size=8
).map(lambda said: [Wording(action, owners) for action, owners in said.items()])


@given(wordings, st.integers(2, 4), st.randoms(use_true_random=False))
def test_every_shown_word_is_of_k_owners(said: list[Wording], k: int, order: random.Random) -> None:
    """And the action keeps its stance, whatever was said in whatever order."""
    shown = shown_action(said, k)
    owners: dict[str, set[str]] = defaultdict(set)
    for wording in said:
        for word in wording.action.split():
            owners[word] |= wording.owners
    assert all(len(owners[word]) >= k for word in shown.replace("…", " ").split())
    shuffled = list(said)
    order.shuffle(shuffled)
    assert shown_action(shuffled, k) == shown
    if shown:
        pattern = re.escape(shown).replace("…", ".+")
        assert any(
            re.fullmatch(pattern, wording.action)
            and stance(wording.action).takes_away == stance(shown).takes_away
            for wording in said
        )


def test_only_facts_of_k_owners_are_shown() -> None:
    """Of a key's values the one of most owners, in the form in which it was sent."""
    sent: list[tuple[Mapping[str, JsonValue], int]] = [
        ({"weekday": "monday", "visits": 3.0}, 4),
        ({"weekday": "friday"}, 5),
        ({"vip": True}, 2),
        ({"note": "x" * 500}, 9),
    ]
    counts = {fact: owners for conditions, owners in sent for fact in facts(conditions)}
    assert shown_conditions(counts, K) == {"weekday": "friday", "visits": 3}
