"""What every watch says of itself beside its news."""

from __future__ import annotations

from dataclasses import dataclass

from keeper_grpc.client.errors import KeeperClientError


@dataclass(frozen=True, slots=True)
class Alive:
    """Nothing has changed; what was told last still holds."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The server is out of reach: what was told last may be stale. The watch goes on trying."""

    error: KeeperClientError
