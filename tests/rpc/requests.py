"""Requests as a client writes them, with what a test is about left to the test."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from keeper_grpc.gen.keeper.network.v1 import insight_pb2, network_service_pb2

_WORDS = (
    *("morning", "evening", "towel", "soak", "massage"),
    *("facial", "class", "locker", "sauna", "candle"),
)
_TOPICS: Iterator[tuple[str, ...]] = itertools.chain.from_iterable(
    itertools.permutations(_WORDS, length) for length in (3, 4, 5)
)


def new_topic() -> str:
    """A pattern type that no other test uses, of words that the anonymizer lets pass."""
    return "_".join(next(_TOPICS))


def new_account() -> str:
    """An account that no other test uses."""
    return f"acct-{uuid.uuid4()}"


def insight(
    topic: str,
    action: str = "Offer a warm towel",
    *,
    category: str = "spa",
    conditions: Mapping[str, Any] | None = None,
    **fields: Any,
) -> insight_pb2.Insight:
    """A valid insight of this type."""
    message = insight_pb2.Insight(
        type=topic, business_category=category, action=action, **{"confidence": 0.5} | fields
    )
    message.conditions.update(conditions or {})
    return message


def capture(
    topic: str,
    action: str = "Offer a warm towel",
    *,
    account: str | None = None,
    success: bool = True,
    request_id: str | None = None,
    category: str = "spa",
    **fields: Any,
) -> network_service_pb2.CapturePatternRequest:
    """A valid capture, of a new account and with a new request_id unless given."""
    return network_service_pb2.CapturePatternRequest(
        request_id=request_id or str(uuid.uuid4()),
        account_id=account or new_account(),
        insight=insight(topic, action, category=category, **fields),
        outcome=insight_pb2.Outcome(success=success),
    )


def question(
    topic: str,
    action: str = "Offer a warm towel",
    *,
    account: str | None = None,
    category: str = "spa",
    min_success_rate: float | None = None,
    min_occurrences: int | None = None,
    **fields: Any,
) -> network_service_pb2.EnhanceInsightRequest:
    """A valid question, of a new account unless given."""
    return network_service_pb2.EnhanceInsightRequest(
        account_id=account or new_account(),
        insight=insight(topic, action, category=category, **fields),
        min_success_rate=min_success_rate,
        min_occurrences=min_occurrences,
    )
