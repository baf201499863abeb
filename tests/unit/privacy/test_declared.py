"""What was declared is gone: names that are words, businesses in templates and labels, addresses."""

from __future__ import annotations

import time

import pytest

from keeper_grpc.domain.insight import Anonymized, Identifiers, Insight, JsonValue
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.privacy.layers.declared.scrubber import DeclaredScrubber
from keeper_grpc.privacy.text.draft import Record
from keeper_grpc.privacy.text.vocabulary import default_vocabulary


@pytest.fixture(scope="module")
def anonymizer() -> Anonymizer:
    """The default anonymizer with two services in the catalog."""
    return Anonymizer.default(protected_phrases=["Hot Stone Massage", "Grace & Glow Facial"])


def anonymized(
    anonymizer: Anonymizer,
    action: str,
    *,
    kind: str = "upsell",
    category: str = "spa",
    conditions: dict[str, JsonValue] | None = None,
    **declared: tuple[str, ...],
) -> Anonymized:
    """The answer for an insight with this action and these declared identifiers."""
    insight = Insight("", kind, category, conditions or {}, action, "", 0.5)
    return anonymizer.anonymize(insight, Identifiers(**declared))


CONTEXTS = (
    "{} allergic to latex so use vinyl",
    "waiting on {}",
    "per {}, no fragrance",
    "call {} back before noon",
    "{} party of 6 at noon",
    "the {} account is past due",
    "the {} family package",
    "no show {} again",
    "ask for big {}",
    "{} facial at 3",
    "{} massage 2:30",
    "3pm {} brows",
    "{} the regular",
    "{} will be late",
    "mr. {} + 1",
    "({}) cannot stand",
    "#{}",
    "{}'s card declined",
    "the {}s cancelled",
    "the {}s' bill",
)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize(
    "name",
    [
        "rose",
        "will",
        "may",
        "mark",
        "hope",
        "june",
        "art",
        "jade",
        "long",
        "price",
        "stone",
        "day",
        "young",
        "best",
        "gold",
        "lord",
        "judge",
        "love",
        "page",
        "cash",
    ],
)
def test_a_declared_name_that_is_a_word_is_gone(
    anonymizer: Anonymizer, context: str, name: str
) -> None:
    """In small letters, with a capital and shouted, as a given name and as a surname."""
    given = () if name in {"lord", "judge"} else (f"{name.title()} Kowalczyk",)
    for full in (*given, f"Delphine {name.title()}"):
        for written in (name, name.title(), name.upper()):
            text = context.format(written)
            left = anonymized(anonymizer, text, customer_names=(full,)).insight.action
            assert left.lower().replace("[customer]", "").count(name) == 0, (text, left)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Rose Doe", "offer a rose facial and rose oil"),
        ("Will Doe", "clients will call; the waitlist will move"),
        ("May Doe", "every guest may rebook in May"),
        ("Mark Doe", "mark the file and love your lashes"),
        ("Ann Long", "a 60 minutes long massage for long hair"),
        ("Ann Price", "the price is up, so is the price list"),
        ("Ann Day", "a day pass and a day spa"),
        ("Ann Young", "a young client with young skin"),
        ("June Doe", "a june special until june"),
        ("Rose Doe", "prices rose last month"),
        ("Ann Stone", "hot stone massage"),
        ("Ann You", "you asked, we listened"),
        ("Wei An", "book an add-on"),
    ],
)
def test_the_same_word_stays_where_it_is_plainly_one(
    anonymizer: Anonymizer, name: str, text: str
) -> None:
    """A service phrase, a verb with its subject or object, a date, a measure, a thing."""
    assert anonymized(anonymizer, text, customer_names=(name,)).insight.action == text


@pytest.mark.parametrize(
    "template",
    [
        "Welcome to {{{0}}}!",
        "{{{{ {0} }}}} opens",
        "{{{0}_offer}} ends",
        "book_{0} now",
        "<{0}> opens",
        "[{0}] opens",
        "see %{0}% today",
        "${{{0}}} is open",
    ],
)
@pytest.mark.parametrize("written", ["gold_room", "GoldRoom", "goldroom", "gold-room", "Gold Room"])
def test_a_declared_business_is_gone_from_templates(
    anonymizer: Anonymizer, template: str, written: str
) -> None:
    """Declared words are looked for before any placeholder is protected."""
    text = template.format(written)
    left = anonymized(anonymizer, text, business_names=("The Gold Room",)).insight.action
    assert "gold" not in left.lower()


