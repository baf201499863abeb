from __future__ import annotations

import re
from collections import defaultdict
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.emerging.titles import MOST_CHARACTERS
from keeper_grpc.domain.emerging.words import ClusterWords, Sentence, wording

K = 3
TYPE = "churn_prevention"


def says(account: str, action: str, *, distance: float = 0.1) -> Sentence:
    """What an account of the type said on a Monday."""
    parts = ", ".join(part for part in ("When day of week is Monday", action) if part)
    return Sentence(account, f"{parts} (churn prevention, spa).", action, distance)


def of(*actions: str) -> ClusterWords:
    """The words of a cluster in which each account said one of these."""
    return wording(TYPE, [says(str(n), action) for n, action in enumerate(actions)], K)


def test_a_sentence_that_k_accounts_share_is_shown_whole() -> None:
    """One wording of enough accounts is the common pattern; its action is the label."""
    told = of(*["Send a personal reminder with 20% off"] * 3)
    sentence = "When day of week is Monday, Send a personal reminder with 20% off"
    assert told == ClusterWords(
        f"{sentence} (churn prevention, spa).", "Send a personal reminder with 20% off"
    )


def test_a_word_of_fewer_accounts_is_left_out() -> None:
    """However near the sentence is to the centre, and however often its account says it."""
    rare = "Offer the mayor a warm towel after the massage"
    plain = "Offer a warm towel after the massage"
    sentences = [says("a", rare, distance=0.0), says("a", rare), says("b", rare)]
    told = wording(TYPE, [*sentences, says("c", plain, distance=0.3)], K)
    assert told.common_pattern.startswith("When day of week is Monday, Offer a warm towel after")
    assert told.label == "Offer a warm towel after the massage"
    told = wording(TYPE, [*sentences, says("c", "Offer guests a warm towel after the massage")], K)
    assert "Offer the … a warm towel after the massage" in told.common_pattern
    assert told.label == "Warm towel after the massage"


def test_the_sentence_of_which_most_can_be_shown_is_taken() -> None:
    """Rather than the nearest, which one account words in its own way."""
    told = wording(
        TYPE,
        [
            says("a", "Ring up whoever stayed away", distance=0.0),
            *(says(account, "Call lapsed guests", distance=0.2) for account in "bcd"),
        ],
        K,
    )
    assert "Call lapsed guests" in told.common_pattern
    assert told.label == "Call lapsed guests"


def test_a_phrase_is_not_turned_into_its_opposite() -> None:
    """What follows a "never" that is left out is not quoted."""
    told = of(
        "Never raise prices for loyal members",
        "Do not raise prices for loyal members",
        "Don't raise prices for loyal members",
    )
    assert "… raise prices for loyal members" in told.common_pattern
    assert "raise prices for" not in told.label.lower()


def test_without_a_phrase_the_label_names_the_topics() -> None:
    """The type and what most accounts speak of, or in which situations; the type alone when they share nothing."""
    told = of("Massage? Call!", "Call: massage", "Ask for massage")
    assert told.label == "Churn prevention: massage"
    assert of("", "", "").label == "Churn prevention when day of week is Monday"
    alone = wording(TYPE, [Sentence(a, f"{a * 5} (x).", a * 5, 0.1) for a in "abc"], K)
    assert alone == ClusterWords("… (x).", "Churn prevention")


def test_questions_without_actions_are_titled_by_what_is_asked_about() -> None:
    """By a condition that k owners state in as many words: one in words rather than a figure."""
    asked = [
        Sentence(owner, f"When rating is {rating}, service is Gel Nails (x, y).", "", 0.1)
        for owner, rating in zip("abcd", (1, 1, 1, 2), strict=True)
    ]
    assert wording(TYPE, asked, K).label == "Churn prevention when service is Gel Nails"
    figures = [Sentence(owner, "When rating is 1 (x, y).", "", 0.1) for owner in "abc"]
    assert wording(TYPE, figures, K).label == "Churn prevention when rating is 1"
    assert wording(TYPE, asked[:2], K).label == "Churn prevention"


def test_sentences_without_common_words_show_nothing() -> None:
    """Not even how their sentences are built."""
    assert wording(TYPE, [Sentence(a, a * 5, "", 0.1) for a in "abc"], K).common_pattern == ""
    assert wording(TYPE, [], K) == ClusterWords("", "Churn prevention")


@pytest.mark.parametrize(
    ("action", "label"),
    [
        ("text [customer] a {favorite_service} offer", "Text a favorite service offer"),
        ("ask [other] about gift cards at the desk", "Gift cards at the desk"),
        ("Call the guest. Then wait a day for an answer", "Wait a day for an answer"),
        ("And then offer a glass of water to the", "Offer a glass of water"),
        (
            "Invite every guest who came twice last month to bring a friend along",
            "Invite every guest who came twice last month",
        ),
        (
            "Recommend complimentary aromatherapy consultations throughout Wednesdays",
            "Recommend complimentary aromatherapy consultations",
        ),
    ],
)
def test_a_label_is_a_short_title(action: str, label: str) -> None:
    """Within one clause, without placeholders' marks, small words at its ends, or the end of a text."""
    assert of(action, action, action).label == label


WORDS = (
    "offer send Send a the massage towel mayor 20% low_amount [customer] {name} [other] never no 🎉 is,"
    " don't. (free) stop; aromatherapeutically"
)
words = st.sampled_from(re.findall(r"\S+", WORDS))
actions = st.lists(words, max_size=14).map(" ".join)
sentences = st.lists(
    st.builds(says, st.sampled_from("abcde"), actions, distance=st.sampled_from([0.1, 0.2])),
    max_size=12,
)


@given(sentences, st.integers(2, 4), st.randoms(use_true_random=False))
def test_no_word_that_fewer_than_k_accounts_said_is_shown(
    said: list[Sentence], k: int, random: Random
) -> None:
    """Of any sentences in any order: every word of k accounts, the label short, the result the same."""
    told = wording(TYPE, said, k)
    accounts = defaultdict(set)
    for sentence in said:
        for word in re.findall(r"[\w%']+|🎉", sentence.text.lower().replace("_", " ")):
            accounts[word].add(sentence.owner_key)
    shown = re.findall(r"[\w%']+|🎉", told.common_pattern.lower().replace("_", " "))
    assert all(len(accounts[word]) >= k for word in shown)
    title = re.findall(r"[\w%']+", told.label.lower())
    assert all(len(accounts[word]) >= k for word in title if word not in TYPE.split("_"))
    assert 0 < len(told.label) <= MOST_CHARACTERS
    shuffled = list(said)
    random.shuffle(shuffled)
    assert wording(TYPE, shuffled, k) == told


def test_a_long_type_is_cut() -> None:
    """A label has a bounded length whatever the type is called."""
    assert len(wording("x" * 200, [], K).label) == MOST_CHARACTERS
