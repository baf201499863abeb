from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keeper_grpc.domain.accounts.account_id import (
    MAX_LENGTH,
    AccountIdUnfit,
    canonical_account_id,
)

BLANKS = "\t\n\x0b\x0c\r\x1c\x1f \x85\xa0\u1680\u2000\u2003\u2009\u2028\u2029\u202f\u205f\u3000"

INVISIBLE = (
    *("\0", "\x07", "\x7f", "\x9f"),  # controls
    *("\xad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"),  # formats, of no width
    *("\u061c", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069"),  # bidirectional marks
    *("\u180e", "\ufff9", "\U0001d173", "\U000e0001", "\U000e0061", "\U000e007f"),  # more, and tags
    *(
        "\u034f",
        "\u17b4",
        "\u17b5",
        "\u180b",
        "\u180d",
        "\ufe00",
        "\ufe0f",
        "\U000e0100",
        "\U000e01ef",
    ),
    *("\u115f", "\u1160", "\u3164", "\uffa0"),  # Hangul fillers
    *("\u2800", "\U00016fe4", "\U0001d159"),  # drawn as nothing
    *("\ue000", "\U0010fffd", "\ud800", "\udfff", "\u0378", "\uffff", "\ufdd0", "\U000e0fff"),
)

VISIBLE = (
    "Glow",
    "Café",
    "glow 1",
    "日本",
    "한국",
    "हिन्दी",
    "น้ำ",
    "Երևան",
    "Ω-2",
    "💇",
    "x@y/z:1_2.3",
)


def canonical(text: str) -> str | None:
    """The account that an id names, or None where it is refused."""
    try:
        return canonical_account_id(text)
    except AccountIdUnfit:
        return None


@pytest.mark.parametrize("text", VISIBLE)
def test_an_id_in_any_script_is_kept_as_it_is(text: str) -> None:
    """What is plain and visible is an account id, and its own canonical form."""
    assert canonical_account_id(text) == text


@pytest.mark.parametrize("text", ["", *BLANKS, "  "])
def test_an_id_of_nothing_but_blanks_is_refused(text: str) -> None:
    """A cell that was left empty names no account."""
    assert canonical(text) is None


@pytest.mark.parametrize("character", INVISIBLE)
def test_what_is_not_seen_is_refused_wherever_it_stands(character: str) -> None:
    """Controls, formats, variation selectors, fillers, tags, and what no font knows."""
    for text in (f"{character}Glow", f"Gl{character}ow", f"Glow{character}", character):
        assert canonical(text) is None


def test_a_refusal_names_the_rule_and_nothing_of_the_id() -> None:
    """The message goes into errors and reports."""
    for text in (
        "Glow ",
        "Gl\u200bow",
        "Gl  ow",
        "Gl\xa0ow",
        "\ufb01ne",
        "Glow" * 99,
        "Gl\ud800ow",
    ):
        with pytest.raises(AccountIdUnfit) as caught:
            canonical_account_id(text)
        assert "low" not in str(caught.value).replace("allow", "")
        assert str(caught.value).startswith("must ")


def test_the_length_counts_after_normalization() -> None:
    """Some texts grow by it: U+0958 is two characters in NFC."""
    assert canonical("x" * MAX_LENGTH) == "x" * MAX_LENGTH
    assert canonical("x" * (MAX_LENGTH + 1)) is None
    assert canonical("\u0958" * (MAX_LENGTH // 2)) == "\u0915\u093c" * (MAX_LENGTH // 2)
    assert canonical("\u0958" * (MAX_LENGTH // 2 + 1)) is None


def test_case_is_significant() -> None:
    """Ids that differ in case are two accounts: many systems make ids of both cases."""
    assert canonical("Glow") != canonical("glow")


LOOKS: dict[str, Callable[[str], str]] = {
    "NFD": lambda text: unicodedata.normalize("NFD", text),
    "NFC": lambda text: unicodedata.normalize("NFC", text),
    "NFKC": lambda text: unicodedata.normalize("NFKC", text),
    "NFKD": lambda text: unicodedata.normalize("NFKD", text),
    "stripped": str.strip,
    "single blanks": lambda text: " ".join(text.split()),
    "without formats": lambda text: "".join(
        c for c in text if unicodedata.category(c) not in {"Cc", "Cf"}
    ),
    "visible": lambda text: "".join(c for c in text if c not in INVISIBLE),
}
"""Ways to write a text that looks the same."""

LETTERS = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("aeo\u0301\u0308\u0323\u0327\xe9\u212b\u1e69\uac01\u1100\u1161\u11a8"),
        st.sampled_from(BLANKS),
        st.sampled_from(INVISIBLE),
    ),
    max_size=12,
)


@pytest.mark.parametrize("look", LOOKS)
@given(text=LETTERS)
@example("Glow ")
@example(" Glow")
@example("Gl\u200bow")
@example("Cafe\u0301")
@example("\u1e9b\u0323")
def test_ids_that_look_the_same_are_one_account_or_refused(look: str, text: str) -> None:
    """An id and another way to write it never name two accounts."""
    one, other = canonical(text), canonical(LOOKS[look](text))
    # Letters of Thai, Lao and Armenian that compatibility forms take apart, see _LETTERS.
    if not {"\u0e33", "\u0eb3", "\u0587"} & set(text):
        assert None in (one, other) or one == other


@given(
    left=LETTERS, inserted=st.sampled_from([*INVISIBLE, *BLANKS.replace(" ", "")]), right=LETTERS
)
def test_an_invisible_character_never_makes_another_account(
    left: str, inserted: str, right: str
) -> None:
    """Whatever surrounds it."""
    assert canonical(left + inserted + right) is None


@given(text=LETTERS)
def test_the_canonical_form_is_its_own(text: str) -> None:
    """Putting an id into its form twice changes nothing, and it always fits."""
    form = canonical(text)
    if form is not None:
        assert canonical(form) == form
        assert 0 < len(form) <= MAX_LENGTH
