"""A server that is stopped and comes back on the same port, with what it knew."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.calls import capture, network
from tests.e2e.conftest import StartServer
from tests.e2e.server_process import STOP, ServerProcess


@dataclass
class Restarting:
    """One address, behind which servers follow each other."""

    start: StartServer
    data_dir: Path
    settings: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    http_port: int = 0
    server: ServerProcess | None = None

    @property
    def target(self) -> str:
        """Where clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where HTTP clients connect to."""
        return f"http://127.0.0.1:{self.http_port}"

    async def up(self) -> None:
        """Start a server; the first one decides the ports."""
        self.port = self.port or free_port()
        self.http_port = self.http_port or free_port()
        self.server = await self.start(
            data_dir=self.data_dir,
            KEEPER_PORT=str(self.port),
            KEEPER_HTTP_ADDRESS=f"127.0.0.1:{self.http_port}",
            **self.settings,
        )

    async def down(self) -> None:
        """Stop it as an upgrade does."""
        assert self.server is not None
        self.server.send(signal.SIGTERM)
        assert await self.server.ended(STOP) == 0

    async def emerges(self, pattern_type: str) -> None:
        """Let three accounts see the same, so that a pattern of this type emerges."""
        assert self.server is not None
        async with self.server.channel() as channel:
            for number in range(3):
                await network(channel).CapturePattern(
                    capture(
                        f"acct-{pattern_type}-{number}",
                        "Offer a warm towel",
                        insight_type=pattern_type,
                    )
                )


def free_port() -> int:
    """A port that was free a moment ago: a server that comes back must name its port beforehand."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
