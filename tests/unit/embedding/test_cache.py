from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.embedding.cache import CachedEmbedder, content_hash
from keeper_grpc.embedding.embedder import Vectors
from tests.unit.embedding.gated_embedder import GatedEmbedder, vector_of


class Shelf:
    """A VectorStore in a dictionary, which can break and can stall."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, bytes], Vectors] = {}
        self.broken = False
        self.open = asyncio.Event()
        self.open.set()

    async def get(self, model: str, hashes: Sequence[bytes]) -> Mapping[bytes, Vectors]:
        await self._work()
        return {key: self.rows[model, key] for key in hashes if (model, key) in self.rows}

    async def put(self, model: str, items: Mapping[bytes, Vectors]) -> None:
        await self._work()
        self.rows.update({(model, key): row for key, row in items.items()})

    async def _work(self) -> None:
        await self.open.wait()
        if self.broken:
            raise ConnectionError("statement with secret text failed")


async def test_a_known_text_is_not_embedded_again() -> None:
    """The second call answers the same bits from memory, and the counters say so."""
    inner = GatedEmbedder()
    cached = CachedEmbedder(inner)
    first = await cached.embed(["a", "b", "a"])
    second = await cached.embed(["b", "a", "c"])
    assert inner.calls == [["a", "b"], ["c"]]
    assert first.tobytes() == np.stack([vector_of(text) for text in "aba"]).tobytes()
    assert second.tobytes() == np.stack([vector_of(text) for text in "bac"]).tobytes()
    assert (cached.hits, cached.misses) == (3, 3)
    await cached.aclose()
    assert inner.closed


async def test_what_a_caller_does_to_its_vectors_stays_with_the_caller() -> None:
    """Writing into an answer does not change what the next caller gets."""
    cached = CachedEmbedder(GatedEmbedder())
    (await cached.embed(["a"]))[:] = 0
    np.testing.assert_array_equal(await cached.embed(["a"]), [vector_of("a")])
    await cached.aclose()


async def test_memory_is_bounded_and_the_least_recently_used_leaves() -> None:
    """With room for two, the one not asked for lately is embedded again."""
    inner = GatedEmbedder()
    cached = CachedEmbedder(inner, max_entries=2)
    for text in "abac":
        await cached.embed([text])
    assert len(cached) == 2
    await cached.embed(["a"])
    assert inner.calls == [["a"], ["b"], ["c"]]
    await cached.embed(["b"])
    assert inner.calls == [["a"], ["b"], ["c"], ["b"]]
    await cached.aclose()


async def test_more_texts_in_a_call_than_fit_in_memory() -> None:
    """A call larger than the cache is answered whole."""
    cached = CachedEmbedder(GatedEmbedder(), max_entries=1)
    np.testing.assert_array_equal(await cached.embed(list("abc")), [vector_of(t) for t in "abc"])
    assert len(cached) == 1
    await cached.aclose()


async def test_concurrent_calls_for_one_text_share_one_embedding() -> None:
    """Ten concurrent callers of one text cost one call of the model."""
    inner = GatedEmbedder()
    inner.gate.clear()
    cached = CachedEmbedder(inner)
    calls = [asyncio.create_task(cached.embed(["a"])) for _ in range(10)]
    await inner.called(1)
    inner.gate.set()
    for answer in await asyncio.gather(*calls):
        np.testing.assert_array_equal(answer, [vector_of("a")])
    assert inner.calls == [["a"]]
    assert (cached.hits, cached.misses) == (9, 1)
    await cached.aclose()


async def test_the_first_callers_cancellation_leaves_those_who_joined() -> None:
    """A joined caller gets its vector though the caller that began the embedding is gone."""
    inner = GatedEmbedder()
    inner.gate.clear()
    cached = CachedEmbedder(inner)
    first = asyncio.create_task(cached.embed(["a"]))
    await inner.called(1)
    joined = asyncio.create_task(cached.embed(["a"]))
    await asyncio.sleep(0)  # it joins
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    inner.gate.set()
    np.testing.assert_array_equal(await joined, [vector_of("a")])
    assert inner.calls == [["a"]]
    await cached.aclose()


async def test_a_failure_is_not_remembered() -> None:
    """Every caller gets the model's error, and the next call tries again."""
    inner = GatedEmbedder()
    inner.failure = EmbedderUnavailable("down", retry_after=3)
    cached = CachedEmbedder(inner)
    answers = await asyncio.gather(
        *(cached.embed(["a"]) for _ in range(3)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [EmbedderUnavailable] * 3
    inner.failure = None
    np.testing.assert_array_equal(await cached.embed(["a"]), [vector_of("a")])
    await cached.aclose()


async def test_the_store_outlives_the_process() -> None:
    """A new cache over the same store answers the same bits without the model, and holds no text."""
    shelf = Shelf()
    before = CachedEmbedder(GatedEmbedder(), shelf)
    first = await before.embed(["a", "b"])
    await before.aclose()
    inner = GatedEmbedder()
    after = CachedEmbedder(inner, shelf)
    second = await after.embed(["a", "b"])
    assert first.tobytes() == second.tobytes()
    assert inner.calls == []
    assert after.store_hits == 2
    assert set(shelf.rows) == {(inner.model, content_hash(inner.model, text)) for text in "ab"}
    await after.aclose()


async def test_only_what_the_store_lacks_is_embedded() -> None:
    """Rows found and rows made are put together in the order of the texts."""
    shelf = Shelf()
    cached = CachedEmbedder(GatedEmbedder(), shelf)
    await cached.embed(["b"])
    await cached.aclose()
    inner = GatedEmbedder()
    fresh = CachedEmbedder(inner, shelf)
    np.testing.assert_array_equal(await fresh.embed(list("abc")), [vector_of(t) for t in "abc"])
    assert inner.calls == [["a", "c"]]
    await fresh.aclose()


async def test_a_broken_store_costs_only_its_answers() -> None:
    """Reads and writes that fail are counted and logged by kind, and the embedding is given."""
    shelf = Shelf()
    shelf.broken = True
    cached = CachedEmbedder(GatedEmbedder(), shelf)
    with structlog.testing.capture_logs() as logs:
        np.testing.assert_array_equal(await cached.embed(["a"]), [vector_of("a")])
        await cached.aclose()
    assert cached.store_failures == 2
    assert [(line["event"], line["operation"]) for line in logs] == [
        ("embedding_store_failed", "get"),
        ("embedding_store_failed", "put"),
    ]
    assert "secret" not in str(logs)


async def test_a_stalled_store_is_not_waited_for() -> None:
    """A store that never answers delays a call by its timeout and no more."""
    shelf = Shelf()
    shelf.open.clear()
    cached = CachedEmbedder(GatedEmbedder(), shelf, store_timeout=0.01)
    np.testing.assert_array_equal(await cached.embed(["a"]), [vector_of("a")])
    await cached.aclose()
    assert cached.store_failures == 2


@pytest.mark.parametrize(
    "row",
    [
        np.zeros(1536, dtype=np.float32),
        np.full(1536, np.nan, dtype=np.float32),
        np.ones(8, dtype=np.float32),
    ],
    ids=["zero", "nan", "narrow"],
)
async def test_a_damaged_row_is_embedded_again(row: Vectors) -> None:
    """A stored row that is no unit vector counts as missing."""
    shelf = Shelf()
    inner = GatedEmbedder()
    shelf.rows[inner.model, content_hash(inner.model, "a")] = row
    cached = CachedEmbedder(inner, shelf)
    np.testing.assert_array_equal(await cached.embed(["a"]), [vector_of("a")])
    await cached.aclose()


def test_models_do_not_share_hashes() -> None:
    """One text has another key under another model."""
    assert content_hash("one/1/sentence-1", "a") != content_hash("two/1/sentence-1", "a")


@given(calls=st.lists(st.lists(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=6))
@settings(max_examples=40)
def test_the_cache_never_changes_an_answer(calls: list[list[str]]) -> None:
    """Whatever was asked before and at once, with a tiny memory, the bits are the model's own."""

    async def run() -> None:
        cached = CachedEmbedder(GatedEmbedder(), Shelf(), max_entries=2)
        answers = await asyncio.gather(*(cached.embed(texts) for texts in calls))
        for texts, answer in zip(calls, answers, strict=True):
            assert answer.tobytes() == np.stack([vector_of(text) for text in texts]).tobytes()
        await cached.aclose()

    asyncio.run(run())
