"""Joins concurrent small calls of an embedder into few large ones."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.embedding.embedder import Embedder, Vectors
from keeper_grpc.embedding.vectors import no_vectors, refuse_empty
from keeper_grpc.embedding.wrapper import EmbedderWrapper
from keeper_grpc.spans import Place, Spans, context_of, current


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One caller: its texts, the future of its vectors, and its place in a trace."""

    texts: tuple[str, ...]
    answer: asyncio.Future[Vectors]
    place: Place


class BatchingEmbedder(EmbedderWrapper):
    """Concurrent `embed` calls of one event loop share calls of `inner`.

    A batch is sent when `max_batch` texts wait, or `window` seconds after the first of them came, unless
    `max_in_flight` batches are running: then texts collect until one of these ends. So an idle service adds
    `window` to a call, and a busy one sends fuller batches.

    A cancelled caller does not disturb the others; a failure of `inner` reaches every caller of that batch and
    no other. Calls that would make more than `max_waiting` texts wait are refused.
    """

    def __init__(
        self,
        inner: Embedder,
        *,
        window: float = 0.002,
        max_batch: int = 256,
        max_in_flight: int = 8,
        max_waiting: int = 10_000,
        spans: Spans | None = None,
    ) -> None:
        super().__init__(inner)
        self._spans = spans or Spans()
        self._window = window
        self._max_batch = max_batch
        self._max_in_flight = max_in_flight
        self._max_waiting = max_waiting
        self._waiting: deque[_Call] = deque()
        self._texts_waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight: dict[asyncio.Task[None], list[_Call]] = {}
        self._closed = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`.

        Raises:
            EmbedderUnavailable: `inner` failed, or the queue is full, or closed.
            ValueError: one of `texts` is empty; other callers are not affected.
        """
        refuse_empty(texts)
        if not texts:
            return no_vectors()
        if self._closed:
            raise EmbedderUnavailable("the embedder is closed")
        if self._waiting and self._texts_waiting + len(texts) > self._max_waiting:
            raise EmbedderUnavailable("too many texts wait for the embedding service")
        loop = asyncio.get_running_loop()
        call = _Call(tuple(texts), loop.create_future(), current())
        self._waiting.append(call)
        self._texts_waiting += len(texts)
        if self._texts_waiting >= self._max_batch:
            self._send_full()
        if self._waiting and self._timer is None:
            self._timer = loop.call_later(self._window, self._window_over)
        try:
            return await call.answer
        finally:
            # A cancelled caller cancels `answer`; a finished call is neither waiting nor in flight.
            if call.answer.cancelled():
                self._forget(call)

    async def aclose(self) -> None:
        """Cancel the running batches, fail their callers with EmbedderUnavailable, and close `inner`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            _refuse([self._waiting.popleft()])
        self._texts_waiting = 0
        tasks = list(self._in_flight)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._inner.aclose()

    def _send_full(self) -> None:
        while self._texts_waiting >= self._max_batch and self._may_send():
            self._send()

    def _window_over(self) -> None:
        self._timer = None
        if self._waiting and self._may_send():
            self._send()
        # Texts that still wait are sent when one of the running batches ends.

    def _may_send(self) -> bool:
        return len(self._in_flight) < self._max_in_flight

    def _send(self) -> None:
        batch: list[_Call] = []
        size = 0
        while self._waiting and (
            not batch or size + len(self._waiting[0].texts) <= self._max_batch
        ):
            call = self._waiting.popleft()
            batch.append(call)
            size += len(call.texts)
        self._texts_waiting -= size
        # A batch belongs to no single caller, so its log lines carry no call id; its span is in the trace of
        # the first caller and links to the others.
        task = asyncio.get_running_loop().create_task(
            self._run(batch), context=context_of(batch[0].place)
        )
        self._in_flight[task] = batch
        task.add_done_callback(self._returned)

    async def _run(self, batch: list[_Call]) -> None:
        try:
            texts = [text for call in batch for text in call.texts]
            others = [call.place for call in batch[1:]]
            with self._spans.step("embed batch", links=others, texts=len(texts)):
                vectors = await self._inner.embed(texts)
        except asyncio.CancelledError:
            _refuse(batch)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers' to handle
            for call in batch:
                if not call.answer.done():
                    call.answer.set_exception(error)
            return
        start = 0
        for call in batch:
            end = start + len(call.texts)
            if not call.answer.done():
                call.answer.set_result(vectors[start:end])
            start = end

    def _returned(self, task: asyncio.Task[None]) -> None:
        # A task that was cancelled before its first step never ran its own `except`.
        _refuse(self._in_flight.pop(task))
        if self._closed:
            return
        self._send_full()
        if self._waiting and self._timer is None and self._may_send():
            # Their window is over: they waited for a running batch to end.
            self._send()

    def _forget(self, call: _Call) -> None:
        """Drop a cancelled caller, and cancel its batch when no caller awaits it any more."""
        if call in self._waiting:
            self._waiting.remove(call)
            self._texts_waiting -= len(call.texts)
            return
        for task, batch in self._in_flight.items():
            if call in batch and all(other.answer.done() for other in batch):
                task.cancel()


def _refuse(batch: list[_Call]) -> None:
    """Fail every call without an answer, so that none waits for a batch that will not end."""
    for call in batch:
        if not call.answer.done():
            call.answer.set_exception(EmbedderUnavailable("the embedder is closing"))
