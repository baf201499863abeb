"""Names that software has written as codes are read as a person reads them."""

from __future__ import annotations

import pytest

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.privacy.text.draft import normalize

ANONYMIZER = Anonymizer.default()


@pytest.mark.parametrize(
    "written",
    [
        r"\u0054\u0061\u0073\u0068\u0061",
        r"\x54\x61\x73\x68\x61",
        r"\u{54}\u{61}sha",
        "%54%61%73%68%61",
        "%2554%2561sha",
        "=54=61=73=68=61",
        "&#84;&#97;sha",
        "&amp;#84;&amp;#97;sha",
    ],
)
def test_a_name_in_codes_is_the_name(written: str) -> None:
    """JSON's and URLs' escapes, quoted-printable and entities, also twice over."""
    assert normalize(written) == "Tasha"
    insight = Insight("", "upsell", "spa", {}, f"{written} wants a facial", "", 0.5)
    kept = ANONYMIZER.anonymize(insight, Identifiers()).insight.action
    assert kept == "[person] wants a facial"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Mu%C3%B1oz", "Mu\u00f1oz"),
        ("Mu%F1oz", "Mu\u00f1oz"),
        ("Tasha%20Greene", "Tasha Greene"),
        (r"gl\ue000w", "gl w"),
        (r"\ud835\udce3", "  "),
        (r"\u{110000}", " "),
    ],
)
def test_codes_may_be_bytes_and_forge_nothing(written: str, read: str) -> None:
    """UTF-8 and Latin-1 are read; private-use characters, halves of pairs and what is none become blanks."""
    assert normalize(written) == read


@pytest.mark.parametrize(
    "text", ["20% off", "save %20 now", "5%20%30% off", "get 20%added", "a = 20 or b=30", "R&D day"]
)
def test_figures_are_no_codes(text: str) -> None:
    """Discounts are written with percent signs as well."""
    assert normalize(text) == text
