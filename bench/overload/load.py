"""Callers: some that wait for their answers, some that do not."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc

SERVICE = "/keeper.network.v1.NetworkLearningService/"
PUSHBACK = "grpc-retry-pushback-ms"
CONNECTIONS = 8
PATIENCE = 20.0
"""Seconds of the callers' deadlines."""
BACKOFF = 0.5
"""Seconds after an error that says no time to come back."""


@dataclass
class Seen:
    """How calls ended: seconds of those that were answered, and how many ended by each code."""

    seconds: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    lasted: float = 0.0
    refused: list[float] = field(default_factory=list)
    """Seconds after which calls were refused with RESOURCE_EXHAUSTED."""
    cores: tuple[float, float] = (0.0, 0.0)
    """Processors' worth that the service took, and that this load did, from the beginning of the warm-up on."""
    late: list[float] = field(default_factory=list)
    """Seconds by which calls were sent too late, for want of processor time here."""

    @property
    def answered(self) -> int:
        """Calls that succeeded."""
        return self.codes["OK"]

    @property
    def sent(self) -> int:
        """All calls."""
        return self.codes.total()

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answered / self.lasted

    def at(self, share: float) -> float:
        """Milliseconds that this share of the answers took at most."""
        return _at(self.seconds, share)

    def refused_at(self, share: float) -> float:
        """Milliseconds after which this share of the refusals had come at most."""
        return _at(self.refused, share)


def _at(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1_000


class Client:
    """Connections to one server, and requests that are sent in turn. `served` gives the server's processor time."""

    def __init__(
        self, port: int, requests: Mapping[str, Sequence[bytes]], served: Callable[[], float]
    ) -> None:
        self._served = served
        options = (("grpc.use_local_subchannel_pool", 1),)
        self._channels = [
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
            for _ in range(CONNECTIONS)
        ]
        self._requests = {method: itertools.cycle(each) for method, each in requests.items()}
        self._calls: dict[str, Iterator[Any]] = {
            method: itertools.cycle(
                [channel.unary_unary(SERVICE + method) for channel in self._channels]
            )
            for method in requests
        }

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()

    async def answer(self, method: str) -> bytes:
        """The reply to the next request, as it came."""
        reply: bytes = await next(self._calls[method])(
            next(self._requests[method]), timeout=PATIENCE
        )
        return reply

    async def call(self, method: str, seen: Seen) -> float | None:
        """One call: None if it was answered, else the seconds after which it may be tried again."""
        began = time.perf_counter()
        try:
            await next(self._calls[method])(next(self._requests[method]), timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            seen.codes[error.code().name] += 1
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                seen.refused.append(time.perf_counter() - began)
            return _retry_after(error)
        seen.seconds.append(time.perf_counter() - began)
        seen.codes["OK"] += 1
        return None

    async def closed(self, method: str, callers: int, seconds: float) -> Seen:
        """Callers that ask again when they have their answer, and when a refusal says."""
        seen, began, spent = Seen(), time.perf_counter(), self._spent()

        async def caller() -> None:
            while (left := began + seconds - time.perf_counter()) > 0:
                pause = await self.call(method, seen)
                if pause is not None:
                    await asyncio.sleep(min(pause, left))

        await asyncio.gather(*(caller() for _ in range(callers)))
        seen.lasted = time.perf_counter() - began
        seen.cores = self._cores(spent)
        return seen

    async def times(self, method: str, callers: int, calls: int) -> None:
        """So many calls by callers who wait for their answers, not measured."""
        left = iter(range(calls))

        async def caller() -> None:
            for _ in left:
                await self.call(method, Seen())

        await asyncio.gather(*(caller() for _ in range(callers)))

    async def open(self, method: str, per_second: float, seconds: float, warm_up: float) -> Seen:
        """Callers that come by chance (a Poisson process), whatever became of those before.

        What is sent during the warm-up is not counted.
        """
        rng = Random(1)  # noqa: S311 - arrivals, no secrets
        ignored, seen, spent = Seen(), Seen(), self._spent()
        began = due = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            while due < began + warm_up + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                counted = due >= began + warm_up
                if counted:
                    seen.late.append(time.perf_counter() - due)
                group.create_task(self.call(method, seen if counted else ignored))
                due += rng.expovariate(per_second)
        seen.lasted = seconds
        seen.cores = self._cores(spent)
        return seen

    def _spent(self) -> tuple[float, float, float]:
        return time.perf_counter(), self._served(), time.process_time()

    def _cores(self, before: tuple[float, float, float]) -> tuple[float, float]:
        seconds, served, own = (now - then for now, then in zip(self._spent(), before, strict=True))
        return served / seconds, own / seconds

    def streams(
        self, number: int, unread: int | None = None
    ) -> AbstractAsyncContextManager[Callable[[], int]]:
        """So many streams of questions, which always have more to ask, none twice. Gives how many were answered so far.

        With `unread`, each sends so many and reads no answer.
        """
        return _streams(self._channels, self._requests["EnhanceInsights"], number, unread)


def _retry_after(error: grpc.aio.AioRpcError) -> float:
    told = dict(error.trailing_metadata() or ()).get(PUSHBACK)
    return BACKOFF if told is None else int(told) / 1_000


@asynccontextmanager
async def _streams(
    channels: Sequence[grpc.aio.Channel],
    questions: Iterator[bytes],
    number: int,
    unread: int | None,
) -> AsyncIterator[Callable[[], int]]:
    answered = 0

    async def ask(place: int) -> None:
        nonlocal answered
        open_stream: Any = channels[place % len(channels)].stream_stream(
            SERVICE + "EnhanceInsights"
        )
        call = open_stream()

        async def write() -> None:
            for question in itertools.islice(questions, unread):
                await call.write(question)

        writing = asyncio.create_task(write())
        try:
            if unread is None:
                async for _ in call:
                    answered += 1
            await asyncio.Event().wait()
        finally:
            writing.cancel()
            call.cancel()

    tasks = [asyncio.create_task(ask(place)) for place in range(number)]
    try:
        yield lambda: answered
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Measure = Callable[[], Awaitable[Seen]]
