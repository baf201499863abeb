"""A circuit breaker: an embedding service that fails is left alone, and tried again by one request now and then.

The states and their rules are pyresilience's, on the monotonic clock. Added are what it leaves to its callers: that a
single request tries the service, that a request which its callers gave up counts as nothing, and who is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum

import structlog
from pyresilience import CircuitBreaker, CircuitBreakerConfig, CircuitState

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.embedding.embedder import Embedder, Vectors
from keeper_grpc.embedding.wrapper import EmbedderWrapper

log = structlog.get_logger()

LEAST_WAIT = 0.1
"""Seconds that a refused caller is told to wait at least."""

TRIAL_WAIT = 1.0
"""Seconds that a caller is told to wait while one request tries the service."""


class State(Enum):
    """Of the circuit: requests go through, none does, or one does, to see whether the service is back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


_STATES = {
    CircuitState.CLOSED: State.CLOSED,
    CircuitState.OPEN: State.OPEN,
    CircuitState.HALF_OPEN: State.HALF_OPEN,
}


class Circuit:
    """Opens after so many `failures` in a row, for `pause` seconds at a time.

    on_change: called with each new state. on_refusal: called for each call that was refused.
    """

    def __init__(
        self,
        *,
        failures: int,
        pause: float,
        on_change: Callable[[State], None] = lambda state: None,  # noqa: ARG005 - the default ignores it
        on_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        self._breaker = CircuitBreaker(
            CircuitBreakerConfig(
                failure_threshold=failures, recovery_timeout=pause, success_threshold=1
            )
        )
        self._pause = pause
        self._on_change = on_change
        self._on_refusal = on_refusal
        self._opened = 0.0
        self._trying = False
        self.state = State.CLOSED

    def check(self) -> None:
        """Raises EmbedderUnavailable while no request may be made."""
        if self.state is State.CLOSED:
            return
        if not self._breaker.allow_request():
            left = self._opened + self._pause - time.monotonic()
            self._refuse(max(left, LEAST_WAIT))
        if self._trying:
            self._refuse(TRIAL_WAIT)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Around one request, whose end is told to `failed` or `answered`; to neither if it was given up.

        Raises EmbedderUnavailable while no request may be made.
        """
        self.check()
        # Closed, or else the pause is over: only `check` sees that.
        trial = self.state is not State.CLOSED
        if trial:
            self._trying = True
            self._changed(State.HALF_OPEN)
        try:
            yield
        finally:
            if trial:
                self._trying = False

    def failed(self) -> None:
        """The service did not answer a request, or not as it should."""
        self._changed(_STATES[self._breaker.record_failure()])
        if self.state is State.OPEN:
            self._opened = time.monotonic()

    def answered(self) -> None:
        """The service answered; it may have refused this one request."""
        self._changed(_STATES[self._breaker.record_success()])

    def _refuse(self, wait: float) -> None:
        self._on_refusal()
        raise EmbedderUnavailable("the embedding service does not answer", retry_after=wait)

    def _changed(self, state: State) -> None:
        if state is self.state:
            return
        self.state = state
        match state:
            case State.OPEN:
                log.warning("embedding_circuit_open", pause=self._pause)
            case State.HALF_OPEN:
                log.info("embedding_circuit_half_open")
            case State.CLOSED:
                log.info("embedding_circuit_closed")
        self._on_change(state)


class CircuitEmbedder(EmbedderWrapper):
    """Refuses at once while the circuit of `inner` lets no request through, before anything waits for one."""

    def __init__(self, inner: Embedder, circuit: Circuit) -> None:
        super().__init__(inner)
        self._circuit = circuit

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`."""
        self._circuit.check()
        return await self._inner.embed(texts)
