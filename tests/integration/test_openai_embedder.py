from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.embedding import openai as openai_module
from keeper_grpc.embedding.batching import BatchingEmbedder
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.embedding.embedder import Embedder
from keeper_grpc.embedding.openai import (
    MAX_INPUTS,
    MAX_REQUEST_BYTES,
    MAX_TEXT_BYTES,
    AzureDeployment,
    OpenAIEmbedder,
)
from tests.e2e.waiting import SOON
from tests.integration.openai_stand_in import (
    Fault,
    OpenAIStandIn,
    Status,
    Step,
    hashed_vector,
)

KEY = "sk-test-key-never-to-be-seen"
SECRET = "a text that must not leave"


@pytest.fixture
async def server() -> AsyncIterator[OpenAIStandIn]:
    """A stand-in of its own for each test, with an empty plan."""
    async with OpenAIStandIn() as running:
        yield running


@pytest.fixture
async def embedder(
    server: OpenAIStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[OpenAIEmbedder]:
    """The real client with short limits: 3 attempts a request, 2 requests at once."""
    monkeypatch.setattr(openai_module, "FIRST_BACKOFF", 0.001)
    running = OpenAIEmbedder(
        api_key=KEY,
        base_url=server.base_url,
        attempt_timeout=5.0,
        total_timeout=10.0,
        max_retries=2,
        concurrency=2,
    )
    yield running
    await running.aclose()


def impatient(server: OpenAIStandIn, **limits: float) -> OpenAIEmbedder:
    """An embedder with one attempt and these limits, for tests of time."""
    return OpenAIEmbedder(
        api_key=KEY,
        base_url=server.base_url,
        max_retries=0,
        **limits,  # type: ignore[arg-type] # only float limits are passed
    )


async def test_it_asks_as_the_api_wants_and_answers_in_order(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
) -> None:
    """One request with model, key and all texts; float32 unit rows in the order of the texts."""
    contract: Embedder = embedder
    vectors = await contract.embed(["a", "b", "c"])
    np.testing.assert_allclose(vectors, [hashed_vector(text) for text in "abc"], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors.dtype == np.float32
    assert [body["input"] for body in server.bodies] == [["a", "b", "c"]]
    assert server.bodies[0]["model"] == "text-embedding-3-small"
    assert server.authorizations == [f"Bearer {KEY}"]
    assert contract.model == "text-embedding-3-small/1/sentence-1"
    assert (contract.thresholds.merge, contract.thresholds.cluster) == (0.95, 0.85)


WIDE = "text-embedding-3-large"
OTHERS = "nomic-embed-text"


@asynccontextmanager
async def embedding_with(width: int, **options: Any) -> AsyncIterator[tuple[OpenAIStandIn, Any]]:
    """A service whose model has this width, and the client with these options."""
    async with OpenAIStandIn(lambda text: hashed_vector(text, width)) as service:
        client = OpenAIEmbedder(api_key=KEY, base_url=service.base_url, max_retries=0, **options)
        yield service, client
        await client.aclose()


@pytest.mark.parametrize(
    ("width", "model", "dimensions", "asked", "identity"),
    [
        (1536, "text-embedding-3-small", None, None, "text-embedding-3-small/1/sentence-1"),
        (1536, "text-embedding-3-small", 1536, None, "text-embedding-3-small/1/sentence-1"),
        (1536, "text-embedding-3-small", 512, 512, "text-embedding-3-small@512/1/sentence-1"),
        (3072, WIDE, None, 1536, "text-embedding-3-large@1536/1/sentence-1"),
        (3072, WIDE, 1024, 1024, "text-embedding-3-large@1024/1/sentence-1"),
        (768, OTHERS, None, None, "nomic-embed-text/1/sentence-1"),
        (1024, OTHERS, 256, 256, "nomic-embed-text@256/1/sentence-1"),
    ],
)
async def test_models_of_other_widths_keep_their_cosines(
    width: int, model: str, dimensions: int | None, asked: int | None, identity: str
) -> None:
    """Fewer dimensions are asked for where a vector would not fit, filled with zeros, and part of the id."""
    async with embedding_with(width, model=model, dimensions=dimensions) as (service, client):
        vectors = await client.embed(["a", "b"])
    assert service.bodies[0].get("dimensions") == asked
    assert client.model == identity
    assert vectors.shape == (2, 1536)
    kept = np.array([hashed_vector(text, width)[:asked] for text in "ab"])
    kept /= np.linalg.norm(kept, axis=1, keepdims=True)
    assert vectors[0] @ vectors[1] == pytest.approx(kept[0] @ kept[1], abs=1e-6)


async def test_vectors_that_are_too_wide_are_refused_with_the_way_out() -> None:
    """The line has the width and the setting that asks for fewer."""
    async with embedding_with(3072, model="another-large") as (_, client):
        with pytest.raises(EmbedderUnavailable, match=r"3072.*1536.*KEEPER_OPENAI_DIMENSIONS"):
            await client.embed(["a"])


async def test_a_model_must_not_change_its_width() -> None:
    """A service whose answers become wider has another model: their cosines would mean nothing."""
    widths = iter([768, 1024])
    async with (
        OpenAIStandIn(lambda text: hashed_vector(text, next(widths))) as service,
    ):
        client = OpenAIEmbedder(api_key=KEY, base_url=service.base_url, model=OTHERS, max_retries=0)
        await client.embed(["a"])
        with pytest.raises(EmbedderUnavailable, match="1024 dimensions instead of 768"):
            await client.embed(["b"])
        await client.aclose()


async def test_another_services_vectors_need_not_be_of_unit_length() -> None:
    """Their direction counts; of OpenAI's own models another length is a fault."""
    async with embedding_with(1536, model=OTHERS) as (service, client):
        service.then(Fault.LONG)
        vectors = await client.embed(["a"])
    np.testing.assert_allclose(vectors, [hashed_vector("a")], atol=1e-6)


@pytest.mark.parametrize(("deployment", "named"), [("ours", "ours"), (None, WIDE)])
async def test_azure_is_asked_in_its_own_way(deployment: str | None, named: str) -> None:
    """The deployment in the path, api-version in the query, the key in `api-key` and nowhere else."""
    async with OpenAIStandIn(lambda text: hashed_vector(text, 3072)) as service:
        client = OpenAIEmbedder(
            api_key=KEY,
            base_url=service.azure_url,
            model=WIDE,
            azure=AzureDeployment("2024-10-21", deployment),
            max_retries=0,
        )
        vectors = await client.embed(["a"])
        await client.aclose()
    assert vectors.shape == (1, 1536)
    assert service.targets == [f"/openai/deployments/{named}/embeddings?api-version=2024-10-21"]
    assert service.headers[0]["api-key"] == KEY
    assert "authorization" not in service.headers[0]
    assert client.model == "text-embedding-3-large@1536/1/sentence-1"


@pytest.mark.parametrize(
    ("status", "said"),
    [(404, "no such model, deployment or address"), (400, "may not take this model")],
)
async def test_a_refusal_says_what_may_be_wrong(
    server: OpenAIStandIn, embedder: OpenAIEmbedder, status: int, said: str
) -> None:
    """A wrong name is no overload: it is not tried again."""
    server.then(Status(status))
    with pytest.raises(EmbedderUnavailable, match=said):
        await embedder.embed(["a"])
    assert len(server.bodies) == 1


async def test_the_index_tells_the_order(server: OpenAIStandIn, embedder: OpenAIEmbedder) -> None:
    """An answer listed backwards is put right by `index`."""
    server.then(Fault.SHUFFLED)
    vectors = await embedder.embed(["a", "b"])
    np.testing.assert_allclose(vectors, [hashed_vector(text) for text in "ab"], atol=1e-6)


async def test_nothing_and_empty_texts_are_never_sent(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
) -> None:
    """No texts give no rows, an empty text is refused, and neither makes a request."""
    assert (await embedder.embed([])).shape == (0, 1536)
    with pytest.raises(ValueError, match="empty text"):
        await embedder.embed(["a", ""])
    assert server.bodies == []


@pytest.mark.parametrize(
    "step",
    [
        Status(408),
        Status(429),
        Status(429, {"Retry-After": "0"}),
        Status(500),
        Status(503, {"Retry-After-Ms": "5"}),
        Fault.DISCONNECT,
    ],
    ids=str,
)
async def test_a_passing_fault_is_retried(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
    step: Step,
) -> None:
    """Two failures in a row are survived by the third attempt."""
    server.then(step, step)
    np.testing.assert_allclose(await embedder.embed(["a"]), [hashed_vector("a")], atol=1e-6)
    assert len(server.bodies) == 3


async def test_retries_are_bounded(server: OpenAIStandIn, embedder: OpenAIEmbedder) -> None:
    """After three failed attempts the caller gets an error; the server sees no fourth."""
    server.then(*[Status(500)] * 10)
    with pytest.raises(EmbedderUnavailable, match="overloaded or failing"):
        await embedder.embed(["a"])
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    "step",
    [
        Fault.MALFORMED,
        Fault.NOT_JSON,
        Fault.TOO_FEW,
        Fault.TOO_MANY,
        Fault.SAME_INDEX,
        Fault.NARROW,
        Fault.NAN,
        Fault.LONG,
    ],
    ids=lambda step: step.name,
)
async def test_an_odd_answer_is_refused_and_not_paid_twice(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
    step: Fault,
) -> None:
    """What is not one unit vector of 1536 per text is an error, after one request."""
    server.then(step)
    with pytest.raises(EmbedderUnavailable, match="invalid answer"):
        await embedder.embed(["a", "b"])
    assert len(server.bodies) == 1


async def test_a_request_that_the_server_rejects_is_not_repeated(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
) -> None:
    """A 400 stays a 400 however often it is asked."""
    server.then(Status(400))
    with pytest.raises(EmbedderUnavailable):
        await embedder.embed(["a"])
    assert len(server.bodies) == 1


@pytest.mark.parametrize("step", [Fault.HANG, Fault.DRIP], ids=lambda step: step.name)
async def test_a_hanging_attempt_ends_at_its_own_timeout(
    server: OpenAIStandIn,
    step: Fault,
) -> None:
    """A server that never answers, or never ends to, is given up after `attempt_timeout`."""
    server.then(step)
    embedder = impatient(server, attempt_timeout=0.1, total_timeout=60.0)
    async with asyncio.timeout(SOON):
        with pytest.raises(EmbedderUnavailable, match="in time"):
            await embedder.embed(["a"])
    await embedder.aclose()


async def test_the_whole_call_ends_at_the_total_timeout(server: OpenAIStandIn) -> None:
    """However patient an attempt may be, `total_timeout` ends the call."""
    server.then(Fault.HANG)
    embedder = impatient(server, attempt_timeout=60.0, total_timeout=0.1)
    async with asyncio.timeout(SOON):
        with pytest.raises(EmbedderUnavailable, match="in time"):
            await embedder.embed(["a"])
    await embedder.aclose()


async def test_waiting_for_a_slot_counts_into_the_total_timeout(server: OpenAIStandIn) -> None:
    """A call that never gets a slot ends in time, and is never sent."""
    embedder = OpenAIEmbedder(
        api_key=KEY,
        base_url=server.base_url,
        attempt_timeout=60.0,
        total_timeout=0.1,
        concurrency=1,
    )
    # Held by the test: a call that held it would time out first, and let the other one have it.
    async with embedder._slots:
        with pytest.raises(EmbedderUnavailable, match="in time"):
            await embedder.embed(["b"])
    assert not server.texts
    await embedder.aclose()


async def test_a_short_retry_after_is_waited_for(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
) -> None:
    """The second attempt comes no sooner than the server asked."""
    server.then(Status(429, {"Retry-After-Ms": "150"}))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await embedder.embed(["a"])
    assert loop.time() - began >= 0.15
    assert len(server.bodies) == 2


async def test_a_long_retry_after_is_reported_and_kept(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
) -> None:
    """A wait beyond the deadline fails at once with retry_after, and so do the calls after it."""
    server.then(Status(429, {"Retry-After": "30"}))
    for _ in range(3):
        with pytest.raises(EmbedderUnavailable) as refused:
            await embedder.embed(["a"])
        assert 25 < refused.value.retry_after <= 30
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("step", "event", "message"),
    [
        (Status(401), "openai_key_refused", "credentials"),
        (Status(403), "openai_key_refused", "credentials"),
        (Status(429, code="insufficient_quota"), "openai_out_of_credit", "quota"),
    ],
    ids=["401", "403", "quota"],
)
async def test_what_needs_a_human_is_logged_as_such_and_not_repeated(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
    step: Status,
    event: str,
    message: str,
) -> None:
    """A refused key or used-up quota has its own log event, one request, and a long retry_after."""
    server.then(step)
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(EmbedderUnavailable, match=message) as refused,
    ):
        await embedder.embed(["a"])
    assert [line["event"] for line in logs] == [event]
    assert len(server.bodies) == 1
    assert refused.value.retry_after >= 30


