"""The embedding model, its provider, and the vectors that are kept."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    model_validator,
)
from pydantic_core import PydanticCustomError

from keeper_grpc.settings.invalid import SettingsInvalid
from keeper_grpc.settings.values import Count, Directory, Seconds, Word, stripped

DIMENSIONS = 1536
"""Width of a stored vector (embedding/embedder.py)."""


_HTTP_URL = TypeAdapter(HttpUrl)

_AZURE = re.compile(r"\.(openai|cognitiveservices|services\.ai)\.azure\.com$")


def _web_address(value: str) -> str:
    address = _HTTP_URL.validate_python(value)
    if address.query or address.fragment:
        raise PydanticCustomError(
            "not_a_base", "must end with its path; KEEPER_OPENAI_API_VERSION gives Azure's version"
        )
    return value


def _storable_width(value: int | None) -> int | None:
    if value is not None and not 0 < value <= DIMENSIONS:
        raise PydanticCustomError(
            "width", "must be 1 to {most}, the width of a stored vector", {"most": DIMENSIONS}
        )
    return value


def _api_key(value: object) -> object:
    """None for an empty variable, which compose files and shells leave when there is no key.

    A key out of a file or a secret often ends with a line break.
    """
    if not isinstance(value, str):
        return value
    value = value.strip()
    if value and not (value.isascii() and value.isprintable()):
        # It travels in a header.
        raise PydanticCustomError("not_ascii", "must be printable ASCII")
    return value or None


class EmbeddingSettings(BaseModel):
    """Model, provider and caches."""

    embedder: Literal["auto", "local", "minilm", "openai"] = Field(
        "auto",
        description="auto is the database's own model; of a database without one, openai when there is a "
        "key, else local",
    )
    local_model_dir: Directory | None = Field(
        None, description="sentence-transformers ONNX directory to use instead of the bundled model"
    )
    openai_api_key: Annotated[SecretStr | None, BeforeValidator(_api_key)] = Field(
        None,
        validation_alias=AliasChoices("KEEPER_OPENAI_API_KEY", "OPENAI_API_KEY", "openai_api_key"),
        description="key of the OpenAI API; OPENAI_API_KEY is read too",
    )
    openai_base_url: Annotated[str, BeforeValidator(stripped), AfterValidator(_web_address)] = (
        Field(
            "https://api.openai.com/v1",
            description="base URL of the OpenAI API, of one like it, or of an Azure resource",
        )
    )
    openai_model: Word = Field(
        "text-embedding-3-small", description="embedding model of the OpenAI API"
    )
    openai_dimensions: Annotated[int | None, AfterValidator(_storable_width)] = Field(
        None,
        description="dimensions to ask that model for, at most 1536; unset is its own, and 1536 of "
        "text-embedding-3-large",
    )
    openai_api_version: Word | None = Field(
        None, description="api-version of Azure OpenAI, which also makes the key an api-key header"
    )
    openai_deployment: Word | None = Field(
        None, description="Azure's name of the deployment; unset is the model's"
    )
    openai_attempt_timeout: Seconds = Field(
        timedelta(seconds=5), description="longest single attempt at an embedding"
    )
    openai_total_timeout: Seconds = Field(
        timedelta(seconds=15), description="longest embedding, all retries included"
    )
    openai_max_retries: int = Field(2, ge=0, le=10, description="retries of an embedding")
    openai_concurrency: Count = Field(8, description="embedding requests in flight at most")
    openai_circuit_failures: Count = Field(
        5,
        description="failed embedding requests in a row after which no more are made (the circuit opens)",
    )
    openai_circuit_pause: Seconds = Field(
        timedelta(seconds=10),
        description="time after which an open circuit tries the embedding service again, by one request",
    )
    enhance_without_embedder: bool = Field(
        True,
        description="answer questions unenhanced, with EMBEDDER_UNAVAILABLE as the reason, while the embedding model does "
        "not answer; false ends them with UNAVAILABLE",
    )
    embedding_cache_size: Count = Field(
        10_000,
        description="vectors kept in memory, 6 KB each; the database keeps KEEPER_EMBEDDING_STORE_SIZE",
    )
    embedding_store_size: Count = Field(
        1_000_000,
        description="vectors that the database keeps, 6 KB each; the least recently used go first",
    )

    @model_validator(mode="after")
    def _names_azures_version(self) -> Self:
        address = HttpUrl(self.openai_base_url)
        classic = "/openai/v1" not in (address.path or "")
        if _AZURE.search(address.host or "") and classic and self.openai_api_version is None:
            raise SettingsInvalid(
                "KEEPER_OPENAI_API_VERSION: required with an Azure resource as KEEPER_OPENAI_BASE_URL "
                "(or let that end in /openai/v1)"
            )
        if self.openai_deployment is not None and self.openai_api_version is None:
            raise SettingsInvalid(
                "KEEPER_OPENAI_DEPLOYMENT: is Azure's, and needs KEEPER_OPENAI_API_VERSION beside it; "
                "elsewhere KEEPER_OPENAI_MODEL names the model"
            )
        return self

    @model_validator(mode="after")
    def _has_the_key_it_needs(self) -> Self:
        # The only rule about two settings; the line of `from_environment` names the one to set.
        if self.embedder == "openai" and self.openai_api_key is None:
            raise PydanticCustomError("required", "required when KEEPER_EMBEDDER is openai")
        return self
