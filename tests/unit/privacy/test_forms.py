"""Identifiers with a form: addresses in every form, numbers in disguise, codes; and what only looks so."""

from __future__ import annotations

import pytest

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.privacy.evaluation.labelled import grids, labelled_sentences
from keeper_grpc.privacy.layers.figures import FIGURES
from keeper_grpc.privacy.layers.recognizers import CONTAINERS, NUMBERED
from keeper_grpc.privacy.text.draft import normalize
from keeper_grpc.privacy.text.matching import hints


@pytest.fixture(scope="module")
def anonymizer() -> Anonymizer:
    """The default anonymizer."""
    return Anonymizer.default()


def kept(anonymizer: Anonymizer, text: str) -> str:
    """What is kept of a text."""
    return anonymizer.anonymize(
        Insight("", "upsell", "spa", {}, text, "", 0.5), Identifiers()
    ).insight.action


@pytest.mark.parametrize(
    "context", ["{}", "party of 4 at {}", "2 of them live at {}", "@ {}, side door"]
)
@pytest.mark.parametrize(
    "address",
    [
        "247 Miller Ave",
        "1775 Park Avenue",
        "287 New Haven Street",
        "9 Point Pleasant Road",
        "305 Main, unit 4B",
        "7 US Highway 90",
        "612 SW 9th Ave NW",
        "RR 2 Box 15",
        "twelve oak street",
        "5 Avenue of the Americas",
        "33 Day Street",
        "1 Best Way",
        "19 The Green",
        "450 Hwy 61 S",
    ],
)
def test_an_address_goes_whole_whatever_stands_before_it(
    anonymizer: Anonymizer, context: str, address: str
) -> None:
    """A number that counts something does not swallow the house number behind it."""
    left = kept(anonymizer, f"see: {context.format(address)}")
    words = set(address.replace(",", "").split()) - set(context.split())
    assert not words & set(left.replace(",", " ").split())


@pytest.mark.parametrize(
    "number",
    [
        "(415) five five five 0142",
        "four one five 555 zero one four two",
        "4 1 5, 5 5 5, 0 1 4 2",
        "4,1,5,5,5,5,0,1,4,2",
        "415   555    0142",
        "415 then 555 then 0142",
        "1-800-SPA-GLOW",
        "oh seven eight, oh five, one one two oh",
        "203 dot 0 dot 113 dot 77",
        "415 | 555 | 0142",
        "4️⃣1️⃣5️⃣ 555 0142",
        "④①⑤ ⑤⑤⑤ ⓪①④②",
        "&#52;&#49;&#53; 555 0142",
        "4l5-555-Ol42",
        "four fifteen, five fifty five, oh one four two",
        "triple five oh one four two four one five",
        "415-555-HAIR",
        "10 point 0 point 0 point 1",
    ],
)
def test_a_number_in_disguise_is_gone(anonymizer: Anonymizer, number: str) -> None:
    """Digits and number words are read as one; entities and keycaps are decoded first."""
    left = kept(anonymizer, f"her cell is {number}")
    assert left in {"her cell is [number]", "her cell is [phone]", "her cell is [ip]"}


@pytest.mark.parametrize(
    "text",
    [
        "gate code is 4471#",
        "locker B-217",
        "plate 7KLM382",
        "appt code QX7-44P",
        "safe combo is 31-7-22",
        "wifi password Glow2024!x",
        "room 214",
        "alarm code 9902 at night",
    ],
)
def test_a_code_behind_what_it_opens_is_gone(anonymizer: Anonymizer, text: str) -> None:
    """Codes have no form of their own; what they open tells them."""
    assert not any(char.isdigit() for char in kept(anonymizer, text))