@pytest.mark.parametrize(
    "step",
    [Status(401), Status(400), Status(500), *Fault],
    ids=lambda step: str(step.status) if isinstance(step, Status) else step.name,
)
async def test_neither_text_nor_key_is_logged_or_raised(
    server: OpenAIStandIn,
    caplog: pytest.LogCaptureFixture,
    step: Step,
) -> None:
    """Whatever fails, logs of every level and the whole exception chain hold neither."""
    server.then(step)
    patience = 0.2 if step in (Fault.HANG, Fault.DRIP) else 30.0
    embedder = impatient(server, attempt_timeout=patience, total_timeout=patience)
    told: list[str] = []
    with caplog.at_level(logging.DEBUG), structlog.testing.capture_logs() as logs:
        try:
            await embedder.embed([SECRET, "b"])
        except EmbedderUnavailable as error:
            link: BaseException | None = error
            while link is not None:
                told.append(repr(link))
                link = link.__cause__ or link.__context__
    await embedder.aclose()
    everything = " ".join([*told, str(logs), caplog.text, repr(embedder)])
    assert bool(told) == (step is not Fault.SHUFFLED)
    assert SECRET not in everything
    assert KEY not in everything


async def test_no_more_requests_at_once_than_allowed(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
) -> None:
    """Ten concurrent calls share two slots."""
    server.hold()
    calls = [asyncio.create_task(embedder.embed([str(number)])) for number in range(10)]
    await server.received(2)
    server.release()
    await asyncio.gather(*calls)
    assert len(server.bodies) == 10
    assert server.most_open == 2


