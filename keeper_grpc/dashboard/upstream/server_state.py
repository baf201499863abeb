"""How the server is: what it says of its health, and what its processes export."""

from __future__ import annotations

from dataclasses import dataclass

from keeper_grpc.dashboard.upstream.health import Health
from keeper_grpc.dashboard.upstream.processes import Processes


@dataclass(frozen=True, slots=True)
class ServerState:
    """Both feeds, looked at while an operator looks."""

    health: Health
    processes: Processes

    def close(self) -> None:
        """End both."""
        self.health.close()
        self.processes.close()
