"""The messages of the stream of emerging patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from keeper_grpc.domain.emerging.model import Change, EmergingPattern
from keeper_grpc.usecases.stream_lifetime import Heartbeat


@dataclass(frozen=True, slots=True)
class Changed:
    """A change, or a member of the snapshot. An audience shares one object."""

    change: Change
    cluster: EmergingPattern


@dataclass(frozen=True, slots=True)
class SnapshotComplete:
    """The snapshot is complete. `expired`: the caller's resume token could not be used."""

    count: int
    expired: bool


Message: TypeAlias = Changed | SnapshotComplete | Heartbeat
