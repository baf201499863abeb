"""Facts of an account, and requests with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from tests.rpc.requests import new_account

CATALOG = {pattern.key: pattern for pattern in load_catalog().patterns}
"""The authored patterns by their keys."""

BROKEN_RHYTHM: Mapping[str, Any] = {"customer": {"days_since_visit": 60, "avg_frequency": 28}}
AT_RISK: Mapping[str, Any] = {"customer": {"ltv": 2500.5, "frequency_declining": True}}
MORNING: Mapping[str, Any] = {
    "appointments": {"morning_modifier_rate": 0.3, "afternoon_modifier_rate": 0.1}
}
FEW_ADD_ONS: Mapping[str, Any] = {"employee": {"modifier_rate": 0.1}, "team_average": 0.3}
BAD_REVIEW: Mapping[str, Any] = {"review": {"rating": 2}}
EVERYTHING: Mapping[str, Any] = {
    "customer": {**BROKEN_RHYTHM["customer"], **AT_RISK["customer"]},
    **MORNING,
    **FEW_ADD_ONS,
    **BAD_REVIEW,
}


def request(
    facts: Mapping[str, Any],
    *,
    account: str | None = None,
    category: str = "spa",
    max_moves: int = 0,
) -> network_service_pb2.SuggestMovesRequest:
    """A valid request, of a new account unless given."""
    message = network_service_pb2.SuggestMovesRequest(
        account_id=account or new_account(), business_category=category, max_moves=max_moves
    )
    message.facts.update(facts)
    return message