@pytest.mark.parametrize(
    "text",
    [
        "60/90/120 minute sessions",
        "3, 6, 9, 12 or 18 months",
        "10-2, 3-6 and 7-9",
        "2 hour drive",
        "open slots 9:30, 10:30, 1:15, 3:45",
        "one, two or three visits",
        "two for one tuesday",
        "800 clients got 500 texts",
        "30 day pass",
        "2 hour park visit",
        "5 star place",
        "room 2 is free",
        "use code GLOW20 at checkout",
        "25 yard lane",
        "1,250,000 steps",
        "a 5 minute walk",
        "@ 3 today",
        "2 guests at the pool",
        "first 20 people in the door",
        "10 am to 2 pm",
        "every 4 to 6 weeks",
    ],
)
def test_quantities_and_times_are_no_identifiers(anonymizer: Anonymizer, text: str) -> None:
    """Menus, opening hours, counts, promotions."""
    assert kept(anonymizer, text) == text


def test_a_text_that_matches_gives_the_hints_that_are_needed() -> None:
    """An expression that is not tried where it would match leaks."""
    recognizers = (*CONTAINERS, *FIGURES, *NUMBERED)
    texts = {
        sentence.text
        for sentence in (
            *labelled_sentences("all"),
            *labelled_sentences("all", "front_desk"),
            *(sentence for _, sentence in grids("tuning")),
        )
        if any(kind not in {"name", "business"} for kind, _, _ in sentence.spans)
    }
    for text in map(normalize, texts):
        given = hints(text)
        tried = [r for r in recognizers if given.issuperset(r.needs)]
        covered = {
            at for r in tried for span in r.spans(text) for at in range(span.start, span.end)
        }
        for recognizer in recognizers:
            for span in recognizer.spans(text):
                assert covered.issuperset(range(span.start, span.end)), (recognizer.kind, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("she had her mastectomy in March", "HEALTH_DETAIL"),
        ("had her baby last week so no heat", "HEALTH_DETAIL"),
        ("Xiomara is diabetic, no hot stones", "HEALTH_DETAIL"),
        ("had her gallbladder out in march", "HEALTH_DETAIL"),
        ("stroke last yr, left side weak", "HEALTH_DETAIL"),
        ("in rehab since jan", "HEALTH_DETAIL"),
        ("tested positive for covid monday", "HEALTH_DETAIL"),
        ("hernia surgery was thursday", "HEALTH_DETAIL"),
        ("xiomara", "NOTHING_LEFT"),
        ("[other], Xiomara: xiomara@example.com", "NOTHING_LEFT"),
    ],
)
def test_what_cannot_be_masked_word_by_word_is_withheld(
    anonymizer: Anonymizer, text: str, reason: str
) -> None:
    """Health details of one person, and texts of which nothing but masks is left."""
    answer = anonymizer.anonymize(
        Insight("", "upsell", "spa", {"ltv": 9}, text, "", 0.5), Identifiers()
    )
    assert answer.insight.action == ""
    assert answer.insight.conditions == {"ltv": "low"}
    assert [drop.reason for drop in answer.report.dropped] == [reason]


@pytest.mark.parametrize(
    "text",
    [
        "Massage for guests in chemotherapy",
        "She had her facial in March",
        "Diabetes friendly snacks",
        "offer clients in chemotherapy a soft cap this fall",
        "breast cancer awareness campaign in october",
    ],
)
def test_treatments_for_many_are_no_health_details(anonymizer: Anonymizer, text: str) -> None:
    """The trade writes of conditions that it treats, and of what a client had done."""
    assert kept(anonymizer, text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("gate is 4471", "4471"),
        ("alarm 9921", "9921"),
        ("code for the door: 4471", "4471"),
        ("punch in 4471 at the gate", "4471"),
        ("buzzer 12B on the left", "12B"),
        ("lock combo 12 34 06", "34"),
        ("her pin is seven seven eight one", "eight"),
        ("parked, plate ABC 1234", "1234"),
        ("card on file cvv 123", "123"),
        ("text 312.555.o199", "o199"),
        ("text 312-555-O1gg", "O1gg"),
        ("lat 41.87 lon -87.62", "41.87"),
        ("exit at FM 1960", "1960"),
        ("send the kit to Hwy 61 #204", "61"),
        ("pickup 2pm 3417 n kedzie", "3417"),
        ("she lives at 1600 pennsylvania", "1600"),
        ("meet at 5th & pine", "pine"),
        ("J.P. no show", "J.P"),
        ("m.j. no polish", "m.j"),
        ("new client aka peaches", "peaches"),
        ("she goes by bunny", "bunny"),
    ],
)
def test_codes_corners_and_initials_go(anonymizer: Anonymizer, text: str, secret: str) -> None:
    """What opens something, where somebody lives without a suffix, and who is two letters."""
    assert secret not in kept(anonymizer, text)


