"""The events about the watch itself, the same for every watch."""

from __future__ import annotations

from dataclasses import dataclass

from keeper_grpc.client.errors import KeeperClientError


@dataclass(frozen=True, slots=True)
class Alive:
    """Nothing has changed; the last event still holds."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The server cannot be reached, so the last event may be stale. The watch keeps trying."""

    error: KeeperClientError
