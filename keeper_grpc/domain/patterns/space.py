"""The space of vectors that the network's patterns lie in: that of one embedding model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self
from uuid import UUID

from keeper_grpc.domain.insight import EmbeddedWords, JsonValue


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a model again: which kind, and what distinguishes models of that kind.

    Where it is and with which key, each server says for itself.
    """

    embedder: str
    openai_model: str | None = None
    openai_dimensions: int | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """What is stored."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> Self:
        """What was stored."""
        model, dimensions = stored.get("openai_model"), stored.get("openai_dimensions")
        return cls(
            str(stored["embedder"]),
            model if isinstance(model, str) else None,
            dimensions if isinstance(dimensions, int) else None,
        )


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model's id, which goes with every vector, and its recipe."""

    model: str
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Space:
    """The database's model, and the next one while it is being moved there.

    `unsettled`: it has moved, but duplicates have yet to be merged and old vectors to be dropped.
    """

    present: NamedModel
    next: NamedModel | None = None
    unsettled: bool = False


@dataclass(frozen=True, slots=True)
class PatternWords:
    """What a pattern's vectors are made of: each distinct wording, and how often.

    `made_of` changes whenever that does.
    """

    pattern_id: UUID
    made_of: str
    wordings: tuple[tuple[EmbeddedWords, int], ...]


@dataclass(frozen=True, slots=True)
class Follower:
    """A serving process: the model that it could go on with, or why it could not."""

    prepared: str
    problem: str