def test_people_in_placeholders_go_and_ordinary_placeholders_stay(anonymizer: Anonymizer) -> None:
    """`{stone}` is Mr Stone; `{first_name}` is nobody."""
    text = "Hi {first_name}, ask {stone} about {service}"
    left = anonymized(anonymizer, text, employee_names=("Ann Stone",)).insight.action
    assert left == "Hi {first_name}, ask [employee_1] about {service}"


def test_a_business_named_like_a_service_goes_too(anonymizer: Anonymizer) -> None:
    """The catalog protects its services from guesses, not from declarations."""
    text = "Welcome to Hot Stone Massage"
    assert anonymized(anonymizer, text).insight.action == text
    left = anonymized(anonymizer, text, business_names=("Hot Stone Massage",)).insight.action
    assert left == "Welcome to [business]"


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ("Salt & Stone", "salt and stone, salt n stone, Salt + Stone, saltandstone"),
        ("Nail Bar", "at nail bar and at the Nail Bar"),
        ("Planet Fitness", "planet fitnes and Planet-Fitness's"),
        ("The Body Shop", "the body shop"),
    ],
)
def test_spellings_of_a_business_are_gone(anonymizer: Anonymizer, declared: str, text: str) -> None:
    """Also of one whose words say only what kind of business it is."""
    left = anonymized(anonymizer, f"see {text}", business_names=(declared,)).insight.action
    telling = {"salt", "stone", "planet", "fitnes", "nail", "body", "saltandstone"}
    assert not telling & set(left.lower().replace(",", " ").split())


def test_labels_are_looked_at_before_what_is_remembered(anonymizer: Anonymizer) -> None:
    """A label that another call sent undeclared is `other` for whom it identifies."""
    for kind, name in (("planet_fitness", "Planet Fitness"), ("gold_room_offer", "Gold Room")):
        assert anonymized(anonymizer, "call", kind=kind).insight.type == kind
        safe = anonymized(anonymizer, "call", kind=kind, business_names=(name,)).insight
        assert safe.type == "other"
        assert anonymized(anonymizer, "call", kind=kind).insight.type == kind


def test_a_category_that_is_the_business_becomes_other(anonymizer: Anonymizer) -> None:
    """All its words are of the trade, and two of them in a row are its name."""
    for declared, category in (((), "gold_spa"), (("Gold Spa",), "other")):
        safe = anonymized(anonymizer, "call", category="gold_spa", business_names=declared).insight
        assert safe.business_category == category


def test_a_condition_that_is_a_declared_name_is_withheld(anonymizer: Anonymizer) -> None:
    """A value of masks only says nothing, and is equal to every other such value."""
    answer = anonymized(
        anonymizer,
        "call",
        conditions={"service": "rose hill", "segment": "rose hill regulars"},
        business_names=("Rose Hill",),
    )
    assert answer.insight.conditions == {"segment": "[business] regulars"}
    assert ("conditions.service", "NOTHING_LEFT") in [
        (drop.field, drop.reason) for drop in answer.report.dropped
    ]


@pytest.mark.parametrize(
    "text",
    [
        "61 Dogwood",
        "dogwood lane",
        "61 Dogwood Ln, unit 2",
        "sixty one dogwood lane",
        "Springfield 62704",
    ],
)
def test_parts_and_spellings_of_a_declared_address_are_gone(
    anonymizer: Anonymizer, text: str
) -> None:
    """Abbreviated, in words, without suffix, with a unit that was not declared."""
    declared = ("61 Dogwood Lane, Springfield, IL 62704",)
    left = anonymized(anonymizer, f"deliver to {text}", addresses=declared).insight.action
    for word in ("61", "dogwood", "sixty", "springfield", "62704"):
        assert word not in left.lower()


def test_as_many_identifiers_as_the_api_allows_fit_into_the_budget(anonymizer: Anonymizer) -> None:
    """64 of each kind, each found, in a fraction of the 250 ms that one insight may take."""
    names = tuple(
        f"Zo{chr(97 + i // 26)}{chr(97 + i % 26)}l Quint{chr(97 + i % 26)}{chr(97 + i // 26)}x"
        for i in range(64)
    )
    declared = Identifiers(
        customer_names=names,
        business_names=tuple(f"Glow {name[::-1]}" for name in names),
        customer_emails=tuple(f"box{i}mail@example.com" for i in range(64)),
        customer_phones=tuple(f"512-555-01{i:02d}" for i in range(64)),
        addresses=tuple(
            f"{100 + i} Oak Street Apt {i}, Springfield, IL 627{i:02d}" for i in range(64)
        ),
    )
    text = f"text {names[63]} at 512 555 0163, box63mail@example.com, 163 oak st"
    started = time.thread_time()
    answer = anonymizer.anonymize(Insight("", "upsell", "spa", {}, text, "", 0.5), declared)
    assert answer.insight.action == "text [customer] at [phone], [email], [address]"
    assert time.thread_time() - started < 0.25


