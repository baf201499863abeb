"""Conditions: which keys pass, and how exactly."""

from __future__ import annotations

import pytest

from keeper_grpc.domain.insight import DroppedField, Identifiers, JsonValue
from keeper_grpc.privacy.layers.structured import Structured


def keep(_field: str, text: str) -> str:
    """A mask that lets every text pass, to look at the gate alone."""
    return text


@pytest.mark.parametrize(
    "key",
    ["customer_name", "customerName", "Customer-Name", "client name", "email", "guestEmail",
     "cell_phone", "business_name", "salonName", "employee_names", "preferred_therapist",
     "specific_addresses", "home_address", "zip", "latitude"],
)  # fmt: skip
def test_forbidden_keys_are_dropped_in_every_spelling(key: str) -> None:
    """Case, separators and synonyms do not matter, and the report does not repeat the key."""
    shared, dropped = Structured().share({key: "x"}, keep)
    assert shared == {}
    assert [drop.reason for drop in dropped] == ["FORBIDDEN_KEY"]


def test_forbidden_values_become_identifiers_however_deep() -> None:
    """A name under a forbidden key is scrubbed from the texts like a declared one."""
    conditions: dict[str, JsonValue] = {
        "customer": {"x": 1},
        "segment": {"client_name": "Ana Ruiz", "stylist": ["Bo", "Cy"]},
    }
    harvest = Structured().harvest(conditions, Identifiers(customer_names=("Dee",)))
    assert harvest.identifiers.customer_names == ("Dee", "1", "Ana Ruiz")
    assert harvest.identifiers.employee_names == ("Bo", "Cy")


def test_an_unknown_key_is_dropped_and_counted_without_its_name() -> None:
    """The name of an unknown key may itself be a person's."""
    shared, dropped = Structured().share({"jane_doe_notes": "x", "service": "wax"}, keep)
    assert shared == {"service": "wax"}
    assert dropped == [DroppedField("conditions", "UNKNOWN_KEY")]


def test_an_operator_can_share_more_keys_but_no_forbidden_one() -> None:
    """KEEPER_SHARED_KEYS adds keys; a forbidden one stays forbidden, money stays a range."""
    gate = Structured(["lane count", "customer_name", "pool_fee"])
    shared, _ = gate.share({"lane_count": 3, "customer_name": "A", "poolFee": 120}, keep)
    assert shared == {"lane_count": "3", "pool_fee": "medium"}


@pytest.mark.parametrize(
    ("key", "value", "shared"),
    [
        ("days_since_visit", 45, "31-60"),
        ("ltv", 1200.0, "high"),
        ("ltv", "$1,200", "high"),
        ("price", "80", "low"),
        ("visit_count", 3, "3"),
        ("visit_count", 12.0, "11-20"),
        ("modifier_rate", 0.34, 0.3),
        ("discount_percent", 20, 20.0),
        ("age", 37, "35-44"),
        ("last_visit", "2026-03-14", "March"),
        ("last_visit", "2026-03-14T10:30:00Z", "March"),
        ("appointment_time", "14:30", "afternoon"),
        ("is_member", True, True),
        ("service", None, None),
        ("hour", 14.0, 14.0),
    ],
)
def test_values_are_made_coarse_by_their_key(key: str, value: JsonValue, shared: JsonValue) -> None:
    """Money to ranges, days to bands, dates to months, ages to bands, ratios to one decimal."""
    result, _ = Structured().share({key: value}, keep)
    assert result == ({} if shared is None else {key: shared})


@pytest.mark.parametrize("value", [1_700_000_000.0, float("nan"), float("inf")])
def test_a_timestamp_or_no_number_is_dropped(value: float) -> None:
    """An exact moment is not coarse time, and what is no number cannot be banded."""
    shared, dropped = Structured().share({"last_visit": value}, keep)
    assert shared == {}
    assert len(dropped) == 1


def test_forbidden_values_are_found_below_what_is_shared() -> None:
    """A request may nest deeper than conditions are shared; a name down there is scrubbed as well."""
    deep: dict[str, JsonValue] = {"customer_name": "Zorabella"}
    for _ in range(7):
        deep = {"segment": deep}
    assert Structured().harvest(deep, Identifiers()).identifiers.customer_names == ("Zorabella",)


def test_nesting_and_size_are_bounded() -> None:
    """Structures deeper or wider than the trade needs are cut, and counted."""
    deep: dict[str, JsonValue] = {"segment": "x"}
    for _ in range(6):
        deep = {"segment": deep}
    wide: dict[str, JsonValue] = {f"k{number}": 1 for number in range(70)}
    gate = Structured()
    assert any(drop.reason == "TOO_DEEP" for drop in gate.share(deep, keep)[1])
    assert sum(drop.reason == "TOO_MANY_KEYS" for drop in gate.share(wide, keep)[1]) == 6
