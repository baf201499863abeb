"""Lets calls through the process's gate, by kind and deadline."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.kinds import Kind
from keeper_grpc.admission.queue import Turn
from keeper_grpc.admission.shed import Shed
from keeper_grpc.domain.errors import TooBusy
from keeper_grpc.rpc.interceptors.concern import Call, Concern
from keeper_grpc.rpc.permissions import ADMIN, NETWORK

_NETWORK = f"/{NETWORK}/"
_ADMIN = f"/{ADMIN}/"

KINDS: Mapping[str, Kind | None] = {
    _NETWORK + "CapturePattern": Kind.WRITE,
    _NETWORK + "EnhanceInsight": Kind.QUESTION,
    # Each of its questions takes a turn of its own (streams/enhance.py).
    _NETWORK + "EnhanceInsights": None,
    _NETWORK + "ReportOutcome": Kind.WRITE,
    _NETWORK + "ReportReaction": Kind.WRITE,
    _NETWORK + "SuggestMoves": Kind.QUESTION,
    _NETWORK + "PreviewInsight": Kind.QUESTION,
    _NETWORK + "GenerateTask": Kind.QUESTION,
    # Subscriptions last for weeks. What they cost is bounded where it is done: one reader and one report for all.
    _NETWORK + "StreamEmergingPatterns": None,
    _NETWORK + "StreamNetworkMetrics": None,
    _NETWORK + "StreamMoves": None,
    _NETWORK + "GetNetworkMetrics": Kind.REPORT,
    _NETWORK + "GetAccountValue": Kind.REPORT,
    _NETWORK + "GetPattern": Kind.READ,
    _NETWORK + "ListPatterns": Kind.READ,
    _ADMIN + "RegisterAccount": Kind.OPERATION,
    _ADMIN + "UpdateAccount": Kind.OPERATION,
    _ADMIN + "ForgetAccount": Kind.OPERATION,
    _ADMIN + "RetirePattern": Kind.OPERATION,
    _ADMIN + "WithdrawScript": Kind.OPERATION,
    _ADMIN + "GetPatternSupport": Kind.OPERATION,
    _ADMIN + "ListAuditEvents": Kind.OPERATION,
}
"""Of every RPC; health and reflection are never refused. None: the call itself is no work."""

ONE_QUESTION = _NETWORK + "EnhanceInsight"
"""What a question of a stream takes as long as."""


class Durations:
    """Seconds that a call may take, by method: `longest`, and less where the caller set no deadline."""

    def __init__(self, longest: float, without_deadline: Mapping[Kind, float]) -> None:
        self.longest = longest
        self._without = {
            method: min(longest, without_deadline[kind])
            for method, kind in KINDS.items()
            if kind is not None and kind in without_deadline
        }

    def of(self, call: Call) -> float:
        """What this call may take, by the server's rules and its caller's deadline."""
        left = call.context.time_remaining()
        if left is None:
            return self._without.get(call.method, self.longest)
        return min(float(left), self.longest)


class Admission(Concern):
    """Gives each call a turn, for which it may have to wait, and refuses what the gate sheds."""

    def __init__(self, gate: Gate, durations: Durations) -> None:
        self._gate = gate
        self._durations = durations

    def begin(self, call: Call) -> Awaitable[None] | None:
        """Take a turn. Raises TooBusy, at once or out of the wait."""
        kind = KINDS.get(call.method)
        if kind is None:
            return None
        try:
            turn = call.turn = self._gate.offer(kind, call.method, self._durations.of(call))
        except Shed as shed:
            raise too_busy(shed) from None
        return None if turn.admitted is None else admitted(turn)

    def end(self, call: Call) -> None:
        """Give the turn back."""
        if call.turn is not None:
            self._gate.leave(call.turn, call.cause)


async def admitted(turn: Turn) -> None:
    """Wait for the turn. Raises TooBusy, and the error of another's turn that this one would meet as well."""
    if turn.admitted is None:
        return
    try:
        await turn.admitted
    except Shed as shed:
        raise too_busy(shed) from None


def too_busy(shed: Shed) -> TooBusy:
    """The error that a caller gets."""
    return TooBusy("the server has more to do than it can; try again later", shed.retry_after)
