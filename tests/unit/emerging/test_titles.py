from __future__ import annotations

import pytest

from keeper_grpc.domain.emerging.titles import title_of
from keeper_grpc.domain.evidence.words import words_of

TYPE = "churn_prevention"


def title(action: str, *, without: str = "", topics: tuple[str, ...] = ()) -> str:
    """The title of this action, of whose words all are shared but these."""
    shared = set(words_of(action)) - set(words_of(without))
    return title_of(TYPE, [action], shared, topics)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("Show [customer] at checkout what she saved", "Show at checkout what she saved"),
        ("Have [employee_1] offer [customer] a mask", "Offer a mask"),
        (
            "Send a text reminder to [customer] the day before",
            "Send a text reminder the day before",
        ),
        ("Upgrade [customer]'s next facial", "Upgrade next facial"),
    ],
)
def test_a_phrase_does_without_those_who_were_masked(action: str, expected: str) -> None:
    """Roles go, with the preposition before them."""
    assert title(action) == expected


@pytest.mark.parametrize(
    ("action", "without", "expected"),
    [
        (
            "Free orientation with a coach for the new joiner",
            "joiner",
            "Free orientation with a coach",
        ),
        ("Call the guest, apologize and offer vouchers", "vouchers", "Call the guest, apologize"),
        ("Give regulars 10% off lunches", "lunches", "Give regulars 10% off"),
        ("Recommend the products she praised herself", "praised herself", "Recommend the products"),
    ],
)
def test_a_phrase_ends_where_it_can(action: str, without: str, expected: str) -> None:
    """Not on a word that waits for one that is left out."""
    assert title(action, without=without) == expected


def test_what_is_to_be_done_comes_first() -> None:
    """Where who has it done is left out, the doing remains."""
    assert title("Have the stylist book the next visit", without="have") == "Book the next visit"
    assert title("Teach the stylist to sell oils", without="teach") == "Churn prevention: sell oils"
    assert title("Have the stylist book a visit") == "Have the stylist book a visit"


def test_a_short_phrase_stands_behind_the_type() -> None:
    """And topics do where there is not even that."""
    assert title("Longer treatment") == "Churn prevention: Longer treatment"
    assert title("Longer", topics=("longer", "prevention", "massage")) == (
        "Churn prevention: longer, massage"
    )
    assert title("Longer") == "Churn prevention"


def test_a_long_action_is_cut_at_a_part_of_it() -> None:
    """And not in the middle of one."""
    action = "Offer the complimentary consultation in the garden room to whoever books early"
    assert title(action) == "Offer the complimentary consultation in the garden room"
