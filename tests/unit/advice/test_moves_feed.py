from __future__ import annotations

from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.usecases.advice.moves_feed import merge


def test_what_changed_is_merged_object_by_object() -> None:
    """What is not named stays; None takes away; what was no object becomes one."""
    known: dict[str, JsonValue] = {"customer": {"ltv": 10, "days_since_visit": 5}, "rating": 2}
    changed: dict[str, JsonValue] = {
        "customer": {"ltv": 20, "name": None},
        "rating": None,
        "team": {"size": 3},
    }
    assert merge(known, changed) == {
        "customer": {"ltv": 20, "days_since_visit": 5},
        "team": {"size": 3},
    }
    assert merge({"rating": 2}, {"rating": {"last": 1}}) == {"rating": {"last": 1}}
    assert known["rating"] == 2
