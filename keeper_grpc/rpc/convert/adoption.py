"""Adoption between protos and the domain."""

from __future__ import annotations

from keeper_grpc.domain.advice.adoption import Adoption
from keeper_grpc.gen.keeper.network.v1 import adoption_pb2


def message(found: Adoption | None) -> adoption_pb2.Adoption | None:
    """Write an Adoption, if there is one."""
    if found is None:
        return None
    return adoption_pb2.Adoption(
        shown_count=found.shown,
        accepted_count=found.accepted,
        dismissed_count=found.dismissed,
        done_count=found.done,
        adoption_rate=found.rate,
        account_count=found.owners,
        dismissals=[
            adoption_pb2.Adoption.Dismissals(
                reason=adoption_pb2.DismissalReason.Value(f"DISMISSAL_REASON_{reason.name}"),
                count=count,
            )
            for reason, count in found.dismissals
        ],
    )
