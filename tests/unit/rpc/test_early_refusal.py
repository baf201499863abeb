from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from keeper_grpc.admission.kinds import Kind
from keeper_grpc.admission.shed import LATEST, SOONEST, Reason
from keeper_grpc.domain.access.identity import Identity, Role
from keeper_grpc.domain.access.limits import Limits
from keeper_grpc.domain.access.meter import Meter
from keeper_grpc.domain.access.peer import PeerNames
from keeper_grpc.rpc.early_refusal import EarlyRefusal
from keeper_grpc.rpc.interceptors.authentication import Authentication
from keeper_grpc.rpc.interceptors.identity_limits import IdentityLimits
from keeper_grpc.rpc.permissions import ADMIN, NETWORK
from tests.unit.admission.crowd import Crowd

QUESTION = f"/{NETWORK}/EnhanceInsight"
CALL_ID = "5f0c2b8e9a1d4e7f"
ENGINE = Identity("engine", frozenset({Role.ENHANCE}), None, limits=Limits(concurrency=2))
READER = Identity("reader", frozenset({Role.OBSERVE}), None)
TOKENS = {"Bearer engine": ENGINE, "Bearer reader": READER}


class Tokens:
    """Knows some tokens, and has to look for all others."""

    def recognized(
        self,
        authorization: Sequence[str],
        peer: Callable[[], PeerNames],
    ) -> Identity | None:
        """Who that is."""
        return TOKENS.get(next(iter(authorization), ""))

    def authenticate(self, authorization: Sequence[str], peer: Callable[[], PeerNames]) -> Identity:
        """For whoever is not refused early."""
        raise NotImplementedError


class Context:
    """A call that has not been read."""

    def __init__(self, who: str = "engine") -> None:
        self._who = who

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Its headers."""
        return (("authorization", f"Bearer {self._who}"), ("x-request-id", CALL_ID))


class Door:
    """The refusals of a gate, and what was counted of them."""

    def __init__(self, crowd: Crowd, tokens: Tokens | None = None) -> None:
        self.taken_up = 0
        self.noted: list[tuple[str, str, str]] = []
        self.meter = Meter()
        self.refuse = EarlyRefusal(
            crowd.gate,
            Authentication(tokens, reflection="off"),
            IdentityLimits(self.meter, lambda: crowd.now),
            taken_up=self._take_up,
            on_refusal=lambda method, code, who: self.noted.append((method, code, who.name)),
        )

    def _take_up(self) -> None:
        self.taken_up += 1


def full(kind: Kind = Kind.QUESTION) -> Crowd:
    """A gate that has no room for one more of a kind."""
    crowd = Crowd()
    crowd.alone(0.01)
    crowd.overload(50, 5, rounds=12)
    crowd.offered(100)
    assert crowd.gate.is_full(kind)
    return crowd


async def test_a_full_gate_refuses_with_the_whole_status() -> None:
    """As the interceptors would: code, reason, when to come again, and the call's id. It is counted once everywhere."""
    crowd = full()
    shed = crowd.gate.shed(Kind.QUESTION, Reason.OVERLOAD)
    door = Door(crowd)
    refusal = door.refuse(QUESTION, Context())
    assert refusal is not None
    metadata = dict(refusal.metadata)
    packed = metadata["grpc-status-details-bin"]
    assert isinstance(packed, bytes)
    told, info, retry = Status.FromString(packed), ErrorInfo(), RetryInfo()
    assert told.details[0].Unpack(info)
    assert told.details[1].Unpack(retry)
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (told.code, told.message) == (refusal.code.value[0], refusal.message)
    assert (info.reason, info.domain) == ("TOO_BUSY", "network.keeper")
    delay = retry.retry_delay.ToTimedelta().total_seconds()
    assert SOONEST <= delay <= 1.5 * LATEST
    assert metadata["grpc-retry-pushback-ms"] == str(round(delay * 1_000))
    assert metadata["x-request-id"] == CALL_ID
    assert crowd.gate.shed(Kind.QUESTION, Reason.OVERLOAD) == shed + 1
    assert (door.taken_up, door.noted) == (
        1,
        [(QUESTION, "RESOURCE_EXHAUSTED", "unauthenticated")],
    )


async def test_what_has_room_or_needs_none_is_let_in() -> None:
    """Other kinds, streams, health and methods that nobody knows; and all, while there is no pressure."""
    door = Door(full())
    for method in (
        f"/{NETWORK}/CapturePattern",
        f"/{NETWORK}/EnhanceInsights",
        f"/{ADMIN}/RetirePattern",
        "/grpc.health.v1.Health/Check",
        "/nothing/Known",
    ):
        assert door.refuse(method, Context()) is None, method
    assert Door(Crowd()).refuse(QUESTION, Context()) is None
    assert (door.taken_up, door.noted) == (0, [])


async def test_strangers_are_left_to_authentication() -> None:
    """So is one who lacks the role: they get the answers that they always get, and add nothing to the pressure."""
    crowd = full()
    shed = crowd.gate.shed(Kind.QUESTION, Reason.OVERLOAD)
    door = Door(crowd, Tokens())
    assert door.refuse(QUESTION, Context("stranger")) is None
    assert door.refuse(QUESTION, Context("reader")) is None
    assert crowd.gate.shed(Kind.QUESTION, Reason.OVERLOAD) == shed
    assert door.refuse(QUESTION, Context()) is not None


async def test_limits_come_first() -> None:
    """Whoever has had what it may gets that answer, and a refusal leaves nothing counted in."""
    crowd = full()
    door = Door(crowd, Tokens())
    for _ in range(3):
        assert door.refuse(QUESTION, Context()) is not None
    door.meter.begin(ENGINE, crowd.now)
    door.meter.begin(ENGINE, crowd.now)
    assert door.refuse(QUESTION, Context()) is None