def test_names_beyond_the_conditions_limits_are_scrubbed_or_nothing_is_kept(
    anonymizer: Anonymizer,
) -> None:
    """A name at the end of a long list is found; with too many no text is vouched for."""
    long_list: JsonValue = [f"Zed{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10]}" for i in range(70)]
    text = "call zedjq about it"
    some = anonymized(anonymizer, text, conditions={"customer_names": long_list})
    assert some.insight.action == "call [customer] about it"
    nested: JsonValue = [[{"customer_name": "Rose Kay"}]]
    deep = anonymized(anonymizer, "rose allergic to latex", conditions={"notes": nested})
    assert deep.insight.action == "[customer] allergic to latex"
    many = anonymized(anonymizer, "call zed about it", conditions={"customer_names": ["zed"] * 300})
    assert many.insight.action == ""
    assert "TOO_MANY_VALUES" in {drop.reason for drop in many.report.dropped}


def test_a_list_that_is_cut_says_so(anonymizer: Anonymizer) -> None:
    """What is neither used nor shared is reported."""
    answer = anonymized(anonymizer, "call", conditions={"tags": ["vip"] * 66})
    assert [drop.reason for drop in answer.report.dropped] == ["TOO_MANY_ITEMS"] * 2


def test_a_scrubber_that_is_asked_leaves_its_record_alone() -> None:
    """Labels are asked about; that must not number roles or count masks."""
    record = Record()
    declared = Identifiers(customer_names=("Rose Kay",), business_names=("Gold Room",))
    scrubber = DeclaredScrubber(declared, default_vocabulary(), record)
    assert scrubber.touches("rose offer")
    assert scrubber.names_business("gold room")
    assert not scrubber.touches("facial offer")
    assert not record.masked


@pytest.mark.parametrize(
    "text",
    [
        "Welcome to {studio_54}!",
        "see you at {Studio54}",
        "from studio 54's desk",
        "STUDIO-54 members only",
        "#studio54deals",
    ],
)
def test_the_figures_of_a_business_are_part_of_its_name(anonymizer: Anonymizer, text: str) -> None:
    """`Studio` alone says what kind of business it is; `Studio 54` says which."""
    answer = anonymized(anonymizer, text, business_names=("Studio 54",))
    assert "54" not in answer.insight.action


@pytest.mark.parametrize(
    ("business", "label"),
    [("Studio 54", "studio_54_offer"), ("Glow", "vip_glow"), ("SoulCycle", "soulcycle")],
)
def test_a_category_that_says_which_business_it_is_becomes_other(
    anonymizer: Anonymizer, business: str, label: str
) -> None:
    """Words of the trade that are one business's name are no category."""
    assert anonymizer.anonymize_label(label) == label
    answer = anonymized(
        anonymizer, "offer a facial", category=label, kind=label, business_names=(business,)
    )
    assert (answer.insight.type, answer.insight.business_category) == ("other", "other")


@pytest.mark.parametrize("name", ["Barber", "Pilates", "Spa"])
def test_a_business_named_for_its_kind_keeps_its_category(
    anonymizer: Anonymizer, name: str
) -> None:
    """`barber` tells nothing of a business that is called Barber."""
    answer = anonymized(anonymizer, "offer a facial", category=name.lower(), business_names=(name,))
    assert answer.insight.business_category == name.lower()


@pytest.mark.parametrize("name", ["Rose", "Price", "Stone", "Love", "Wood"])
def test_a_family_goes_where_it_does_what_people_do(anonymizer: Anonymizer, name: str) -> None:
    """`the roses always come together`, without a capital or an apostrophe."""
    answer = anonymized(
        anonymizer, f"the {name.lower()}s always come together", customer_names=(f"Ana {name}",)
    )
    assert name.lower() not in answer.insight.action


@pytest.mark.parametrize("name", ["Summer", "May", "April", "Day", "Winter"])
@pytest.mark.parametrize("context", ["2 {} wants gel not dip", "wk 3 {} lost 4 lb"])
def test_a_number_in_front_makes_no_date_of_who_acts(
    anonymizer: Anonymizer, context: str, name: str
) -> None:
    """The number counts something else when a person's verb follows."""
    answer = anonymized(
        anonymizer, context.format(name.lower()), customer_names=(f"{name} Kowalczyk",)
    )
    assert name.lower() not in answer.insight.action.lower()
