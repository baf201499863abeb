"""Front-desk notes: names without capitals that nobody declared, and the words that must stay."""

from __future__ import annotations

import pytest

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer


@pytest.fixture(scope="module")
def anonymizer() -> Anonymizer:
    """The default anonymizer."""
    return Anonymizer.default()


def kept(anonymizer: Anonymizer, text: str) -> str:
    """What is kept of a text."""
    insight = Insight("", "upsell", "spa", {}, text, "", 0.5)
    return anonymizer.anonymize(insight, Identifiers()).insight.action


@pytest.mark.parametrize("name", ["rose", "grace", "jade", "hunter", "ivy"])
@pytest.mark.parametrize(
    "context",
    [
        "waiting on {}",
        "{} allergic to latex",
        "call {} back before noon",
        "{} party of 6 at noon",
        "the {} family package",
        "no show: {}, third time",
        "put {} down for 2:30",
        "3pm {} brows",
        "{} @ 3",
        "{} facial at 3",
        "{}'s card declined",
        "({}) late",
        "left a vm for {}",
        "did {} pay",
    ],
)
def test_a_name_in_a_frame_of_a_note_is_masked(
    anonymizer: Anonymizer, context: str, name: str
) -> None:
    """What stands around it says that it is somebody, capitals or not."""
    assert name not in kept(anonymizer, f"{context.format(name)} pls").split()


@pytest.mark.parametrize(
    "text",
    [
        "banks called twice",
        "the Long account is past due",
        "Page wedding party of 9",
        "call the Young house if they are late",
        "Mayor Price opened the studio",
        "Mrs. K wants the corner chair",
    ],
)
def test_surnames_that_are_words_are_masked_in_the_strongest_frames(
    anonymizer: Anonymizer, text: str
) -> None:
    """A family's account, party or house; what people do; titles."""
    assert "[person]" in kept(anonymizer, text)


@pytest.mark.parametrize(
    "text",
    [
        "London lash set",
        "Brazilian blowout",
        "Dead Sea salt scrub",
        "Txt us to book ur next appt, thx",
        "closed since April. Coach is back",
        "large party of 6",
        "the family account",
        "call clients back",
        "Call overdue regulars",
        "waiting on payment",
        "rose facial",
        "grace period for late arrivals",
        "Men's cut with hot towel",
        "June special",
        "clients will call",
        "3rd visit free",
    ],
)
def test_what_the_trade_writes_stays(anonymizer: Anonymizer, text: str) -> None:
    """Places in the names of treatments, texting slang, things in the same frames."""
    assert kept(anonymizer, text) == text


def test_places_are_names_anywhere_else(anonymizer: Anonymizer) -> None:
    """`London` is somebody where no treatment is named for it."""
    for text in ("text London about it", "London's facial", "London has a 3pm"):
        assert "London" not in kept(anonymizer, text)


@pytest.mark.parametrize("place", ["sydney", "petra", "carolina", "jordan", "valencia"])
@pytest.mark.parametrize("context", ["{} facial at 3", "{} massage 5:30", "{} lash fill at 4"])
def test_a_name_that_is_a_place_is_no_place_in_a_booking(
    anonymizer: Anonymizer, context: str, place: str
) -> None:
    """A time of day behind the treatment tells that somebody has it."""
    for name in (place, place.title(), place.upper()):
        assert place not in kept(anonymizer, context.format(name)).lower()


@pytest.mark.parametrize(
    "service",
    [
        "javanese lulur",
        "lebanese sugaring",
        "mongolian cupping",
        "Bulgarian Split Squat Class",
        "puerto rican coffee scrub",
        "estonian birch sauna",
        "Carolina clay mask 60 min",
        "Sydney blowout",
    ],
)
def test_a_place_in_the_name_of_a_service_stays(anonymizer: Anonymizer, service: str) -> None:
    """It says what is done, not who has it."""
    assert kept(anonymizer, service) == service


@pytest.mark.parametrize("context", ["call {} back", "no show: {}", "{}'s card declined"])
def test_a_name_that_no_list_has_is_not_corrected_to_a_word(
    anonymizer: Anonymizer, context: str
) -> None:
    """`sipho` is one letter from `siphon`, and stands where a person does."""
    assert "sipho" not in kept(anonymizer, context.format("sipho"))


@pytest.mark.parametrize("name", ["rose", "mercy", "grace"])
@pytest.mark.parametrize(
    "context",
    ["{} cxl 3pm", "{}, 4pm, gel", "walk in {} 2:15", "sub {} for wed class", "{} 2pm brows"],
)
def test_shorthand_of_the_desk_frames_a_name(
    anonymizer: Anonymizer, context: str, name: str
) -> None:
    """Cancelled, booked, walked in, standing in."""
    assert name not in kept(anonymizer, context.format(name))
