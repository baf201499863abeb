"""The anonymizer as a whole: what goes, what stays, and what happens when it cannot tell."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.insight import Anonymized, Identifiers, Insight, JsonValue
from keeper_grpc.privacy.anonymizer import MAXIMUM_TEXT, Anonymizer
from keeper_grpc.privacy.text import word_lists
from keeper_grpc.privacy.text.draft import Draft
from keeper_grpc.privacy.text.vocabulary import Vocabulary, default_vocabulary
from keeper_grpc.privacy.text.word_lists import listed

NOBODY = Identifiers()
DECLARED = Identifiers(
    customer_names=("Jane Doe", "Will Long"),
    employee_names=("Rose Núñez",),
    business_names=("Serenity Spa & Wellness",),
    customer_emails=("jdoe99@example.com",),
    customer_phones=("+1 512-555-0134",),
    addresses=("742 Evergreen Terrace, Springfield",),
)


@pytest.fixture(scope="module")
def anonymizer() -> Anonymizer:
    """The default anonymizer, warm: RE2 builds its automata while it first meets a text."""
    anonymizer = Anonymizer.default(protected_phrases=["Grace & Glow Facial"])
    anonymized(
        anonymizer, "Text Ana at 512 555 0134, a@b.co, 12 Oak St, on 3/4/24. " * 50, DECLARED
    )
    return anonymizer


def anonymized(
    anonymizer: Anonymizer,
    action: str,
    identifiers: Identifiers = NOBODY,
    *,
    kind: str = "churn_prevention",
    script: str = "",
    conditions: dict[str, JsonValue] | None = None,
) -> Anonymized:
    """The answer for an insight with these texts."""
    insight = Insight("i-1", kind, "spa", conditions or {}, action, script, 0.8, 1234.0, 87.5)
    return anonymizer.anonymize(insight, identifiers)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Text Jane about the offer", "Text [customer] about the offer"),
        ("text JANE DOE'S sister", "text [customer]'S sister"),
        ("Doe, Jane rebooked", "[customer] rebooked"),
        (
            "J. Doe and JD and J.D. and Jnae came",
            "[customer] and [customer] and [customer]. and [customer] came",
        ),
        ("a rose facial with Rose Nunez", "a rose facial with [employee_1]"),
        ("Will loves it; will you call?", "[customer] loves it; will you call?"),
        ("welcome to serenity spa and wellness", "welcome to [business]"),
        ("call 512.555.0134 or 5 1 2 5 5 5 0 1 3 4", "call [phone] or [phone]"),
        ("write to JDOE99@EXAMPLE.COM", "write to [email]"),
        ("near evergreen terrace", "near [address]"),
    ],
)
def test_declared_identifiers_become_roles(anonymizer: Anonymizer, text: str, masked: str) -> None:
    """Case, accents, order, initials, typos and grouping do not hide what was declared."""
    assert anonymized(anonymizer, text, DECLARED).insight.action == masked


def test_roles_are_numbered_by_appearance_and_stable_within_a_record(
    anonymizer: Anonymizer,
) -> None:
    """Equal situations read equally, whatever the order of declaration."""
    people = Identifiers(employee_names=("Ana Ruiz", "Bo Chen"))
    result = anonymized(anonymizer, "Ask Bo, then Ana", people, script="Ana and Bo will call")
    assert result.insight.action == "Ask [employee_1], then [employee_2]"
    assert result.insight.script == "[employee_2] and [employee_1] will call"


def test_a_customer_of_high_value_is_called_so(anonymizer: Anonymizer) -> None:
    """The role tells what the network may learn from, the person's worth as a range."""
    result = anonymized(anonymizer, "Call Jane", DECLARED, conditions={"ltv": 900})
    assert result.insight.action == "Call [high_value_customer]"
    assert result.insight.conditions == {"ltv": "high"}


def test_values_of_forbidden_keys_are_scrubbed_from_the_texts(anonymizer: Anonymizer) -> None:
    """A name that only the conditions gave away does not survive in the script."""
    result = anonymized(anonymizer, "mark said no", conditions={"customer_name": "Mark Best"})
    assert result.insight.action == "[customer] said no"
    assert result.insight.conditions == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mail kim.lee+spa@example.co.uk now", "email"),
        ("mail kim (at) example (dot) com now", "email"),
        ("ring (512) 555-0199 now", "phone"),
        ("ring five five five oh one nine nine now", "phone"),
        ("card 4111 1111 1111 1111 declined", "card"),
        ("ssn 078-05-1120 on file", "ssn"),
        ("see https://example.com/jane today", "url"),
        ("at 192.168.4.77 since noon", "ip"),
        ("at 2001:db8::8a2e:370:7334 since noon", "ip"),
        ("follow @jane_does today", "handle"),
        ("drop off at 1600 Pine Street, Austin, TX 78701 today", "address"),
        ("drop off at PO Box 88 today", "address"),
        ("the pin is 30.26721, -97.74312 today", "coordinates"),
        ("reference 99887766 today", "number"),
    ],
)
def test_identifiers_with_a_form_are_recognized(
    anonymizer: Anonymizer, text: str, kind: str
) -> None:
    """Each kind is masked and counted; nothing of its digits or letters is left."""
    result = anonymized(anonymizer, text)
    assert sum(result.report.masked.values()) == 1
    assert set(result.report.masked) <= {kind, "phone", "number"}
    assert not any(char.isdigit() for char in result.insight.action)
    assert "jane" not in result.insight.action


