"""Why advice was dismissed, in words for people."""

from __future__ import annotations

from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import Adoption, DismissalReason


def dismissals_in_words(adoption: Adoption) -> str:
    """The reasons that enough owners gave, with their counts, the most frequent first; empty if there are none."""
    return ", ".join(f"{_reason(each.reason)} {each.count:,}" for each in adoption.dismissals)


def _reason(reason: DismissalReason.ValueType) -> str:
    if reason not in DismissalReason.values():
        return "another reason"  # of a server that is newer than this client
    return DismissalReason.Name(reason).removeprefix("DISMISSAL_REASON_").lower().replace("_", " ")
