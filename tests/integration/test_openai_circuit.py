"""The circuit breaker of the embeddings API, with the real client and a server that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.embedding.circuit import Circuit, CircuitEmbedder, State
from keeper_grpc.embedding.openai import OpenAIEmbedder
from tests.e2e.waiting import SOON, until
from tests.integration.openai_stand_in import Fault, OpenAIStandIn, Status, Step

FAILURES = 3


class Guarded:
    """The client behind its circuit, and what the circuit told."""

    def __init__(
        self, server: OpenAIStandIn, *, pause: float, attempt_timeout: float = SOON
    ) -> None:
        self.changes: list[State] = []
        self.refused = 0
        self.circuit = Circuit(
            failures=FAILURES,
            pause=pause,
            on_change=self.changes.append,
            on_refusal=self._refusal,
        )
        client = OpenAIEmbedder(
            api_key="k",
            base_url=server.base_url,
            attempt_timeout=attempt_timeout,
            total_timeout=SOON,
            max_retries=0,
            circuit=self.circuit,
        )
        self._server = server
        self.embedder = CircuitEmbedder(client, self.circuit)

    def _refusal(self) -> None:
        self.refused += 1

    async def embed(self, text: str = "a") -> None:
        """Embed one text."""
        await self.embedder.embed([text])

    async def fails(self, step: Step | None = None) -> EmbedderUnavailable:
        """Embed, which fails, by this answer of the server if one is given."""
        if step is not None:
            self._server.then(step)
        with pytest.raises(EmbedderUnavailable) as failure:
            await self.embed()
        return failure.value

    async def back(self) -> None:
        """Embed as soon as the pause is over."""
        async with asyncio.timeout(SOON):
            while True:
                try:
                    return await self.embed()
                except EmbedderUnavailable:
                    await asyncio.sleep(0)


@pytest.fixture
async def server() -> AsyncIterator[OpenAIStandIn]:
    """A stand-in of its own for each test."""
    async with OpenAIStandIn() as running:
        yield running


@pytest.mark.parametrize(
    "step",
    [
        Status(429),
        Status(500),
        Status(503),
        Fault.HANG,
        Fault.DRIP,
        Fault.DISCONNECT,
        Fault.MALFORMED,
        Fault.NOT_JSON,
        Fault.TOO_FEW,
        Fault.NAN,
    ],
    ids=str,
)
async def test_a_service_that_fails_in_a_row_is_left_alone(
    server: OpenAIStandIn, step: Step
) -> None:
    """After so many failures calls fail at once, without a request, and say when to come back."""
    stalls = step in (Fault.HANG, Fault.DRIP)
    guarded = Guarded(server, pause=600, attempt_timeout=0.2 if stalls else SOON)
    for _ in range(FAILURES):
        await guarded.fails(step)
    requests = len(server.bodies)
    refused = [await guarded.fails() for _ in range(5)]
    assert len(server.bodies) == requests
    assert all(0 < error.retry_after <= 600 for error in refused)
    assert guarded.changes == [State.OPEN]
    assert guarded.refused == 5
    await guarded.embedder.aclose()


async def test_one_request_tries_a_service_that_was_left_alone(server: OpenAIStandIn) -> None:
    """While it is under way all others are refused; its answer lets them through."""
    guarded = Guarded(server, pause=0.001)
    for _ in range(FAILURES):
        await guarded.fails(Status(500))
    requests = len(server.bodies)
    server.hold()
    trial = asyncio.create_task(guarded.back())
    await server.received(requests + 1)
    for _ in range(3):
        await guarded.fails()
    assert len(server.bodies) == requests + 1
    server.release()
    await trial
    await asyncio.gather(*(guarded.embed() for _ in range(3)))
    assert len(server.bodies) == requests + 4
    assert guarded.changes == [State.OPEN, State.HALF_OPEN, State.CLOSED]
    await guarded.embedder.aclose()


async def test_a_trial_that_fails_begins_another_pause(server: OpenAIStandIn) -> None:
    """One failure is enough then."""
    guarded = Guarded(server, pause=0.001)
    for _ in range(FAILURES):
        await guarded.fails(Status(500))
    server.then(Status(500))
    await until(lambda: guarded.circuit.state is State.OPEN, within=SOON, what="open")
    await guarded.back()
    assert guarded.changes == [
        State.OPEN, State.HALF_OPEN, State.OPEN, State.HALF_OPEN, State.CLOSED
    ]  # fmt: skip
    await guarded.embedder.aclose()


async def test_a_refused_text_is_no_failure_of_the_service(server: OpenAIStandIn) -> None:
    """Answers about this text, key or model show a service that works: they keep its circuit closed."""
    guarded = Guarded(server, pause=600)
    for _ in range(3 * FAILURES):
        await guarded.fails(Status(400))
    for _ in range(FAILURES - 1):
        await guarded.fails(Status(500))
    await guarded.fails(Status(400))
    for _ in range(FAILURES - 1):
        await guarded.fails(Status(500))
    await guarded.embed()
    assert guarded.changes == []
    await guarded.embedder.aclose()


async def test_a_request_that_was_given_up_counts_as_nothing(server: OpenAIStandIn) -> None:
    """Neither does it open the circuit, nor does it close one that tries the service."""
    guarded = Guarded(server, pause=0.001)

    async def given_up() -> None:
        requests = len(server.bodies)
        server.then(Fault.HANG)
        call = asyncio.create_task(guarded.back())
        await server.received(requests + 1)
        call.cancel()
        await asyncio.wait([call])

    for _ in range(2 * FAILURES):
        await given_up()
    assert guarded.changes == []
    for _ in range(FAILURES):
        await guarded.fails(Status(500))
    await given_up()
    assert guarded.changes == [State.OPEN, State.HALF_OPEN]
    await guarded.back()
    assert guarded.changes == [State.OPEN, State.HALF_OPEN, State.CLOSED]
    await guarded.embedder.aclose()
