from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.importing.failure import Problem
from keeper_grpc.importing.mapping.numbers import (
    DecimalMark,
    Exact,
    Percent,
    currencies,
    distinct,
    number,
    percentage,
    readings,
)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("$1,200.50", 1200.5),
        ("1.234,56 €", 1234.56),
        ("1 200,50", 1200.5),
        ("1\u00a0200,50", 1200.5),
        ("1\u202f200,50", 1200.5),
        ("1'234.50", 1234.5),
        ("12,34,567.50", 1234567.5),
        ("($85.50)", -85.5),
        ("-$85.50", -85.5),
        ("$-85.50", -85.5),
        ("85.50-", -85.5),
        ("\u221285,50", -85.5),
        ("R$ 1.234,00", 1234.0),
        ("$1,200.50 USD", 1200.5),
        ("5 kr", 5.0),
        ("0.125", 0.125),
        ("1.234.567", 1234567.0),
        ("1e3", 1000.0),
    ],
)
def test_a_number_with_one_reading_needs_nobodys_word(cell: str, value: float) -> None:
    """Signs, currencies and groups of every locale are read by their form alone."""
    assert number(cell, "Total", None) == value


@pytest.mark.parametrize("cell", ["1,200", "1.234", "$12,345", "1.200 €", "(1,200)"])
def test_a_number_with_two_readings_is_refused_until_somebody_says_which(cell: str) -> None:
    """The two are a thousand times apart, so the message says what to write."""
    with pytest.raises(Problem) as caught:
        number(cell, "Total", None)

    assert caught.value.code == "AMBIGUOUS_NUMBER"
    assert "decimal" in caught.value.description
    point, comma = number(cell, "Total", "."), number(cell, "Total", ",")
    assert max(point / comma, comma / point) == pytest.approx(1000)


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "-",
        "€",
        "nan",
        "inf",
        "1e999",
        "1_000",
        "1,23,4",
        "12.34.56",
        "--5",
        "8.5k",
        "20%",
        "1 2",
        "85\u2075\u2070",
    ],
)
def test_what_is_no_number_is_none(cell: str) -> None:
    """A slip of the pen, a share, a thousand in letters and a number too large are not guessed."""
    assert readings(cell) == {}


@pytest.mark.parametrize(("cell", "mark"), [("85.50", ","), ("85,50", "."), ("1.234,56", ".")])
def test_a_number_against_the_declared_mark_is_refused(cell: str, mark: DecimalMark) -> None:
    """What the mapping says holds, also where the cell has a reading of its own."""
    with pytest.raises(Problem) as caught:
        number(cell, "Total", mark)

    assert caught.value.code == "NOT_A_NUMBER"


@given(
    st.decimals(min_value=-10_000_000, max_value=10_000_000, places=2),
    st.sampled_from(
        [(",", "."), (".", ","), (" ", ","), ("\u202f", ","), ("'", "."), ("", "."), ("", ",")]
    ),
    st.sampled_from(["{}", "${}", "{} €", "EUR {}", "£{}"]),
)
def test_an_amount_means_the_same_in_every_locale(
    amount: object, locale: tuple[str, str], currency: str
) -> None:
    """However it is grouped, marked and labelled, with two decimals it has one reading."""
    group, mark = locale
    written = f"{amount:,}".replace(",", "\0").replace(".", mark).replace("\0", group)

    assert set(readings(currency.format(written)).values()) == {float(str(amount))}


def test_the_currencies_of_an_amount_are_known() -> None:
    """A column that mixes them cannot be added up."""
    assert currencies("$5") == {"$"}
    assert currencies("5 EUR") == currencies("\u20ac5") == {"EUR"}
    assert currencies("C$5") == {"CAD"}
    assert distinct({"$", "USD"}) == {"USD"}
    assert currencies("5") == frozenset()


@pytest.mark.parametrize(
    ("cell", "means"),
    [
        ("CHF 85.-", 85.0),
        ("85,- \u20ac", 85.0),
        ("85.\u2013", 85.0),
        ("\u20b91,20,000/-", 120_000.0),
        ("$(85.50)", -85.5),
        ("85.50-", -85.5),
        ("1,2E+03", 1200.0),
        ("\uff11\uff12\uff13\uff0e\uff15\uff10", 123.5),
        ("\u0661\u066c\u0662\u0663\u0664\u066b\u0665", 1234.5),
        ("\u200e$85.50", 85.5),
    ],
)
def test_dashes_brackets_and_digits_of_other_scripts_are_read(cell: str, means: float) -> None:
    """A dash for no cents is no minus, and a bracket behind a sign is one."""
    assert set(readings(cell).values()) == {means}