@pytest.mark.parametrize(
    ("text", "coarse"),
    [
        ("spent $1,250.00 in total", "spent [high_amount_1000_and_over] in total"),
        ("a $45 voucher", "a [low_amount_40_49] voucher"),
        ("paid 120 dollars", "paid [medium_amount_100_149]"),
        ("since March 14, 2024", "since March"),
        ("since 2024-03-14T15:30Z", "since March"),
        ("guests aged 45", "guests aged [age_45_54]"),
        ("20% off a 60 minute massage after 8 weeks", "20% off a 60 minute massage after 8 weeks"),
        ("60/90/120 minute sessions", "60/90/120 minute sessions"),
    ],
)
def test_figures_are_made_coarse_and_discounts_stay(
    anonymizer: Anonymizer, text: str, coarse: str
) -> None:
    """Amounts, dates and ages go; discounts and durations are what an insight is about."""
    assert anonymized(anonymizer, text).insight.action == coarse


@pytest.mark.parametrize(
    "text",
    [
        "Grace called about the gift card",
        "text rose about her appointment",
        "Thanks, Young",
        "Mrs. Price wants a refund",
        "Brown, Mary booked twice",
        "C. Wing cancelled",
        "xiomara okonkwo-smith left",
        "Nguyễn Thị Hương booked",
        "王小明 booked",
        "J-a-n-e booked",
    ],
)
def test_names_that_nobody_declared_do_not_survive(anonymizer: Anonymizer, text: str) -> None:
    """Names that are words, surnames alone, other scripts and spelled-out names are masked."""
    left = anonymized(anonymizer, text).insight.action
    for word in ("Grace", "rose", "Young", "Price", "Brown", "Mary", "Wing", "xiomara", "okonkwo"):
        assert word not in left
    assert left.isascii()
    assert "J-a-n-e" not in left


@pytest.mark.parametrize(
    "phrase",
    [
        "Swedish Massage",
        "Brazilian wax",
        "Gold package",
        "Monday",
        "Rose facial",
        "Hi {name}, {favorite_service}!",
    ],
)
def test_the_words_of_the_trade_survive(anonymizer: Anonymizer, phrase: str) -> None:
    """Nationalities, weekdays, tiers, scents and placeholders are no people."""
    assert anonymized(anonymizer, phrase).insight.action == phrase


def test_a_placeholder_cannot_smuggle_a_name(anonymizer: Anonymizer) -> None:
    """Braces protect known words, not whatever stands in them."""
    assert "jane" not in anonymized(anonymizer, "Hi {jane_doe} and {grace}").insight.action


def test_protected_phrases_pass(anonymizer: Anonymizer) -> None:
    """A service of the catalog keeps its name, even when it holds a first name."""
    text = "Book a Grace & Glow Facial today"
    assert anonymized(anonymizer, text).insight.action == text


def test_a_word_that_k_accounts_use_is_known_but_a_name_never() -> None:
    """The store may approve words; it cannot approve a name."""
    approved = frozenset({"glowzilla", "jennifer"})
    result = anonymized(Anonymizer.default(approved=approved), "offer glowzilla to jennifer")
    assert result.insight.action == "offer glowzilla to [person]"


def test_a_type_that_may_be_a_name_becomes_other(anonymizer: Anonymizer) -> None:
    """`jane_doe_churn` is a valid identifier and no plausible type."""
    result = anonymized(anonymizer, "call", kind="jane_doe_churn")
    assert result.insight.type == "other"
    assert ("type", "NOT_PLAUSIBLE") in [
        (drop.field, drop.reason) for drop in result.report.dropped
    ]


@pytest.mark.parametrize(
    "label",
    listed(
        "medispa med_spa medspa day_spa esthetics aesthetics barbershop barber nail_salon tanning yoga "
        "pilates crossfit wellness cafe laundromat dental physio chiropractic massage hair beauty "
        "clinic studio fitness bank restaurant bakery hotel daycare realtor hvac skincare telehealth "
        "no_show_recovery reorder_reminder chargeback"
    ),
)
def test_ordinary_lines_of_business_need_no_release(anonymizer: Anonymizer, label: str) -> None:
    """As a type and as a category they stay what they are."""
    safe = anonymizer.anonymize(Insight("", label, label, {}, "", "", 0.5), NOBODY).insight
    assert (safe.type, safe.business_category) == (label, label)


