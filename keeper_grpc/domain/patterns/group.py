"""What a group of captures and reports asks of the ledger, and what it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.insight import AnonymizedInsight, UnknownWord
from keeper_grpc.domain.observation import Observation, Recorded, Standing
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.position import Position

Request: TypeAlias = tuple[str, UUID]
"""An account, and the id that it gave one of its requests."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What the entries of a group need to know."""

    accounts: AbstractSet[str]
    requests: AbstractSet[Request]
    not_followed: AbstractSet[tuple[str, UUID, str]]
    """Enhancements that captures say they were made instead of: the account that says so, the enhancement, and the
    type of the capture."""
    reported: AbstractSet[UUID]
    """Enhancements whose outcome is reported."""
    reporting: AbstractSet[str]
    """The accounts that report."""
    advised: AbstractSet[PatternKey]
    """Patterns that reports speak of."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pattern that stays as it is until the end, and its action as it may be shown."""

    action: str
    embedding_model: str


@dataclass(frozen=True, slots=True)
class Known:
    """The answers, which hold until the end of the transaction.

    `accounts` exist; `recorded` requests are retries; `asked` are those `not_followed` that their accounts were given for
    an insight of the type; `answered` have an outcome, which a report may replace where a report told it; the advice of
    those that are `dismissed` was not followed; of the advised patterns those that are `pinned` exist, and those that are `merged` were joined to others.
    """

    accounts: AbstractSet[str]
    recorded: Mapping[Request, Recorded]
    asked: AbstractSet[tuple[str, UUID, str]]
    answered: Mapping[UUID, Standing | None]
    dismissed: AbstractSet[UUID]
    pinned: Mapping[PatternKey, Pinned]
    merged: AbstractSet[PatternKey]


@dataclass(frozen=True, slots=True)
class UsedWords:
    """Words that an account used, which nobody else may know.

    `context` is what stood around the one word, masked; see domain/accounts/words.py.
    """

    account_key: str
    words: Sequence[UnknownWord]
    context: str | None
    used_time: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """An insight as the emerging-pattern detector gets to see it, by the vector of its sentence."""

    account_key: str
    insight: AnonymizedInsight
    embedding_model: str
    embedding: NDArray[np.float32]
    seen_time: datetime


@dataclass(slots=True)
class GroupWrites:
    """All that a group writes. Observations of each scope are in arrival order.

    `created` patterns are worded as the observation that began them. They and the older ones that were `moved` lie
    where the observations that joined them have turned them.
    """

    observations: list[Observation] = field(default_factory=list)
    created: dict[UUID, Observation] = field(default_factory=dict)
    positions: dict[PatternKey, Position] = field(default_factory=dict)
    words: list[UsedWords] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
