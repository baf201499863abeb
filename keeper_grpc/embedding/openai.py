"""OpenAI's embeddings API, or any server with the same interface.

No text and no key reaches a log line or an exception: the client library's errors quote the server's answer,
which may quote both, so they are handled here and never chained.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

import numpy as np
import openai
import structlog
from openai.types import CreateEmbeddingResponse

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.domain.insight import RENDERING
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.embedding.circuit import Circuit
from keeper_grpc.embedding.embedder import DIMENSIONS, Vectors
from keeper_grpc.embedding.retry_after import retry_after_seconds
from keeper_grpc.embedding.vectors import (
    NotAnEmbedding,
    no_vectors,
    refuse_empty,
    unit_vectors,
)
from keeper_grpc.spans import Spans, mark_failed

log = structlog.get_logger()

BASE_URL = "https://api.openai.com/v1"
MODEL = "text-embedding-3-small"

WIDTHS = {MODEL: DIMENSIONS, "text-embedding-ada-002": DIMENSIONS}
"""Widths of OpenAI's models that fit as they are: another one in an answer means another model."""

OWN = frozenset({*WIDTHS, "text-embedding-3-large"})
"""OpenAI's models, whose answers are unit vectors."""

SHORTENED = frozenset({"text-embedding-3-large"})
"""Models that are wider than DIMENSIONS and can answer with less, at no loss worth measuring: of 3072
dimensions the first 1536 are asked for."""

THRESHOLDS = Thresholds(merge=0.95, cluster=0.85, retrieval=0.40)
"""The source design's merge and cluster. They are not calibrated, because no API key was at hand: run `bench/thresholds.py --model openai` with a key (docs/adr/0002)."""

MAX_INPUTS = 2_048
"""Most texts in one request (API reference, embeddings)."""

MAX_REQUEST_BYTES = 300_000
"""The API allows 300,000 tokens a request. Its tokenizer works on UTF-8 bytes and no token is
shorter than one, so bytes bound tokens without carrying the tokenizer here. English has four bytes
to a token, and still 2,000 insights fit."""

MAX_TEXT_BYTES = 8_191
"""The API refuses a whole request for one text of more than 8,192 tokens. Bytes bound tokens, as
above; a longer text is embedded by its beginning."""

FIRST_BACKOFF = 0.5
"""Seconds before the first retry; doubled for each further one."""

NEEDS_A_HUMAN = 30.0
"""Seconds without a request after the key was refused or the credit used up: an operator has to act."""

RETRIED = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS},
)
"""Client errors worth a second attempt; every 5xx is."""

NORM_TOLERANCE = 0.01
"""The API returns unit vectors. Rounding stays far below this; another model or a broken proxy is
far above."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an attempt failed: `event` for the log, `message` for the caller.

    `answered` is whether the service works: it refused this request, and might take the next one.
    """

    event: str
    message: str
    again: bool
    answered: bool = False
    status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class AzureDeployment:
    """How Azure serves a model: `name` of the deployment (None: the model's) and api-version."""

    api_version: str
    name: str | None = None


