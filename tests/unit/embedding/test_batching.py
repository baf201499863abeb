from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.embedding.batching import BatchingEmbedder
from tests.unit.embedding.gated_embedder import GatedEmbedder, vector_of

NEVER = 3600.0
"""A window that no test outlasts: what leaves, leaves for another reason."""


async def test_concurrent_calls_become_one() -> None:
    """Twenty concurrent calls reach the model as one, and each caller gets its own vector."""
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner)
    texts = [f"text {number}" for number in range(20)]
    answers = await asyncio.gather(*(batching.embed([text]) for text in texts))
    assert inner.calls == [texts]
    for text, answer in zip(texts, answers, strict=True):
        np.testing.assert_array_equal(answer, [vector_of(text)])
    await batching.aclose()
    assert inner.closed


async def test_a_full_batch_does_not_wait_for_the_window() -> None:
    """`max_batch` texts leave at once."""
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner, window=NEVER, max_batch=3)
    await asyncio.gather(*(batching.embed([text]) for text in "abc"))
    assert inner.calls == [["a", "b", "c"]]
    await batching.aclose()


async def test_a_call_larger_than_a_batch_goes_whole() -> None:
    """A call is never cut: its own batch is as large as it is."""
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner, window=NEVER, max_batch=2)
    assert (await batching.embed(list("abcde"))).shape[0] == 5
    assert inner.calls == [list("abcde")]
    await batching.aclose()


async def test_what_comes_while_all_slots_are_taken_leaves_as_one_batch() -> None:
    """With the only slot taken calls collect, and leave together when it is free."""
    inner = GatedEmbedder()
    inner.gate.clear()
    batching = BatchingEmbedder(inner, window=0.0, max_in_flight=1)
    first = asyncio.create_task(batching.embed(["first"]))
    await inner.called(1)
    later = [asyncio.create_task(batching.embed([text])) for text in "abc"]
    # Their window (zero) ends while the slot is taken.
    for _ in range(5):
        await asyncio.sleep(0)
    assert inner.calls == [["first"]]
    inner.gate.set()
    await asyncio.gather(first, *later)
    assert inner.calls == [["first"], ["a", "b", "c"]]
    await batching.aclose()


async def test_a_cancelled_caller_leaves_the_others_alone() -> None:
    """Cancelling one of three callers of a batch under way answers the other two."""
    inner = GatedEmbedder()
    inner.gate.clear()
    batching = BatchingEmbedder(inner, window=0.0)
    calls = [asyncio.create_task(batching.embed([text])) for text in "abc"]
    await inner.called(1)
    calls[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[1]
    inner.gate.set()
    np.testing.assert_array_equal(await calls[0], [vector_of("a")])
    np.testing.assert_array_equal(await calls[2], [vector_of("c")])
    assert inner.cancelled == 0
    await batching.aclose()


async def test_a_batch_without_callers_is_cancelled() -> None:
    """When every caller of a batch is cancelled, so is the call of the model."""
    inner = GatedEmbedder()
    inner.gate.clear()
    batching = BatchingEmbedder(inner, window=0.0)
    calls = [asyncio.create_task(batching.embed([text])) for text in "ab"]
    await inner.called(1)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await asyncio.sleep(0)  # the ended batch gets its turn
    assert inner.cancelled == 1
    await batching.aclose()


async def test_a_caller_cancelled_before_its_batch_leaves_is_not_embedded() -> None:
    """A text whose caller left while it was waiting is never sent."""
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner, window=NEVER, max_batch=2)
    gone = asyncio.create_task(batching.embed(["gone"]))
    await asyncio.sleep(0)  # it joins the queue
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await asyncio.gather(batching.embed(["a"]), batching.embed(["b"]))
    assert inner.calls == [["a", "b"]]
    await batching.aclose()


async def test_a_failure_reaches_every_caller_and_the_next_batch_works() -> None:
    """Every caller of the failed batch gets the error with its retry_after; later ones do not."""
    inner = GatedEmbedder()
    inner.failure = EmbedderUnavailable("down", retry_after=7)
    batching = BatchingEmbedder(inner)
    answers = await asyncio.gather(
        *(batching.embed([text]) for text in "abc"),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [EmbedderUnavailable] * 3
    assert all(isinstance(a, EmbedderUnavailable) and a.retry_after == 7 for a in answers)
    inner.failure = None
    np.testing.assert_array_equal(await batching.embed(["d"]), [vector_of("d")])
    await batching.aclose()


async def test_an_empty_text_harms_only_its_own_caller() -> None:
    """A faulty call is refused before it joins the others' batch."""
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner)
    good, bad = await asyncio.gather(
        batching.embed(["a"]),
        batching.embed([""]),
        return_exceptions=True,
    )
    assert isinstance(bad, ValueError)
    np.testing.assert_array_equal(good, [vector_of("a")])
    await batching.aclose()


async def test_a_full_queue_refuses() -> None:
    """A call that would exceed `max_waiting` is refused at once."""
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner, window=NEVER, max_waiting=2)
    waiting = asyncio.create_task(batching.embed(["a", "b"]))
    await asyncio.sleep(0)  # it joins the queue
    with pytest.raises(EmbedderUnavailable, match="too many"):
        await batching.embed(["c"])
    await batching.aclose()
    with pytest.raises(EmbedderUnavailable, match="closing"):
        await waiting


async def test_closing_answers_everyone() -> None:
    """Callers under way and callers waiting get an error at close, and later ones too."""
    inner = GatedEmbedder()
    inner.gate.clear()
    batching = BatchingEmbedder(inner, window=0.0, max_in_flight=1)
    calls = [asyncio.create_task(batching.embed(["under way"]))]
    await inner.called(1)
    calls.append(asyncio.create_task(batching.embed(["waiting"])))
    await asyncio.sleep(0)  # it joins the queue
    await batching.aclose()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [EmbedderUnavailable] * 2
    with pytest.raises(EmbedderUnavailable, match="closed"):
        await batching.embed(["late"])


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    max_batch=st.integers(1, 8),
    max_in_flight=st.integers(1, 3),
)
@settings(max_examples=40)
def test_every_caller_gets_its_own_rows_in_order(
    sizes: list[int],
    max_batch: int,
    max_in_flight: int,
) -> None:
    """However calls are packed, each gets its vectors in its order and no text is sent twice."""

    async def run() -> None:
        inner = GatedEmbedder()
        batching = BatchingEmbedder(
            inner,
            window=0.0,
            max_batch=max_batch,
            max_in_flight=max_in_flight,
        )
        calls = [[f"{call}.{row}" for row in range(size)] for call, size in enumerate(sizes)]
        answers = await asyncio.gather(*(batching.embed(texts) for texts in calls))
        for texts, answer in zip(calls, answers, strict=True):
            np.testing.assert_array_equal(answer, [vector_of(text) for text in texts])
        sent = [text for call in inner.calls for text in call]
        assert sorted(sent) == sorted(text for texts in calls for text in texts)
        await batching.aclose()

    asyncio.run(run())
