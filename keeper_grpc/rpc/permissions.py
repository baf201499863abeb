"""Which role each RPC needs, and whom it concerns: the only table of permissions.

An RPC that is not in it is refused to everyone, and fails a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from keeper_grpc.domain.access.identity import Identity, Role
from keeper_grpc.domain.errors import RoleMissing
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2

NETWORK = network_service_pb2.DESCRIPTOR.services_by_name["NetworkLearningService"].full_name
ADMIN = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name


class Reach(Enum):
    """Whom a call concerns."""

    ACCOUNT = "account"
    """The account of the request, for which the caller must be allowed to speak."""
    PUBLISHED = "published"
    """Nobody: it reads what is published of the whole network."""
    NETWORK = "network"
    """Everybody: the caller must be allowed to speak for all accounts."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What a caller needs for one RPC."""

    role: Role
    reach: Reach

    def check(self, identity: Identity) -> None:
        """Raise RoleMissing unless the identity has the role, and the reach where that needs no account."""
        if self.role not in identity.roles:
            raise RoleMissing(f"the role {self.role.value}")
        if self.reach is Reach.NETWORK and not identity.speaks_for_all:
            raise RoleMissing(f"the role {self.role.value} for all accounts")


PERMISSIONS: Mapping[str, Permission] = {
    f"/{service}/{rpc}": Permission(role, reach)
    for service, rpc, role, reach in (
        (NETWORK, "CapturePattern", Role.CAPTURE, Reach.ACCOUNT),
        (NETWORK, "ReportOutcome", Role.CAPTURE, Reach.ACCOUNT),
        (NETWORK, "ReportReaction", Role.CAPTURE, Reach.ACCOUNT),
        (NETWORK, "EnhanceInsight", Role.ENHANCE, Reach.ACCOUNT),
        (NETWORK, "EnhanceInsights", Role.ENHANCE, Reach.ACCOUNT),
        (NETWORK, "SuggestMoves", Role.ENHANCE, Reach.ACCOUNT),
        (NETWORK, "StreamMoves", Role.ENHANCE, Reach.ACCOUNT),
        (NETWORK, "GenerateTask", Role.ENHANCE, Reach.ACCOUNT),
        (NETWORK, "GetAccountValue", Role.OBSERVE, Reach.ACCOUNT),
        (NETWORK, "PreviewInsight", Role.OBSERVE, Reach.PUBLISHED),
        (NETWORK, "StreamEmergingPatterns", Role.OBSERVE, Reach.PUBLISHED),
        (NETWORK, "GetNetworkMetrics", Role.OBSERVE, Reach.PUBLISHED),
        (NETWORK, "StreamNetworkMetrics", Role.OBSERVE, Reach.PUBLISHED),
        (NETWORK, "GetPattern", Role.OBSERVE, Reach.PUBLISHED),
        (NETWORK, "ListPatterns", Role.OBSERVE, Reach.PUBLISHED),
        (ADMIN, "RegisterAccount", Role.OPERATE, Reach.ACCOUNT),
        (ADMIN, "UpdateAccount", Role.OPERATE, Reach.ACCOUNT),
        (ADMIN, "ForgetAccount", Role.OPERATE, Reach.ACCOUNT),
        (ADMIN, "RetirePattern", Role.OPERATE, Reach.NETWORK),
        (ADMIN, "WithdrawScript", Role.OPERATE, Reach.NETWORK),
        (ADMIN, "GetPatternSupport", Role.OPERATE, Reach.NETWORK),
        (ADMIN, "ListAuditEvents", Role.OPERATE, Reach.NETWORK),
    )
}


def require(method: str, identity: Identity) -> None:
    """Raise RoleMissing unless the identity may call the method (`/package.Service/Rpc`) at all."""
    permission = PERMISSIONS.get(method)
    if permission is None:
        raise RoleMissing("a role that nobody has: this call has no rule yet")
    permission.check(identity)
