from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.dashboard.filters import Dates, Filter
from keeper_grpc.dashboard.look import figures, glossary
from keeper_grpc.dashboard.look import money as amounts
from keeper_grpc.dashboard.look.glossary import GLOSSARY
from keeper_grpc.dashboard.look.masks import plainly
from keeper_grpc.dashboard.look.money import Money, in_currency, known_currency
from keeper_grpc.dashboard.look.sparkline import points
from keeper_grpc.dashboard.sections.try_next import because, chosen, sure
from keeper_grpc.dashboard.upstream.feed import until_midnight
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence, Pattern

PAGE = Path(__file__).parents[3] / "docs" / "dashboard.md"

TODAY = date(2026, 11, 30)


def test_the_docs_explain_the_same_words() -> None:
    """The table of docs/dashboard.md is the glossary that the pages show."""
    table = PAGE.read_text(encoding="utf-8").partition("## Words\n")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", table, re.MULTILINE)[1:]) == GLOSSARY


def test_every_word_that_is_explained_stands_on_a_page() -> None:
    """A word that was renamed on its page keeps no meaning that nobody sees."""
    pages = Path(glossary.__file__).parents[1].rglob("*.py")
    written = "".join(
        page.read_text(encoding="utf-8") for page in pages if page != Path(glossary.__file__)
    )
    assert [word for word in GLOSSARY if f'"{word}"' not in written] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "Have [employee_1] offer [customer] a facial",
            "Have [employee] offer [customer] a facial",
        ),
        (
            "Let [employee_1] ask [employee_2] at [business_name_1]",
            "Let [employee 1] ask [employee 2] at [business name]",
        ),
        ("Let [employee_2] ask [employee_2]", "Let [employee] ask [employee]"),
        ("Take room [1] or [b_2c]", "Take room [1] or [b_2c]"),
    ],
)
def test_a_mask_has_a_number_only_where_there_are_several(text: str, shown: str) -> None:
    """And no underscore: the page is for people."""
    assert plainly(text) == shown


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (1.0, "None before"),
        (0.78, "4.5 times"),
        (0.5, "2 times"),
        (0.0, "As many"),
        (0.04, "As many"),
        (-0.5, "0.5 times"),
        (-1.0, "None of late"),
    ],
)
def test_growth_is_how_many_times_as_many_came(rate: float, said: str) -> None:
    """The API's rate is 0.5 where they doubled: written as +50% it would tell of half as many more."""
    assert figures.growth(rate) == said


@pytest.mark.parametrize(
    ("value", "currency", "written"),
    [
        (1600.4, "USD", "$1,600"),
        (-250.0, "EUR", "-\N{EURO SIGN}250"),
        (12.5, "USD", "$12.50"),
        (12.4, "JPY", "\N{YEN SIGN}12"),
        (1600.0, "CHF", "CHF\N{NO-BREAK SPACE}1,600"),
    ],
)
def test_an_amount_is_written_as_its_currency_is(value: float, currency: str, written: str) -> None:
    """With its sign, and with cents where they matter and where it has any."""
    assert in_currency(value, currency) == written


def test_without_a_currency_an_amount_is_a_plain_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several currencies added up, no sign would be true."""
    assert amounts.money(1600.4) == "1,600"
    assert Money.words() == "in the accounts' currencies"
    monkeypatch.setattr(Money, "currency", "EUR")
    assert amounts.money(1600.4) == "\N{EURO SIGN}1,600"
    assert Money.words() == "in EUR"
    assert known_currency("EUR")
    assert not known_currency("EURO")


@given(st.dates(date(2017, 1, 1), TODAY), st.dates(date(2017, 1, 1), TODAY))
def test_dates_survive_their_address(one: date, other: date) -> None:
    """Whichever is named first; a line of business stays with them."""
    found = Filter.from_query("spa", "", str(one), str(other), TODAY)
    assert found.dates == Dates(min(one, other), max(one, other))
    said = dict(part.split("=") for part in found.query.removeprefix("?").split("&"))
    assert Filter.from_query(said["category"], "", said["from"], said["to"], TODAY) == found


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("", "2026-11-01", None),
        ("2026-02-30", "2026-11-01", None),
        ("20261101", "", None),
        ("2026-11-01", "", Dates(date(2026, 11, 1), TODAY)),
        ("2026-11-01", "2027-01-01", Dates(date(2026, 11, 1), TODAY)),
        ("1990-01-01", "2026-01-01", Dates(TODAY - timedelta(days=3_650), date(2026, 1, 1))),
    ],
)
def test_dates_that_are_none_or_beyond_what_there_is(
    first: str, last: str, expected: Dates | None
) -> None:
    """Nothing that the API would refuse is asked of it, and nothing of tomorrow."""
    assert Filter.from_query("", "", first, last, TODAY).dates == expected


def test_chosen_dates_are_read_anew_when_a_day_begins() -> None:
    """A window of the API's ends now, so that the same dates need a longer one tomorrow."""
    evening = datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC)
    assert until_midnight(evening) == 30
    assert until_midnight(evening + timedelta(seconds=30)) == 86_400


@given(st.dates(date(2017, 1, 1), TODAY), st.integers(1, 400))
def test_the_period_before_has_as_many_days_and_ends_where_it_begins(
    first: date, days: int
) -> None:
    """No day is in both, none between them."""
    dates = Dates(first, first + timedelta(days=days - 1))
    assert dates.before.days == dates.days == days
    assert dates.before.last + timedelta(days=1) == dates.first


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=14))
def test_a_curve_stays_in_its_box(values: list[float | None]) -> None:
    """Each value that there is has a point, and with fewer than two there is no line."""
    found = points(values)
    known = [value for value in values if value is not None]
    places = [tuple(map(float, each.split(","))) for each in found.split()]
    assert len(places) == (len(known) if len(known) > 1 else 0)
    assert all(0 <= x <= 96 and 0 <= y <= 24 for x, y in places)


def pattern(name: str, category: str = "spa", **told: object) -> Pattern:
    """A pattern with evidence."""
    return Pattern(
        pattern_id=name,
        business_category=category,
        pattern_type="churn_prevention",
        evidence=Evidence(
            occurrence_count=20,
            success_count=16,
            account_count=5,
            success_rate=0.8,
            lower_bound=0.6,
        ),
        **told,  # type: ignore[arg-type]  # fields of the message
    )


def test_what_to_try_next_is_the_surest_that_is_advised() -> None:
    """Nothing that fades, harms or is untested; of the whole network the surest of each line of business."""
    listed = [
        pattern("fading", state=Pattern.STATE_FADING),
        pattern("harmful", crossed_guardrails=[Pattern.GUARDRAIL_COMPLAINTS]),
        Pattern(pattern_id="untested", business_category="spa"),
        pattern("one"),
        pattern("two"),
        pattern("gym", "gym"),
        pattern("three"),
    ]
    assert [each.pattern_id for each in chosen(listed, "")] == ["one", "gym"]
    spas = [each for each in listed if each.business_category == "spa"]
    assert [each.pattern_id for each in chosen(spas, "spa")] == ["one", "two", "three"]


def test_a_suggestion_says_how_sure_it_is_and_why() -> None:
    """The rate with its bound, the cases with their owners, and for what it is."""
    made = pattern("one")
    made.conditions.update({"days_since_visit": 60})
    assert sure(made) == "Works 80% of the time; with 95% certainty at least 60%."
    why = because(made)
    assert "16 of 20 reported cases succeeded, at 5 owners" in why
    assert "For churn prevention, first seen when days since visit is 60." in why