@pytest.mark.parametrize(
    ("cell", "said"),
    [("n/a", 'missing: ["n/a"]'), ("-", 'missing: ["-"]'), ("20%", "percent: share")],
)
def test_a_cell_without_a_number_says_what_to_write(cell: str, said: str) -> None:
    """Only words of our own lists are repeated."""
    with pytest.raises(Problem) as caught:
        number(cell, "Total", None)

    assert said in caught.value.description


@pytest.mark.parametrize(
    ("cell", "percent", "value"),
    [
        ("20%", "share", 0.2),
        ("20%", "points", 20.0),
        ("7 %", "share", 0.07),
        ("%12,5", "points", 12.5),
        ("-3.5%", "points", -3.5),
        ("\uff12\uff10\uff05", "share", 0.2),
        ("0", "share", 0.0),
        (Exact("0.2"), "share", 0.2),
    ],
)
def test_a_percentage_is_what_the_mapping_declares(
    cell: str, percent: Percent, value: float
) -> None:
    """With blanks, signs, in front or behind; a workbook shows 20% of what it keeps as 0.2."""
    assert percentage(cell, "Rate", None, percent) == value


@pytest.mark.parametrize(
    ("cell", "percent"), [("20", "share"), ("0.2", "points"), (Exact("0.2"), "points")]
)
def test_a_number_among_percentages_has_no_meaning_of_its_own(cell: str, percent: Percent) -> None:
    """20 without a sign may be 20% or 2,000%."""
    with pytest.raises(Problem, match="without a percent sign") as caught:
        percentage(cell, "Rate", None, percent)

    assert caught.value.code == "NOT_A_PERCENTAGE"


@pytest.mark.parametrize("cell", ["5%-10%", "2%0", "%", "20%" + " " * 1000])
def test_what_is_no_percentage_is_no_number(cell: str) -> None:
    """A range, a sign among the digits, a sign alone."""
    with pytest.raises(Problem) as caught:
        percentage(cell, "Rate", None, "share")

    assert caught.value.code == "NOT_A_NUMBER"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        *(
            (cell, "write cents as 0.50")
            for cell in ("50\u00a2", "\u00a250", "50\uffe0", "50c", "50 c")
        ),
        *(
            (cell, "holds no number")
            for cell in ("ca. 5", "5 S", "5 US", "A5", "50+", "$50+", "1e-400", "-1e-400")
        ),
        *((cell, "a dash beside a currency") for cell in ("$-", "$ -", " - \u20ac", "EUR --")),
    ],
)
def test_what_is_near_a_number_is_none(cell: str, said: str) -> None:
    """Cents are no dollars, `ca.` is no Canadian dollar, and `50+` is 50 or more."""
    with pytest.raises(Problem, match=said) as caught:
        number(cell, "Total", None)

    assert caught.value.code == "NOT_A_NUMBER"


@pytest.mark.parametrize(
    ("cell", "mark", "value"),
    [
        ("01,200", ".", 1200.0),
        ("01,200", ",", 1.2),
        ("0001.200", ",", 1200.0),
        ("00,500", None, 0.5),
    ],
)
def test_a_padded_number_has_the_readings_of_its_digits(
    cell: str, mark: DecimalMark | None, value: float
) -> None:
    """Zeros in front of `1,200` do not say that its comma is a decimal one."""
    assert number(cell, "Total", mark) == value
    if mark is not None:
        with pytest.raises(Problem) as caught:
            number(cell, "Total", None)
        assert caught.value.code == "AMBIGUOUS_NUMBER"


def test_every_currency_sign_is_known() -> None:
    """The signs are listed, because to look for them takes longer than an import's other preparations."""
    signs = [chr(code) for code in range(0x10000) if unicodedata.category(chr(code)) == "Sc"]

    cents = ["\u00a2", "\uffe0"]
    assert [sign for sign in signs if not readings(f"{sign}85.50")] == cents
