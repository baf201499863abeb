"""A row and a mapping make a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers, Insight, Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternRequest
from keeper_grpc.importing.failure import Problem, Reason, RowRejected
from keeper_grpc.importing.mapping.mapping import Known, Mapping
from keeper_grpc.importing.mapping.values import Row, Text

T = TypeVar("T")

DEFAULT_CONFIDENCE = 0.5
"""The confidence of a row without one: neither sure nor unsure."""


def skipped(mapping: Mapping, row: Row) -> bool:
    """Whether the mapping leaves this row out."""
    return any(rule.applies(row) for rule in mapping.skip)


def build(mapping: Mapping, row: Row, request_id: UUID) -> CapturePatternRequest:
    """The capture of one row. Raises RowRejected with every reason at once."""
    reasons: list[Reason] = []

    def get(place: str, value: Callable[[Row], T]) -> T | None:
        try:
            return value(row)
        except Problem as problem:
            reasons.append(problem.at(place))
            return None

    def number(place: str, default: float) -> float:
        part = getattr(mapping, place)
        value = get(place, part.value) if part else None
        return default if value is None else value

    insight = Insight(
        type=get("type", mapping.type.value) or "",
        action=get("action", mapping.action.value) or "",
        script=_optional(mapping.script, row, "script", reasons),
        business_category=_optional(mapping.business_category, row, "business_category", reasons),
        confidence=number("confidence", DEFAULT_CONFIDENCE),
        dollar_value=number("dollar_value", 0.0),
        potential_value=number("potential_value", 0.0),
    )
    conditions = {
        key: get(f"conditions.{key}", part.value) for key, part in mapping.conditions.items()
    }
    insight.conditions.update(
        {key: value for key, value in conditions.items() if value is not None}
    )
    result = mapping.outcome
    success = get("outcome.success", result.success.value)
    if success is None and not any(reason.field == "outcome.success" for reason in reasons):
        empty = Problem(
            "EMPTY_CELL",
            f'column "{result.success.column}" is empty; where that means no, list it: fails: [""]',
        )
        reasons.append(empty.at("outcome.success"))
    outcome = Outcome(success=bool(success))
    for name in (
        "revenue_impact",
        "cost",
        "customer_retained",
        "response_rate",
        "complained",
        "unsubscribed",
        "final",
    ):
        part = getattr(result, name)
        value = get(f"outcome.{name}", part.value) if part else None
        if value is not None:
            setattr(outcome, name, value)
    request = CapturePatternRequest(
        request_id=str(request_id),
        account_id=get("account_id", mapping.account_id.value) or "",
        insight=insight,
        outcome=outcome,
        identifiers=_identifiers(mapping, row),
    )
    occurred = get("occurred_time", mapping.occurred_time.value) if mapping.occurred_time else None
    if occurred is not None:
        request.occurred_time.FromDatetime(occurred)
    if reasons:
        raise RowRejected(reasons)
    return request


def _optional(part: Text | None, row: Row, place: str, reasons: list[Reason]) -> str:
    """An optional text: empty when one of its columns is empty."""
    if part is None:
        return ""
    try:
        return part.value(row)
    except Problem as problem:
        if problem.code != "EMPTY_CELL":
            reasons.append(problem.at(place))
        return ""


def _identifiers(mapping: Mapping, row: Row) -> Identifiers:
    found = {
        kind: [cell for column in mapping.known(kind) if (cell := row.get(column, ""))]
        for kind in Known.model_fields
    }
    return Identifiers(**found)