class OpenAIEmbedder:
    """Embeds through an API. Every wait is bounded.

    dimensions: asked of the model, None for its own. azure: for a deployment there; then `base_url` is the
    resource's. attempt_timeout: seconds for one HTTP exchange. total_timeout: seconds for one `embed`,
    with its waits for a free slot and its retries. max_retries: further attempts per request.
    concurrency: requests open at once. circuit: what keeps requests from a service that fails; None for one that never
    does. on_failure: called with the log event of each failed attempt.

    A `Retry-After` closes the embedder for all callers until then. A caller that cannot wait so long fails
    at once, without a request.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = BASE_URL,
        model: str = MODEL,
        dimensions: int | None = None,
        azure: AzureDeployment | None = None,
        thresholds: Thresholds = THRESHOLDS,
        attempt_timeout: float = 5.0,
        total_timeout: float = 15.0,
        max_retries: int = 2,
        concurrency: int = 8,
        circuit: Circuit | None = None,
        on_failure: Callable[[str], None] = lambda event: None,  # noqa: ARG005 - the default ignores it
        spans: Spans | None = None,
    ) -> None:
        self._name = model
        if dimensions is None and model in SHORTENED:
            dimensions = DIMENSIONS
        # Asked for in every request, and part of the id; None is the model's own width.
        self._asked_width = None if dimensions == WIDTHS.get(model) else dimensions
        self._width = dimensions or WIDTHS.get(model)
        self._thresholds = thresholds
        self._attempt_timeout = attempt_timeout
        self._total_timeout = total_timeout
        self._max_retries = max_retries
        self._on_failure = on_failure
        self._spans = spans or Spans()
        self._circuit = circuit
        self._slots = asyncio.Semaphore(concurrency)
        self._closed_until = 0.0
        # Retries are done here: the client would sleep for up to two minutes at a Retry-After.
        self._client: openai.AsyncOpenAI
        if azure is None:
            self._client = openai.AsyncOpenAI(
                api_key=api_key, base_url=base_url, timeout=attempt_timeout, max_retries=0
            )
        else:
            self._client = openai.AsyncAzureOpenAI(
                api_key=api_key,
                azure_endpoint=base_url,
                azure_deployment=azure.name or model,
                api_version=azure.api_version,
                timeout=attempt_timeout,
                max_retries=0,
            )

    @property
    def model(self) -> str:
        # OpenAI does not version the models behind a name: "1" is this project's version, to be raised if
        # the vectors behind the name change.
        width = "" if self._asked_width is None else f"@{self._asked_width}"
        return f"{self._name}{width}/1/{RENDERING}"

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    @property
    def thresholds(self) -> Thresholds:
        return self._thresholds

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`.

        Raises:
            EmbedderUnavailable: no valid answer within `total_timeout` and `max_retries`.
            ValueError: one of `texts` is empty.
        """
        refuse_empty(texts)
        if not texts:
            return no_vectors()
        deadline = asyncio.get_running_loop().time() + self._total_timeout
        try:
            async with asyncio.timeout_at(deadline):
                return await self._all(_requests(texts), deadline)
        except TimeoutError:
            log.warning("openai_out_of_time", seconds=self._total_timeout)
        raise EmbedderUnavailable("the embedding service did not answer in time")

    async def aclose(self) -> None:
        await self._client.close()

    async def _all(self, requests: Iterable[Sequence[str]], deadline: float) -> Vectors:
        """All requests concurrently; the first that fails cancels the others."""
        try:
            async with asyncio.TaskGroup() as group:
                parts = [group.create_task(self._one(texts, deadline)) for texts in requests]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return np.concatenate([part.result() for part in parts])

    async def _one(self, texts: Sequence[str], deadline: float) -> Vectors:
        """One request and its retries."""
        failure: _Failure
        for attempt in range(1, self._max_retries + 2):
            async with self._slots:
                await self._until_open(deadline)
                outcome = await self._guarded_attempt(texts)
            if not isinstance(outcome, _Failure):
                return outcome
            failure = outcome
            log.warning(failure.event, status=failure.status, attempt=attempt, texts=len(texts))
            self._on_failure(failure.event)
            if failure.retry_after is not None:
                reopening = asyncio.get_running_loop().time() + failure.retry_after
                self._closed_until = max(self._closed_until, reopening)
            if not failure.again or attempt > self._max_retries:
                break
            if failure.retry_after is None:
                # Jitter, so that callers which failed together do not return together.
                jitter = random.uniform(0.75, 1.0)  # noqa: S311 - not a secret
                await asyncio.sleep(FIRST_BACKOFF * 2 ** (attempt - 1) * jitter)
        raise EmbedderUnavailable(
            failure.message,
            retry_after=FIRST_BACKOFF if failure.retry_after is None else failure.retry_after,
        )

    async def _until_open(self, deadline: float) -> None:
        """Waits until the server's Retry-After is over.

        Raises:
            EmbedderUnavailable: that is after `deadline`.
        """
        now = asyncio.get_running_loop().time()
        if self._closed_until >= deadline:
            raise EmbedderUnavailable(
                "the embedding service asked for a pause",
                retry_after=self._closed_until - now,
            )
        if self._closed_until > now:
            await asyncio.sleep(self._closed_until - now)

    async def _guarded_attempt(self, texts: Sequence[str]) -> Vectors | _Failure:
        """Raises EmbedderUnavailable where the circuit is open."""
        if self._circuit is None:
            return await self._traced_attempt(texts)
        with self._circuit.request():
            outcome = await self._traced_attempt(texts)
            if isinstance(outcome, _Failure) and not outcome.answered:
                self._circuit.failed()
            else:
                self._circuit.answered()
            return outcome

    async def _traced_attempt(self, texts: Sequence[str]) -> Vectors | _Failure:
        attributes = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": self._name}
        with self._spans.request(
            f"embeddings {self._name}", attributes | {"texts": len(texts)}
        ) as headers:
            outcome = await self._attempt(texts, headers)
            if isinstance(outcome, _Failure):
                mark_failed(outcome.event)
            return outcome

    async def _attempt(
        self, texts: Sequence[str], headers: Mapping[str, str]
    ) -> Vectors | _Failure:
        """One HTTP exchange. A failure is returned, because an exception would carry texts."""
        try:
            # The client's own timeout starts again with every byte that arrives.
            async with asyncio.timeout(self._attempt_timeout):
                answer = await self._client.embeddings.create(
                    model=self._name,
                    input=list(texts),
                    dimensions=openai.omit if self._asked_width is None else self._asked_width,
                    extra_headers=headers,
                )
            return self._vectors(answer, len(texts))
        except (TimeoutError, openai.APITimeoutError):
            return _Failure("openai_timeout", "the embedding service did not answer in time", True)
        except openai.APIConnectionError:
            return _Failure("openai_unreachable", "the embedding service cannot be reached", True)
        except openai.APIStatusError as error:
            return _refusal(error)
        except NotAnEmbedding as error:
            return _Failure(
                "openai_answer_invalid",
                f"the embedding service returned an invalid answer: {error}",
                again=False,
            )
        except Exception as error:  # noqa: BLE001 - a malformed answer breaks the client anywhere
            log.warning("openai_answer_unreadable", kind=type(error).__name__)
            # Not retried: a malformed answer means a wrong server or model, and every attempt is billed.
            return _Failure(
                "openai_answer_invalid",
                "the embedding service returned an invalid answer",
                again=False,
            )

    def _vectors(self, answer: CreateEmbeddingResponse, count: int) -> Vectors:
        """The answer's vectors in the order of the request.

        Raises:
            NotAnEmbedding: not exactly one vector of this model for each text.
        """
        rows = {item.index: item.embedding for item in answer.data}
        if len(answer.data) != count or rows.keys() != set(range(count)):
            raise NotAnEmbedding("not one vector for each text")
        raw = np.asarray([rows[index] for index in range(count)], dtype=np.float64)
        width = raw.shape[-1]
        if self._width is None and raw.shape == (count, width):
            # A model of another service: its first answer tells.
            self._width = width
        if raw.shape != (count, self._width):
            raise NotAnEmbedding(f"{width} dimensions instead of {self._width}")
        if width > DIMENSIONS:
            self._width = None
            raise NotAnEmbedding(
                f"{width} dimensions, of which {DIMENSIONS} can be stored; KEEPER_OPENAI_DIMENSIONS "
                "asks for fewer, where the model can"
            )
        # Negated, so that NaN is refused too. Services that are only like OpenAI's need not normalize.
        if self._name in OWN and not (abs(np.linalg.norm(raw, axis=1) - 1) <= NORM_TOLERANCE).all():
            raise NotAnEmbedding("not unit vectors")
        return unit_vectors(raw)


