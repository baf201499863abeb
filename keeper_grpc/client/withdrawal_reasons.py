"""The reasons of a withdrawal, by their names for people."""

from __future__ import annotations

from typing import Final

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import WithdrawalReason

_PREFIX: Final = "WITHDRAWAL_REASON_"


def reason_name(reason: WithdrawalReason.ValueType) -> str:
    """A reason's name, as in REASONS."""
    return WithdrawalReason.Name(reason).removeprefix(_PREFIX).lower()


REASONS: Final = {
    reason_name(reason): reason
    for reason in WithdrawalReason.values()
    if reason != WithdrawalReason.WITHDRAWAL_REASON_UNSPECIFIED
}