@pytest.mark.parametrize(
    ("category", "declared"),
    [
        ("spa", Identifiers(business_names=("The Spa",))),
        ("barber", Identifiers(customer_names=("Jane Barber",))),
        ("day_spa", Identifiers(employee_names=("Zoe Day",))),
    ],
)
def test_no_declared_name_moves_an_account_to_another_category(
    anonymizer: Anonymizer, category: str, declared: Identifiers
) -> None:
    """An account would be refused as being in another category than it is registered in."""
    answer = anonymizer.anonymize(Insight("", "upsell", category, {}, "", "", 0.5), declared)
    assert answer.insight.business_category == category


def test_sums_are_shared_with_two_significant_digits(anonymizer: Anonymizer) -> None:
    """No invoice can be looked up by its amount."""
    safe = anonymized(anonymizer, "call").insight
    assert (safe.dollar_value, safe.potential_value) == (1200.0, 88.0)


def broken(_draft: Draft) -> None:
    """A layer that fails."""
    raise RuntimeError


@pytest.mark.parametrize(
    "layer",
    [
        "declared",
        "protected",
        "recognizers",
        "slips",
        "coverage",
        "establishments",
        "names",
        "health",
        "unknown_words",
    ],
)
def test_a_layer_that_raises_drops_the_texts_and_keeps_the_structure(layer: str) -> None:
    """Fail closed: no text passes a layer that could not look at it."""
    anonymizer = Anonymizer.default()
    anonymizer.layers[layer] = broken
    result = anonymized(anonymizer, "offer a facial", conditions={"service": "facial", "ltv": 90})
    assert result.insight.action == ""
    assert result.insight.conditions == {"ltv": "low"}
    assert {drop.reason for drop in result.report.dropped} >= {f"{layer.upper()}_LAYER_FAILED"}


def test_a_failing_second_look_drops_the_text() -> None:
    """A hit after masking, or a second look that fails, means drop."""
    anonymizer = Anonymizer.default()
    anonymizer.recheck = lambda _text: "phone"
    assert anonymized(anonymizer, "offer a facial").report.dropped[-1].reason == "IDENTIFIER_LEFT"


def test_what_a_blind_layer_lets_through_is_caught_by_the_second_look() -> None:
    """Without its recognizers the anonymizer drops a telephone number instead of passing it."""
    anonymizer = Anonymizer.default()
    anonymizer.layers["recognizers"] = lambda _draft: None
    result = anonymized(anonymizer, "call 512 555 0134 today")
    assert result.insight.action == ""
    assert result.report.dropped[-1].reason == "IDENTIFIER_LEFT"


def test_lost_word_lists_drop_every_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without its data the anonymizer vouches for nothing, and says so."""
    monkeypatch.setattr(
        "keeper_grpc.privacy.text.vocabulary.DATA", tmp_path_factory.mktemp("empty")
    )
    default_vocabulary.cache_clear()
    try:
        result = anonymized(Anonymizer.default(), "offer a facial", conditions={"ltv": 5})
    finally:
        default_vocabulary.cache_clear()
    assert result.insight.action == ""
    assert result.insight.type == "other"
    assert {drop.reason for drop in result.report.dropped} == {"WORD_LISTS_LOST"}


def test_an_altered_word_list_counts_as_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A file that is not what was built must not decide what may stay."""
    copy = tmp_path_factory.mktemp("data")
    for path in word_lists.DATA.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "vocabulary.txt").write_text("jane\ndoe\n")
    monkeypatch.setattr("keeper_grpc.privacy.text.vocabulary.DATA", copy)
    default_vocabulary.cache_clear()
    try:
        assert Anonymizer.default().vocabulary is None
    finally:
        default_vocabulary.cache_clear()


def test_a_text_over_the_cap_is_dropped(anonymizer: Anonymizer) -> None:
    """What is longer than any script is no script."""
    result = anonymized(anonymizer, "facial " * 4_000)
    assert result.report.dropped[-1].reason == "TEXT_TOO_LONG"


def test_a_text_that_grows_over_the_cap_is_dropped() -> None:
    """Some characters normalize to eighteen; the cap holds after normalization, too."""
    anonymizer = Anonymizer(vocabulary=default_vocabulary(), max_text=100)
    assert anonymized(anonymizer, "\ufdfa" * 50).report.dropped[-1].reason == "TEXT_TOO_LONG"


