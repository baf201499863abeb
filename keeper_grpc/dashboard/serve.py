"""The process: one event loop with the client, the feeds and the web server."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import core, ui

from keeper_grpc.client import KeeperClient
from keeper_grpc.client.credentials import Credentials
from keeper_grpc.dashboard.filters import Filter
from keeper_grpc.dashboard.headers import SecurityHeaders
from keeper_grpc.dashboard.look import theme
from keeper_grpc.dashboard.pages.overview import Overview
from keeper_grpc.dashboard.pages.pattern import PatternPage
from keeper_grpc.dashboard.upstream.feeds import Feeds

_TITLE = "Keeper Network"

_RECONNECT = 10.0
"""Seconds for which a browser that lost its connection can resume the same page; later it reloads the
page. A phone in a pocket is the usual case."""

_TAB_MEMORY = 3600.0
"""Seconds for which NiceGUI keeps the storage of a closed tab, which is unused here."""

_GRACE = 3
"""Seconds in which open pages are closed at shutdown."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server whose network is shown, and with what to connect to it."""

    target: str
    credentials: Credentials


async def serve(
    upstream: Upstream, host: str, port: int, stale_after: float, truth: float | None = None
) -> None:
    """Serve the pages until SIGTERM or SIGINT. Raises OSError when it cannot listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    async with KeeperClient(upstream.target, credentials=upstream.credentials) as client:
        feeds = Feeds(client, stale_after)
        web = FastAPI(openapi_url=None)
        web.add_middleware(SecurityHeaders)
        _pages(feeds, truth)
        ui.run_with(
            web,
            title=_TITLE,
            favicon=theme.ICON,
            language="en-US",
            reconnect_timeout=_RECONNECT,
            tailwind=False,
            show_welcome_message=False,
        )
        nicegui_app.storage.max_tab_storage_age = _TAB_MEMORY
        # By default NiceGUI accepts sockets from any origin, with the browser's credentials for the
        # proxy. None allows the page's own origin only.
        core.sio.eio.cors_allowed_origins = None
        server = _Server(
            uvicorn.Config(
                web, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE
            ),
            f"dashboard on http://{_shown(listener)} of the network at {upstream.target}",
        )
        try:
            await server.serve(sockets=[listener])
        finally:
            feeds.close()


def _pages(feeds: Feeds, truth: float | None) -> None:
    theme.install()

    @ui.page("/")
    def overview(category: str = "", days: str = "") -> None:
        Overview(feeds, Filter.from_query(category, days), truth)

    @ui.page("/patterns/{pattern_id}", title=f"Pattern \N{MIDDLE DOT} {_TITLE}")
    def pattern(pattern_id: str) -> None:
        PatternPage(feeds, pattern_id)


def _shown(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Server(uvicorn.Server):
    """A uvicorn server that prints its address once it serves, and exits with code 0 on a signal."""

    def __init__(self, config: uvicorn.Config, ready: str) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._ready, flush=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Replaces uvicorn's handling, which raises the signal again after shutdown."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        yield

    def _end(self, *_: Any) -> None:
        self.should_exit = True