async def test_a_cancelled_call_gives_its_slot_back(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
) -> None:
    """After as many cancelled calls as there are slots the next call is served."""
    server.hold()
    calls = [asyncio.create_task(embedder.embed([str(number)])) for number in range(2)]
    await server.received(2)
    for call in calls:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 2
    server.release()
    assert (await embedder.embed(["a"])).shape == (1, 1536)


async def test_more_texts_than_a_request_may_hold_are_split(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
) -> None:
    """2,049 texts go as 2,048 and 1, and come back in order."""
    texts = [f"t{number}" for number in range(MAX_INPUTS + 1)]
    vectors = await embedder.embed(texts)
    assert sorted(len(body["input"]) for body in server.bodies) == [1, MAX_INPUTS]
    np.testing.assert_allclose(
        vectors[[0, MAX_INPUTS - 1, MAX_INPUTS]],
        [hashed_vector(texts[place]) for place in (0, MAX_INPUTS - 1, MAX_INPUTS)],
        atol=1e-6,
    )


async def test_one_failed_part_fails_the_call(server: OpenAIStandIn) -> None:
    """There is no half answer: when one of two requests fails, so does the call."""
    server.then(Status(500))
    embedder = impatient(server)
    with pytest.raises(EmbedderUnavailable, match="overloaded"):
        await embedder.embed(["t"] * (MAX_INPUTS + 1))
    await embedder.aclose()


