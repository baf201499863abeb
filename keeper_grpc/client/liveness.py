"""The events of every watch that are about the watch itself."""

from __future__ import annotations

from dataclasses import dataclass

from keeper_grpc.client.errors import KeeperClientError


@dataclass(frozen=True, slots=True)
class Alive:
    """Nothing has changed; the last event still holds."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The server is out of reach, so the last event may be stale. The watch goes on trying."""

    error: KeeperClientError
