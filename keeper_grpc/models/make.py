"""Making an embedding model from the settings and a recipe."""

from __future__ import annotations

import asyncio

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.domain.patterns.space import Recipe
from keeper_grpc.embedding.batching import BatchingEmbedder
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.embedding.embedder import Embedder
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.embedding.minilm import MiniLMEmbedder
from keeper_grpc.embedding.onnx import OnnxEmbedder
from keeper_grpc.embedding.unusable import ModelUnusable
from keeper_grpc.settings import Settings
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedding_cache import PostgresVectors
from keeper_grpc.telemetry.measured import MeasuredEmbedder
from keeper_grpc.telemetry.telemetry import Telemetry


def recipe_of(settings: Settings) -> Recipe:
    """The model that the settings name, or would take for a database without one."""
    kind = settings.embedder
    if kind == "auto":
        kind = "local" if settings.openai_api_key is None else "openai"
    if kind == "openai":
        return Recipe(kind, settings.openai_model, settings.openai_dimensions)
    if kind == "local" and settings.local_model_dir is not None:
        return Recipe("onnx")
    return Recipe(kind)


async def make_model(
    settings: Settings, recipe: Recipe, pool: Database, telemetry: Telemetry
) -> CachedEmbedder:
    """A model that has answered, behind its cache. Raises ModelUnusable."""
    embedder = CachedEmbedder(
        await make_bare_model(settings, recipe, telemetry),
        PostgresVectors(pool),
        max_entries=settings.embedding_cache_size,
        spans=telemetry.spans,
    )
    # The vector of this text is cached for good, so that later starts cost no request.
    try:
        await embedder.embed(["ready"])
    except EmbedderUnavailable as error:
        await embedder.aclose()
        # Only a remote model raises this: a local one that could be loaded answers.
        raise ModelUnusable(
            f"{error}: check KEEPER_OPENAI_BASE_URL, KEEPER_OPENAI_API_KEY and the way there, or set "
            "KEEPER_EMBEDDER=local for a database that has learned nothing yet"
        ) from error
    return embedder


async def make_bare_model(settings: Settings, recipe: Recipe, telemetry: Telemetry) -> Embedder:
    """A model without a cache in front of it, which may not have answered yet. Raises ModelUnusable."""
    match recipe.embedder:
        case "openai":
            return _openai(settings, recipe, telemetry)
        case "minilm":
            local: Embedder = await asyncio.to_thread(MiniLMEmbedder)
        case "onnx":
            if settings.local_model_dir is None:
                raise ModelUnusable("KEEPER_LOCAL_MODEL_DIR: required for this model")
            local = await asyncio.to_thread(OnnxEmbedder, settings.local_model_dir)
        case _:
            local = await asyncio.to_thread(LocalEmbedder)
    return MeasuredEmbedder(local, telemetry.instruments)


def _openai(settings: Settings, recipe: Recipe, telemetry: Telemetry) -> Embedder:
    # The OpenAI client is a third of what a command would import, and few ever make one.
    from keeper_grpc.embedding.circuit import Circuit, CircuitEmbedder  # noqa: PLC0415
    from keeper_grpc.embedding.openai import AzureDeployment, OpenAIEmbedder  # noqa: PLC0415

    if settings.openai_api_key is None:
        raise ModelUnusable("KEEPER_OPENAI_API_KEY: required for this model")
    circuit = Circuit(
        failures=settings.openai_circuit_failures,
        pause=settings.openai_circuit_pause.total_seconds(),
        on_change=lambda state: telemetry.instruments.circuit_changed(state.value),
        on_refusal=telemetry.instruments.circuit_refused,
    )
    telemetry.instruments.circuit_made()
    remote = OpenAIEmbedder(
        api_key=settings.openai_api_key.get_secret_value(),
        base_url=settings.openai_base_url,
        model=recipe.openai_model or settings.openai_model,
        dimensions=recipe.openai_dimensions,
        azure=None
        if settings.openai_api_version is None
        else AzureDeployment(settings.openai_api_version, settings.openai_deployment),
        attempt_timeout=settings.openai_attempt_timeout.total_seconds(),
        total_timeout=settings.openai_total_timeout.total_seconds(),
        max_retries=settings.openai_max_retries,
        concurrency=settings.openai_concurrency,
        circuit=circuit,
        on_failure=telemetry.instruments.attempt_failed,
        spans=telemetry.spans,
    )
    batching = BatchingEmbedder(
        MeasuredEmbedder(remote, telemetry.instruments),
        max_in_flight=settings.openai_concurrency,
        spans=telemetry.spans,
    )
    return CircuitEmbedder(batching, circuit)
