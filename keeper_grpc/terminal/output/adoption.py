"""What became of advice, in words: the adoption funnel."""

from __future__ import annotations

from keeper_grpc.client.adoption import dismissals_in_words
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import Adoption
from keeper_grpc.terminal.output.quantities import NOT_ENOUGH_DATA

TOO_FEW = f"{NOT_ENOUGH_DATA}: too few accounts have reported reactions so far"


def funnel(adoption: Adoption) -> str:
    """How much was shown, accepted, dismissed and done, in a line."""
    return (
        f"shown {adoption.shown_count:,}, accepted {adoption.accepted_count:,}"
        f" ({adoption.adoption_rate:.0%}), dismissed {adoption.dismissed_count:,},"
        f" done {adoption.done_count:,}; {adoption.account_count:,} accounts"
    )


def dismissed_because(adoption: Adoption) -> str:
    """A line with the reasons; empty where too few owners gave any."""
    told = dismissals_in_words(adoption)
    return f"dismissed because: {told}" if told else ""
