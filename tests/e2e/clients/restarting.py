"""A server with TLS and tokens, which is stopped and comes back on the same ports, with what it knew."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc

from tests.access.certificates import Authority
from tests.e2e.calls import capture, network
from tests.e2e.conftest import StartServer
from tests.e2e.server_process import STOP, ServerProcess
from tests.postgres_over_tcp import free_port
from tests.rpc.access.identities import bearing, entry, token_of, write

CALLER = "service"
"""The identity of the clients: each role but the operators', for all accounts."""


@dataclass
class Restarting:
    """One address, behind which servers follow each other."""

    start: StartServer
    directory: Path
    settings: dict[str, Any]
    ca: Path
    token_file: Path
    port: int = 0
    http_port: int = 0
    server: ServerProcess | None = None

    @classmethod
    def secured(cls, start: StartServer, directory: Path) -> Self:
        """With a certificate of an authority of its own, and one identity."""
        authority = Authority("test authority")
        certificate, key = authority.server().write(directory, "server")
        ca, token_file = directory / "ca.pem", directory / "token"
        ca.write_bytes(authority.certificate)
        token_file.write_text(token_of(CALLER) + "\n")
        identities = write(
            directory / "identities.yaml",
            entry(CALLER, "capture", "enhance", "observe", accounts="all"),
        )
        settings = {
            "KEEPER_TLS_CERTIFICATE": str(certificate),
            "KEEPER_TLS_KEY": str(key),
            "KEEPER_IDENTITIES_FILE": str(identities),
        }
        return cls(start, directory, settings, ca, token_file)

    @property
    def target(self) -> str:
        """Where clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where HTTP clients connect to."""
        return f"https://127.0.0.1:{self.http_port}"

    async def up(self) -> None:
        """Start a server; the first one decides the ports."""
        self.port = self.port or free_port()
        self.http_port = self.http_port or free_port()
        self.server = await self.start(
            data_dir=self.directory / "data",
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
        credentials = grpc.ssl_channel_credentials(self.ca.read_bytes())
        async with grpc.aio.secure_channel(self.target, credentials) as channel:
            for number in range(3):
                await network(channel).CapturePattern(
                    capture(
                        f"acct-{pattern_type}-{number}",
                        "Offer a warm towel",
                        insight_type=pattern_type,
                    ),
                    metadata=bearing(CALLER),
                )
