"""The HTTP server beside the gRPC server: the same handlers, on a port of its own.

It speaks HTTP/1.1: unary calls and server streams by Connect (binary and JSON) and by gRPC-Web. What clients stream
(EnhanceInsights, StreamMoves) works in half duplex, as HTTP clients do it: all messages first, then the answers. gRPC itself needs HTTP/2 and has its own port.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import structlog
import uvicorn
from connectrpc.server import ConnectASGIApplication
from google.protobuf.descriptor import ServiceDescriptor

from keeper_grpc.rpc.defects import report_defect
from keeper_grpc.rpc.http.certificate import Certified
from keeper_grpc.rpc.http.codecs import Binary, Json
from keeper_grpc.rpc.http.connection import Connection
from keeper_grpc.rpc.http.endpoints import endpoints
from keeper_grpc.rpc.http.origins import App, Origins
from keeper_grpc.rpc.http.patience import Patience
from keeper_grpc.rpc.interceptors.chain import Handler
from keeper_grpc.rpc.interceptors.unreadable import MAX_RECEIVED_BYTES, MAX_REQUEST_BYTES

log = structlog.get_logger()

MOST_CONNECTIONS = 10_000
"""Open connections and running calls at most; beyond that a request is answered with 503."""

BACKLOG = 128

RECEIVED = MAX_RECEIVED_BYTES // MAX_REQUEST_BYTES
"""Times the largest request that is let in, as over gRPC."""


class _Application(ConnectASGIApplication[Mapping[str, Any]]):
    @property
    def path(self) -> str:
        return "/"


class _Uvicorn(uvicorn.Server):
    """Leaves signals to the process: it drains gRPC and HTTP together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves one process's calls over HTTP, from `start` to `stop`."""

    def __init__(
        self,
        services: Iterable[ServiceDescriptor],
        handlers: Mapping[str, Handler],
        *,
        address: tuple[str, int],
        shares_port: bool,
        origins: Iterable[str],
        tls: ssl.SSLContext | None = None,
        max_request_bytes: int,
        max_call_duration: float,
        stall: float,
    ) -> None:
        """Bind the address. A caller that reads nothing for `stall` seconds is cut off. Raises OSError when the address
        is taken.
        """
        app = _Application(
            service=endpoints(services, handlers),
            endpoints=lambda made: made,
            # Below it, a message that is too large is refused as any other that cannot be read; so does gRPC.
            read_max_bytes=RECEIVED * max_request_bytes,
            codecs=[Binary(max_request_bytes), Json(max_request_bytes)],
        )
        self._socket = _bound(address, shares_port=shares_port)
        self.port: int = self._socket.getsockname()[1]
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                _Guarded(Certified(Origins(Patience(app, max_call_duration), origins))),
                http=partial(Connection, stall=stall, silence=max_call_duration),  # type: ignore[arg-type]  # called, and no more
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                # Who a caller is must not be what a header says.
                proxy_headers=False,
                ssl_context_factory=(lambda *_: tls) if tls else None,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to answer."""
        self._serving = asyncio.create_task(self._uvicorn.serve([self._socket]), name="http")
        # The socket listens since it was bound: who connects before the task runs is answered then.

    async def stop(self, grace: float) -> None:
        """Refuse new calls, and let those in flight finish for at most `grace` seconds."""
        if self._serving is None:
            self._socket.close()
            return
        self._uvicorn.config.timeout_graceful_shutdown = max(1, round(grace))
        self._uvicorn.should_exit = True
        await asyncio.wait([self._serving])


class _Guarded:
    """Reports a defect by type and place, where the server would log it with what it quotes."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except OSError:
            log.info("http_caller_left")
        except Exception as error:  # noqa: BLE001 - no request's failure is another's
            report_defect("HTTP", error)


def _bound(address: tuple[str, int], *, shares_port: bool) -> socket.socket:
    host, port = address
    (family, _, _, _, place), *_ = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return socket.create_server(
        (str(place[0]), port), family=family, backlog=BACKLOG, reuse_port=shares_port
    )
