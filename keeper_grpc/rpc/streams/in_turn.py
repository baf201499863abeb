"""What a stream evaluates, at the gate: beside it, streams would take what calls wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.kinds import Kind
from keeper_grpc.admission.shed import Shed
from keeper_grpc.domain.authored.suggestions import SuggestedMove
from keeper_grpc.rpc.interceptors.admission import admitted, too_busy
from keeper_grpc.rpc.permissions import NETWORK
from keeper_grpc.usecases.advice.suggest import Occasion

_LIKE = f"/{NETWORK}/SuggestMoves"
"""What an evaluation takes as long as."""


class SuggestInTurn:
    """SuggestMoves for StreamMoves: each evaluation takes a turn, for which it waits `max_duration` seconds at most."""

    def __init__(
        self,
        suggest: Callable[[Occasion], Awaitable[Sequence[SuggestedMove]]],
        gate: Gate,
        max_duration: float,
    ) -> None:
        self._suggest = suggest
        self._gate = gate
        self._max_duration = max_duration

    async def __call__(self, occasion: Occasion) -> Sequence[SuggestedMove]:
        """The moves that apply. Raises TooBusy and StorageUnavailable."""
        try:
            turn = self._gate.offer(Kind.STREAM_QUESTION, _LIKE, self._max_duration)
        except Shed as shed:
            raise too_busy(shed) from None
        failed: BaseException | None = None
        try:
            await admitted(turn)
            return await self._suggest(occasion)
        except BaseException as error:
            failed = error
            raise
        finally:
            self._gate.leave(turn, failed)
