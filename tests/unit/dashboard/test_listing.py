from __future__ import annotations

import pytest

from keeper_grpc.dashboard.exports.patterns import harmless
from keeper_grpc.dashboard.listing import PAGE, Listing, Sought, pages
from keeper_grpc.dashboard.pages.console import conditions, read
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence, Pattern


def pattern(name: str, rate: float, cases: int) -> Pattern:
    """A pattern with this evidence."""
    return Pattern(pattern_id=name, evidence=Evidence(success_rate=rate, occurrence_count=cases))


def listing(**query: str) -> Listing:
    """The listing of an address."""
    return Listing.from_query(
        **{"category": "", "type_": "", "search": "", "sort": "", "page": ""} | query
    )


def test_an_address_survives_a_round_trip() -> None:
    """What is chosen stands in the address, and what is not does not."""
    chosen = listing(category="spa", type_="pricing", search="hot  stone", sort="cases", page="3")
    assert chosen.sought == Sought("spa", "pricing", "hot stone")
    assert chosen.query == "?category=spa&type=pricing&search=hot+stone&sort=cases&page=3"
    assert chosen.by("surest").query == "?category=spa&type=pricing&search=hot+stone"
    assert Listing().query == ""


@pytest.mark.parametrize(
    "query",
    [
        {"category": "No Such"},
        {"type_": "a-b"},
        {"sort": "random"},
        {"page": "0"},
        {"page": "x"},
        {"page": "99999"},
        {"search": "a\x00b"},
    ],
)
def test_what_is_no_choice_counts_as_not_chosen(query: dict[str, str]) -> None:
    """A mistyped address shows the list, not an error."""
    assert listing(**query) == Listing()


def test_orders_put_the_greatest_first_and_keep_the_servers_order_between_equals() -> None:
    """The surest first is what the server sends."""
    sent = [pattern("a", 0.9, 10), pattern("b", 0.5, 90), pattern("c", 0.9, 20)]

    def names(order: str) -> str:
        return "".join(each.pattern_id for each in listing(sort=order).ordered(sent))

    assert (names("surest"), names("rate"), names("cases")) == ("abc", "acb", "bca")


def test_pages_hold_every_pattern_once() -> None:
    """Also the last, which is shorter."""
    sent = [pattern(str(number), 0.5, 1) for number in range(2 * PAGE + 1)]
    shown = [each for page in (1, 2, 3) for each in listing(page=str(page)).shown(sent)]
    assert (shown, pages(len(sent)), pages(0)) == (sent, 3, 1)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_of_a_file_is_a_formula(text: str) -> None:
    """A spreadsheet would compute what an account wrote."""
    assert harmless(text) == f"'{text}"
    assert harmless("Call the guest") == "Call the guest"


def test_a_form_becomes_an_insight() -> None:
    """Conditions are numbers and truth values where they read so; what is no form is empty."""
    insight, identifiers = read(
        {
            "type": " pricing ",
            "business_category": "spa",
            "conditions": "days_since_visit: 60\nmember: true\nservice: Facial\nnothing",
            "names": "Ann, , Bo",
        }
    )
    assert (insight.type, insight.business_category, insight.action) == ("pricing", "spa", "")
    assert dict(insight.conditions) == {"days_since_visit": 60, "member": True, "service": "Facial"}
    assert list(identifiers.customer_names) == ["Ann", "Bo"]
    assert read(["no", "form"])[0].type == ""
    assert conditions("x: NaN\ny: Infinity\nz: [1]") == {"x": "NaN", "y": "Infinity", "z": "[1]"}