@pytest.mark.parametrize(
    "text",
    [
        "open the door at 9",
        "use code GLOW at checkout",
        "massage gun level 1200 steps",
        "get 1st & 2nd visit half price",
        "1st and last class free",
        "call at 9 a.m. or 5 p.m. sharp",
        "the u.s. open promo",
        "the month goes by fast",
        "cut 45 n blowout",
    ],
)
def test_what_only_looks_like_a_code_a_corner_or_initials_stays(
    anonymizer: Anonymizer, text: str
) -> None:
    """Clocks, ordinals and abbreviations of the trade."""
    assert kept(anonymizer, text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("call ext 4412 for the front desk", "4412"),
        ("ring her at extension 317", "317"),
        ("dial ext. 77 to reach the gym", "77"),
        ("customer #331 lapsed", "331"),
        ("customer no. 4471 wants a refund", "4471"),
        ("user_id=4471 offer a facial", "4471"),
        ('{"customer_id": "cus_NffrFe2b", "offer": "facial"}', "nffrfe"),
        ('<client id="8841">send the offer</client>', "8841"),
        ('{"id": 447, "service": "facial"}', "447"),
        ("lead 7731 came from the ad", "7731"),
        ("customer cust_88213 is likely to lapse", "88213"),
        ("plate B-MW 4471 parked in the lot", "4471"),
        ("class at Pier 39 on Sunday", "39"),
        ("lena@frontdesk knows the code", "lena"),
        ("t@sha wants a facial", "t@sha"),
        ("T*sha wants a facial", "sha"),
        ("T4sha wants a facial", "sha"),
    ],
)
def test_what_systems_number_and_people_disguise_is_gone(
    anonymizer: Anonymizer, text: str, secret: str
) -> None:
    """Extensions, numbers of customers however a system writes them, addresses without a domain, figures for letters."""
    assert secret not in kept(anonymizer, text).lower()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("birthday is the fourteenth of July nineteen eighty-two", "birthday is July"),
        ("born the third of May nineteen ninety", "born May"),
        ("dob third of march 85", "dob March"),
        ("birthday on july twenty second", "birthday on July"),
        ("born in nineteen seventy one nearby", "born in [date] nearby"),
        ("she was born in 1971", "she was born in [date]"),
        ("class of 1998 reunion", "class of [date] reunion"),
    ],
)
def test_a_date_in_words_is_as_coarse_as_one_in_figures(
    anonymizer: Anonymizer, text: str, left: str
) -> None:
    """The month stays; the day and the year of a birth do not."""
    assert kept(anonymizer, text) == left


@pytest.mark.parametrize(
    "text",
    [
        "hair extension 18 inch upsell",
        "tape in extension 20% off",
        "July fourth special",
        "May the second guest come free",
        "nineteen eighties dance class",
        "client 2026 goals",
        "user 5000 points reward",
        "glow-2026 campaign",
        "customer no show fee",
        "lead with the price",
        "**glow** facial for two",
        "before_after photos sell peels",
        "b2b rate for offices",
        "save %20 on facials",
    ],
)
def test_measures_holidays_and_campaigns_are_none_of_these(
    anonymizer: Anonymizer, text: str
) -> None:
    """They look like an extension, a birth, a customer's number or a disguise."""
    assert kept(anonymizer, text) == text
