"""The orders of a list of patterns, the greatest first; the server's own is the surest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

ORDERS: Final[Mapping[str, Callable[[Pattern], float] | None]] = {
    "surest": None,
    "rate": lambda pattern: pattern.evidence.success_rate,
    "cases": lambda pattern: pattern.evidence.occurrence_count,
    "accounts": lambda pattern: pattern.evidence.account_count,
    "latest": lambda pattern: pattern.last_validated_time.ToNanoseconds(),
}


def in_order(patterns: Sequence[Pattern], name: str) -> Sequence[Pattern]:
    """Patterns that come the surest first, in one of the ORDERS. Of equals the surer one comes first."""
    order = ORDERS[name]
    return patterns if order is None else sorted(patterns, key=order, reverse=True)