@given(
    texts=st.lists(
        st.builds(
            lambda character, times: character * times,
            st.sampled_from(["a", "é", "日", "🙂"]),
            st.integers(1, 12_000),
        ),
        min_size=1,
        max_size=80,
    ),
)
@example(texts=["a" * 8_000] * 80)
def test_every_request_keeps_the_api_limits(texts: list[str]) -> None:
    """Requests keep order and count, and none exceeds the limits, in bytes that bound tokens."""
    requests = list(openai_module._requests(texts))
    sent = [text for request in requests for text in request]
    assert len(sent) == len(texts)
    for text, part in zip(texts, sent, strict=True):
        assert part
        assert text.startswith(part)
        assert part == text or len(text.encode()) > MAX_TEXT_BYTES
    for request in requests:
        assert len(request) <= MAX_INPUTS
        assert sum(len(text.encode()) for text in request) <= MAX_REQUEST_BYTES
        assert all(len(text.encode()) <= MAX_TEXT_BYTES for text in request)


async def test_the_whole_stack_embeds_each_text_once(
    server: OpenAIStandIn,
    embedder: OpenAIEmbedder,
) -> None:
    """Thirty concurrent calls for ten texts reach the API as one request of ten."""
    stack = CachedEmbedder(BatchingEmbedder(embedder))
    texts = [f"t{number % 10}" for number in range(30)]
    answers = await asyncio.gather(*(stack.embed([text]) for text in texts))
    for text, answer in zip(texts, answers, strict=True):
        np.testing.assert_allclose(answer, [hashed_vector(text)], atol=1e-6)
    assert len(server.bodies) == 1
    assert sorted(server.texts) == sorted(set(texts))
    assert (stack.hits, stack.misses) == (20, 10)
