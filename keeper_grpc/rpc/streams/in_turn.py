"""Turns at the gate for what streams work on: without them, it would take what calls wait for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.kinds import Kind
from keeper_grpc.admission.shed import Shed
from keeper_grpc.domain.authored.suggestions import SuggestedMove
from keeper_grpc.rpc.interceptors.admission import admitted, too_busy
from keeper_grpc.rpc.permissions import NETWORK
from keeper_grpc.usecases.advice.suggest import Occasion

_LIKE = f"/{NETWORK}/SuggestMoves"
"""What an evaluation takes as long as."""


@asynccontextmanager
async def in_turn(gate: Gate, like: str, seconds: float) -> AsyncIterator[None]:
    """The turn of one piece of work, which waits for it `seconds` at most. Raises TooBusy.

    `like` is the method of a call that takes about as long.
    """
    try:
        turn = gate.offer(Kind.STREAM_QUESTION, like, seconds)
    except Shed as shed:
        raise too_busy(shed) from None
    failed: BaseException | None = None
    try:
        await admitted(turn)
        yield
    except BaseException as error:
        failed = error
        raise
    finally:
        gate.leave(turn, failed)


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
        async with in_turn(self._gate, _LIKE, self._max_duration):
            return await self._suggest(occasion)
