"""Identifiers of which one layer knows a part only: nothing of them is left."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer

ANONYMIZER = Anonymizer.default()


def kept(text: str, identifiers: Identifiers | None = None) -> str:
    """What is kept of a text."""
    return ANONYMIZER.anonymize(
        Insight("", "upsell", "spa", {}, text, "", 0.5), identifiers or Identifiers()
    ).insight.action


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Guest glowzilla92 left two stars", "Guest [code] left two stars"),
        ("Guest glow_zilla_92 left two stars", "Guest [code] left two stars"),
        ("Redeem gift card 8F3K-22LM-90QW today", "Redeem gift card [code] today"),
        ("Meet guests of flight KQ2490 at nine", "Meet guests of flight [code] at nine"),
        ("Send a card to RSSMRA85T10A562S soon", "Send a card to [code] soon"),
        ("Ask for Wanjiru#4471 at the desk", "Ask for [code] at the desk"),
        ("dm glow_by_tasha about the offer", "dm [handle] about the offer"),
        ("find maria_lopez_waiver in the files", "find [handle] in the files"),
    ],
)
def test_what_is_joined_to_a_mask_and_has_digits_goes_with_it(text: str, left: str) -> None:
    """A handle's figures and a voucher's groups are as much of an identifier as its letters."""
    assert kept(text).replace("[other] [code]", "[code]") == left


def test_figures_joined_to_a_declared_name_go_with_it() -> None:
    """`Jane1984` is Jane's, and says when she was born."""
    left = kept("Welcome Jane1984 back", Identifiers(customer_names=("Jane Doe",)))
    assert "1984" not in left
    assert "Jane" not in left


@pytest.mark.parametrize(
    "text",
    [
        "Offer a 2-for-1 massage on a rainy day",
        "Offer a 30-minute add-on to a 60-minute facial",
        "Offer {service_name}-plus at 20% off",
        "Add a B12 shot or a K18 mask to each blowout",
        "Book the next visit 4-6 weeks ahead",
        "Raise prices in 20 25 30 a day",
        "Offer slots at 10 15 20 a day",
    ],
)
def test_figures_of_the_trade_stay(text: str) -> None:
    """What is joined to no identifier is what the insight is about."""
    assert kept(text) == text


@pytest.mark.parametrize("price", ["$60-90", "$60"])
def test_a_coarse_amount_swallows_nothing(price: str) -> None:
    """An amount that was made coarse identifies nobody, whatever it is joined to."""
    assert "[code]" not in kept(f"Offer a {price} facial-plus to new guests")


@given(
    st.text(string.ascii_lowercase, min_size=9, max_size=14).filter(
        lambda word: not ANONYMIZER.has_words(word)
    ),
    st.integers(10, 999_999),
    st.sampled_from(["", "-", "_", "#"]),
)
def test_no_digit_of_a_handle_survives(word: str, number: int, joiner: str) -> None:
    """Whatever word nobody knows, and whatever figures hang on it."""
    assert not any(map(str.isdigit, kept(f"Write to {word}{joiner}{number} about the offer")))


@pytest.mark.parametrize(
    "number",
    [
        "+55 11 91234-5678",
        "+55 (11) 91234-5678",
        "(11) 91234-5678",
        "0055 11 91234-5678",
    ],
)
def test_a_number_that_ends_like_a_zip_code_is_masked_whole(number: str) -> None:
    """Brazilian numbers end with five digits, a dash and four: so do ZIP codes."""
    assert kept(f"Call {number} about the offer") in {
        "Call [phone] about the offer",
        "Call [number] about the offer",
    }


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Use loyalty ID 5512 9931 at checkout", "Use loyalty ID [id] at checkout"),
        ("Keep NI number QQ 12 34 56 C on file", "[id] on file"),
        ("Keep ZIP 78701-1234 on file", "Keep [address] on file"),
        ("Write to jane (at) glow-spa (dot) example today", "Write to [email] today"),
    ],
)
def test_numbers_in_groups_and_addresses_in_brackets_are_masked_whole(text: str, left: str) -> None:
    """Groups of digits belong together, and brackets around `at` and `dot` hide any domain."""
    assert kept(text).endswith(left)
