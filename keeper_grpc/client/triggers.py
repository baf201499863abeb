"""What pages and terminal say of a trigger that outcomes taught."""

from __future__ import annotations

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import LearnedTrigger

AUTHORED = "its author"
LEARNED = "outcomes"
"""Who says that a trigger calls for the pattern."""


def precision(trigger: LearnedTrigger) -> str:
    """The share of successes where it holds, with its 90% interval: "82% (74% to 89%)"."""
    low, high = trigger.precision_low, trigger.precision_high
    return f"{trigger.precision:.0%} ({low:.0%} to {high:.0%})"


def lift(trigger: LearnedTrigger) -> str:
    """How many times as often as where it does not hold."""
    return f"{trigger.lift:.1f} times"


def lead_time(trigger: LearnedTrigger) -> str:
    """Days from question to outcome; empty where too few accounts say."""
    if not trigger.HasField("lead_time"):
        return ""
    days = trigger.lead_time.ToTimedelta().days
    return "1 day" if days == 1 else f"{days:,} days"
