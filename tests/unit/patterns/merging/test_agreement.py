from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.patterns.merging.agreement import Agreement, agreement
from keeper_grpc.domain.patterns.merging.wording import content

SUBSTITUTED = (
    # Who does it.
    ("Have the manager phone the guest", "Have the receptionist phone the guest"),
    ("Let the barber reply to the review", "Let the owner reply to the review"),
    ("Give the coupon to the friend", "Give the coupon to the client"),
    # How she is reached.
    ("Send the offer by letter", "Send the offer by e-mail"),
    ("Text her about the open slot", "Call her about the open slot"),
    ("Ring her on the landline", "Ring her on the mobile"),
    ("Call the customer on the mobile phone", "Call the customer on the land line"),
    # What is offered.
    ("Offer a foot bath at check-in", "Offer a foot rub at check-in"),
    ("Recommend a scalp scrub", "Recommend a scalp serum"),
    ("Invite the member to a rowing class", "Invite the member to a dance class"),
    # Where it is said.
    ("Ask for a review on Google", "Ask for a review on Yelp"),
    ("Post the looks on Instagram", "Post the looks on Pinterest"),
    # When.
    ("Call on weekdays", "Call at the weekend"),
    ("Send the card in spring", "Send the card in autumn"),
    ("Waive the fee for the first month", "Waive the fee for the first three months"),
    ("Reply within an hour", "Reply within a day"),
    ("Thank her after the first visit", "Thank her after the third visit"),
    # How much.
    ("Refund a quarter of the price", "Refund the full price"),
    ("Give double points", "Give triple points"),
    # The other way round.
    ("Agree with the review", "Disagree with the review"),
    ("Approve the refund", "Disapprove the refund"),
    ("Start with the expensive package", "Start with the cheapest package"),
    ("Greet her with the name", "Greet her without the name"),
)
"""One word stands for another, and it is another action."""

REWORDED = (
    ("Telephone the guest about a free facial", "Ring the client about a complimentary facial"),
    ("Text the client a booking link", "Send an SMS with a link for booking"),
    ("Put her on the waiting list", "Add the guest to the waitlist"),
    ("Apologize in person", "Make a personal apology"),
    ("Remind the guest of the appointment", "Send a reminder of the appointment"),
    ("Suggest an add-on while she is checking in", "Offer extras at check-in"),
    ("Let the stylist explain the cut", "Have the haircut explained by the stylist"),
    ("Refund half of the price", "Refund 50% of the price"),
    ("Bring up the upgrade at sign-in", "Mention the upgrade at check-in"),
    ("Have the owner phone the guest", "Phone the guest"),
)
"""The same move in other words."""

NOTES = (
    ("Trial month", "Let the member try out the higher tier for a month to see if she likes it"),
    (
        "24h text reminder",
        "Send the guest a text 24 hours before in order to remind her of the visit",
    ),
    (
        "Personal call",
        "Pick up the phone yourself and have a friendly personal word with the guest",
    ),
    (
        "Scalp scrub sample",
        "Hand the client a sample of the scalp scrub so that she can try it at home",
    ),
)

WORDS = sorted(
    {word for pair in SUBSTITUTED + REWORDED + NOTES for text in pair for word in text.split()}
)
actions = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


@pytest.mark.parametrize(("one", "other"), SUBSTITUTED)
def test_a_word_in_the_place_of_another_keeps_actions_apart(one: str, other: str) -> None:
    """Roles, channels, services, products, platforms, times, amounts and directions."""
    assert agreement(one, other) is Agreement.APART


@pytest.mark.parametrize(("one", "other"), REWORDED)
def test_synonyms_and_forms_of_a_word_are_no_substitution(one: str, other: str) -> None:
    """Another word for the same thing, or the same word in another form, leaves a merge possible."""
    assert agreement(one, other) is not Agreement.APART


@pytest.mark.parametrize(("note", "sentence"), NOTES)
def test_a_note_is_found_in_the_sentence_that_says_it_in_full(note: str, sentence: str) -> None:
    """All that the note says is in the sentence, which may say more."""
    assert agreement(note, sentence) is Agreement.TERSE


def test_a_note_with_another_figure_is_no_note_of_the_sentence() -> None:
    """What the note measures must be in the sentence, too."""
    sentence = "Send the guest a text two days before in order to remind her of the visit"
    assert agreement("24h text reminder", sentence) is Agreement.APART
    assert agreement("Text reminder, 20% off", sentence) is not Agreement.TERSE


def test_masks_are_no_shared_words() -> None:
    """What the anonymizer took out may have been anything, so it speaks for no merge."""
    assert content("Offer [other] [other] to [person]").words == ()


@settings(max_examples=50)
@given(actions, actions)
def test_agreement_is_symmetric(one: str, other: str) -> None:
    """The order in which two observations arrive does not decide whether they merge."""
    assert agreement(one, other) is agreement(other, one)


@settings(max_examples=50)
@given(st.one_of(actions, st.text(max_size=60)))
def test_every_action_agrees_with_itself(action: str) -> None:
    """A repeated action always finds its own pattern, whatever it says."""
    assert agreement(action, action) not in (Agreement.APART, Agreement.UNLIKE)


@pytest.mark.parametrize(
    "word", ["the trim ", "bring up ", "waiting ", "[", "{", "a", "costs her "]
)
def test_a_hostile_text_is_read_in_linear_time(word: str) -> None:
    """Reading four times the text takes about four times as long, not sixteen."""

    def seconds(size: int) -> float:
        text = (word * size)[:size]
        runs = []
        for _ in range(5):
            content.cache_clear()
            start = time.process_time()
            content(text)
            runs.append(time.process_time() - start)
        return min(runs)

    assert seconds(16_000) < 10 * seconds(4_000) + 0.005
