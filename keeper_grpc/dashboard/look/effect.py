"""What an interval says of the effect of advice, in a word."""

from __future__ import annotations

from typing import Final, TypeAlias

from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Metric

State: TypeAlias = tuple[str, str, str]
"""What `Status.show` takes."""

UNKNOWN: Final[State] = ("none", "\N{HORIZONTAL ELLIPSIS}", "Not measured")
_OPEN: Final[State] = ("none", "\N{HORIZONTAL ELLIPSIS}", "Not sure yet")
_SHOWN: Final[State] = ("good", "\N{CHECK MARK}", "Shown to help")
_HARMS: Final[State] = ("bad", "\N{MULTIPLICATION X}", "Shown to harm")


def state_of(difference: Metric) -> State:
    """Whether a difference with its interval shows that advice helps."""
    if not difference.HasField("value"):
        return UNKNOWN
    if difference.interval.lower > 0:
        return _SHOWN
    return _HARMS if difference.interval.upper < 0 else _OPEN