def _refusal(error: openai.APIStatusError) -> _Failure:
    status = error.status_code
    retry_after = retry_after_seconds(error.response.headers, now=datetime.now(UTC))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _Failure(
            "openai_key_refused",
            "the embedding service refuses this server's credentials",
            again=False,
            answered=True,
            status=status,
            retry_after=NEEDS_A_HUMAN,
        )
    if error.code == "insufficient_quota":
        return _Failure(
            "openai_out_of_credit",
            "the embedding service's quota is used up",
            again=False,
            answered=True,
            status=status,
            retry_after=NEEDS_A_HUMAN,
        )
    if status == HTTPStatus.NOT_FOUND:
        return _Failure(
            "openai_not_found",
            "the embedding service has no such model, deployment or address",
            again=False,
            answered=True,
            status=status,
            retry_after=NEEDS_A_HUMAN,
        )
    if status == HTTPStatus.BAD_REQUEST:
        return _Failure(
            "openai_refused",
            "the embedding service refuses the request; it may not take this model or its dimensions",
            again=False,
            answered=True,
            status=status,
            retry_after=retry_after,
        )
    again = status in RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return _Failure(
        "openai_refused",
        "the embedding service is overloaded or failing",
        again=again,
        answered=not again,
        status=status,
        retry_after=retry_after,
    )


def _requests(texts: Sequence[str]) -> Iterator[list[str]]:
    """Cuts `texts`, in order, into requests that the API accepts."""
    request: list[str] = []
    size = 0
    for text in texts:
        # A character that is cut in half is dropped.
        sent = text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
        cost = len(sent.encode())
        if request and (len(request) == MAX_INPUTS or size + cost > MAX_REQUEST_BYTES):
            yield request
            request, size = [], 0
        request.append(sent)
        size += cost
    yield request
