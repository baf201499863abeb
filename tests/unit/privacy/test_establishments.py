"""Businesses and places whose names are everyday words, and services that are written like them."""

from __future__ import annotations

import pytest

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer

ANONYMIZER = Anonymizer.default()


def kept(text: str) -> str:
    """What is kept of a text."""
    insight = Insight("", "upsell", "spa", {}, text, "", 0.5)
    return ANONYMIZER.anonymize(insight, Identifiers()).insight.action


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("she switched to Velvet Touch Spa in March", "she switched to [business] in March"),
        ("they merged with Golden Hour Studio last year", "they merged with [business] last year"),
        ("she compared us with Planet Fitness", "she compared us with [business]"),
        ("guest won a voucher at Iron Temple Fitness LLC", "guest won a voucher at [business]"),
        ("Bliss & Co. offers the same package", "[business]. offers the same package"),
        ("compare with Polished Nails & Spa prices", "compare with [business] prices"),
        ("offer free parking at Union Square", "offer free parking at [address]"),
        ("the Park Avenue location has open slots", "the [address] location has open slots"),
        ("we are on Harbor Boulevard, second floor", "we are on [address], second floor"),
        ("come to our Market Street shop", "come to our [address] shop"),
    ],
)
def test_the_noun_that_ends_a_name_tells_it(text: str, left: str) -> None:
    """Capitals within a sentence, and what stands in front."""
    assert kept(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "Offer a Day at the Spa to couples",
        "try our Hot Yoga at our Studio",
        "sign up with Early Bird Pilates",
        "Upgrade to Unlimited Fitness for 20% off",
        "new guests from the Dead Sea Spa package",
        "join us at Happy Hour Yoga",
        "Come to the Gym before work",
        "Class in the Park on Saturday",
        "Express Spa menu for lunch",
        "Square Nails or Almond Nails",
        "mention the Summer Beach Body class",
        "walk along the street after class",
        "high school discount with a valid card",
        "Welcome to our spa and salon",
    ],
)
def test_services_and_titles_stay(text: str) -> None:
    """An article or an everyday kind in front, a title, small letters."""
    assert kept(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("tell Duchess her usual chair is open", "tell [person] her usual chair is open"),
        ("everyone calls her Sunny, be nice", "everyone calls her [person], be nice"),
        ("please ask Peanut to call back", "please ask [person] to call back"),
        ("our regular Cupcake wants a refund", "our regular [person] wants a refund"),
        ("text M about Friday", "text [person] about Friday"),
        ("Q booked again", "[person] booked again"),
    ],
)
def test_a_word_that_no_list_has_as_a_name_is_one_where_a_person_stands(
    text: str, left: str
) -> None:
    """Nicknames and single letters, by a capital within a sentence and both neighbours."""
    assert kept(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "Remind Members to rebook",
        "Ask Guests to leave a review",
        "Please ask Reception to call",
        "Tell everyone that the Sauna is open",
        "option B helped most",
        "T zone mask for oily skin",
        "text them about Friday",
    ],
)
def test_groups_and_options_are_nobody(text: str) -> None:
    """Who is many, a department, a letter that counts."""
    assert kept(text) == text