def test_an_exhausted_budget_drops_the_text() -> None:
    """An insight that costs too much is not half masked."""
    anonymizer = Anonymizer(vocabulary=default_vocabulary(), time_budget=0.0)
    assert (
        anonymized(anonymizer, "offer a facial").report.dropped[-1].reason == "TIME_BUDGET_EXCEEDED"
    )


@pytest.mark.parametrize(
    "text",
    [
        "La clienta quiere reservar un masaje relajante para el viernes por la tarde",
        "Die Kundin möchte am Freitag eine Massage und eine Maniküre buchen",
        "Клиентка хочет записаться на массаж в пятницу вечером после работы",
    ],
)
def test_a_language_that_is_not_covered_is_dropped(anonymizer: Anonymizer, text: str) -> None:
    """The name rules are English; elsewhere they would vouch for too little."""
    assert anonymized(anonymizer, text).report.dropped[-1].reason == "LANGUAGE_NOT_COVERED"


def test_invisible_characters_and_fancy_letters_hide_nothing(anonymizer: Anonymizer) -> None:
    """Zero-width marks, full-width digits and mathematical letters are read as what they show."""
    text = "call Ja\u200bne, \uff15\uff11\uff12 \uff15\uff15\uff15 \uff10\uff11\uff13\uff14, \U0001d409\U0001d41a\U0001d427\U0001d41e"
    left = anonymized(anonymizer, text, DECLARED).insight.action
    assert left == "call [customer], [phone], [customer]"


def test_input_cannot_forge_a_slot(anonymizer: Anonymizer) -> None:
    """Private-use characters of the input are blanks, not references to what was masked."""
    assert anonymized(anonymizer, "a \U000f0000 facial").insight.action == "a   facial"


HOSTILE: dict[str, Callable[[int], str]] = {
    "at signs": lambda size: "a@" * (size // 2),
    "dots": lambda size: "a." * (size // 2),
    "digits": lambda size: "1" * size,
    "spaced digits": lambda size: "1 " * (size // 2),
    "addresses": lambda size: "12 a a a a st " * (size // 14),
    "braces": lambda size: "{" * size,
    "apostrophes": lambda size: "a'" * (size // 2),
    "one word": lambda size: "x" * size,
    "names": lambda size: "Will Rose " * (size // 10),
    "combining marks": lambda size: "e\u0301\u0323" * (size // 3),
    "number words": lambda size: "five " * (size // 5),
}


def _spent(anonymizer: Anonymizer, text: str) -> float:
    """Seconds of processor time, at best: RE2 builds an automaton for a new shape of text once."""
    spent = []
    for _ in range(3):
        started = time.thread_time()
        anonymized(anonymizer, text, DECLARED)
        spent.append(time.thread_time() - started)
    return min(spent)


@pytest.mark.parametrize("shape", HOSTILE)
@pytest.mark.parametrize("size", [MAXIMUM_TEXT, 16_384])
def test_hostile_text_costs_in_proportion_to_its_length(
    anonymizer: Anonymizer, shape: str, size: int
) -> None:
    """No shape of input makes matching quadratic: a text of four times the length would take sixteen times as long, and takes less than ten."""
    text = HOSTILE[shape]
    assert _spent(anonymizer, text(size)) < 10 * _spent(anonymizer, text(size // 4)) + 0.01


@settings(max_examples=150)
@given(st.text(max_size=200), st.text(max_size=30))
def test_no_content_makes_it_raise(text: str, name: str) -> None:
    """Whatever the texts and the declared names are, there is an answer."""
    anonymizer = Anonymizer.default()
    result = anonymized(anonymizer, text, Identifiers(customer_names=(name,), addresses=(name,)))
    assert isinstance(result.insight.action, str)
    assert not any(drop.reason.endswith("_LAYER_FAILED") for drop in result.report.dropped)


@settings(max_examples=60)
@given(st.sampled_from(["Offer {} to lapsed guests", "{} said yes", "call {}", "ask {}, please"]),
       st.sampled_from(sorted(default_vocabulary().given_names)))  # fmt: skip
def test_a_listed_given_name_never_survives(template: str, name: str) -> None:
    """Any given name of the lists that is no word is masked in any case, anywhere."""
    anonymizer = Anonymizer.default()
    for written in (name, name.title(), name.upper()):
        left = anonymized(anonymizer, template.format(written)).insight.action
        assert name not in left.lower().split()


def test_an_empty_vocabulary_masks_every_word() -> None:
    """The threshold, not the name lists, is what makes the promise hold."""
    anonymizer = Anonymizer(vocabulary=Vocabulary(known=frozenset({"offer"})))
    assert anonymized(anonymizer, "offer zzyzx", kind="offer").insight.action == "offer [other]"
