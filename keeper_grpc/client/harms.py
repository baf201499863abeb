"""Why a pattern that succeeds is not advised, in words for people."""

from __future__ import annotations

from typing import Final

from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

_HARMS: Final = {
    Pattern.GUARDRAIL_COMPLAINTS: "customers complain of it",
    Pattern.GUARDRAIL_UNSUBSCRIBES: "customers unsubscribe because of it",
    Pattern.GUARDRAIL_LOSSES: "it loses money",
}


def harms(pattern: Pattern) -> str:
    """Why a pattern is not advised although it succeeds; empty if it crossed no guardrail."""
    return ", ".join(_HARMS.get(harm, "it harms") for harm in pattern.crossed_guardrails)
