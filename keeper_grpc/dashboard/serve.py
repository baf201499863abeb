"""The process: one event loop with the client, the feeds and the web server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query, Request
from nicegui import app as nicegui_app
from nicegui import core, ui

from keeper_grpc.client import KeeperClient
from keeper_grpc.client.channel import open_channel
from keeper_grpc.client.credentials import Credentials
from keeper_grpc.client.proxies import proxy_of
from keeper_grpc.dashboard.exports.routes import add_exports
from keeper_grpc.dashboard.filters import Filter, words
from keeper_grpc.dashboard.headers import SecurityHeaders
from keeper_grpc.dashboard.listing import Listing
from keeper_grpc.dashboard.look import theme
from keeper_grpc.dashboard.look.money import Money
from keeper_grpc.dashboard.pages.account import AccountPage
from keeper_grpc.dashboard.pages.console import ConsolePage
from keeper_grpc.dashboard.pages.emerging import EmergingPage, EmergingPatternPage
from keeper_grpc.dashboard.pages.not_found import not_found
from keeper_grpc.dashboard.pages.operate import OperatePage
from keeper_grpc.dashboard.pages.overview import Overview
from keeper_grpc.dashboard.pages.pattern import PatternPage
from keeper_grpc.dashboard.pages.patterns import PatternsPage
from keeper_grpc.dashboard.pages.title import SITE, tab
from keeper_grpc.dashboard.shown import Shown
from keeper_grpc.dashboard.upstream.feed import settled
from keeper_grpc.dashboard.upstream.feeds import Feeds
from keeper_grpc.dashboard.upstream.health import Health
from keeper_grpc.dashboard.upstream.operator_session import Operators
from keeper_grpc.dashboard.upstream.processes import Processes
from keeper_grpc.dashboard.upstream.server_state import ServerState

_RECONNECT = 10.0
"""Seconds for which a browser that lost its connection can resume the same page; later it reloads the
page. A phone in a pocket is the usual case."""

_HOLD = 0.5
"""Seconds for which a page waits for what it shows, so that it is painted once and nothing moves. A server on the same
network answers in a tenth of that; one that is away delays the page, which then says so, by no more."""

_TAB_MEMORY = 3600.0
"""Seconds for which NiceGUI keeps the storage of a closed tab, which is unused here."""

_GRACE = 3
"""Seconds in which open pages are closed at shutdown."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server whose network is shown, and with what to connect to it.

    admin_target: where its AdminService is. metrics: where its processes export theirs.
    """

    target: str
    credentials: Credentials
    admin_target: str
    metrics: Sequence[str] = ()


async def serve(upstream: Upstream, host: str, port: int, shown: Shown) -> None:
    """Serve the pages until SIGTERM or SIGINT. Raises OSError when it cannot listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    transport = _without_identity(upstream)
    async with (
        KeeperClient(upstream.target, credentials=upstream.credentials) as client,
        KeeperClient(upstream.target, credentials=transport) as visitors,
    ):
        feeds = Feeds(client, shown.stale_after)
        state = ServerState(
            Health(lambda: open_channel(upstream.target, transport, ())),
            Processes(upstream.metrics),
        )
        operators = Operators(
            upstream.admin_target, transport, without_token=shown.operate_without_token
        )
        Money.currency = shown.currency
        web = FastAPI(openapi_url=None)
        web.add_middleware(SecurityHeaders)
        add_exports(web, client)
        _pages(feeds, visitors, shown)
        _operators_page(feeds, operators, state, shown)
        ui.run_with(
            web,
            title=SITE,
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
            f"dashboard on http://{_shown(listener)} of the network at {_shown_way(upstream.target)}",
        )
        try:
            await server.serve(sockets=[listener])
        finally:
            feeds.close()
            state.close()


def _shown_way(target: str) -> str:
    proxy = proxy_of(target, os.environ)
    return f"{target}, {proxy}" if proxy else target


def _without_identity(upstream: Upstream) -> Credentials:
    """How visitors' own questions reach the server: as nobody, until they show their own token."""
    own = upstream.credentials
    return Credentials(tls=own.secure, ca=own.ca)


def _pages(feeds: Feeds, visitors: KeeperClient, shown: Shown) -> None:
    theme.install()
    nicegui_app.exception_handler(404)(not_found)

    @ui.page("/")
    async def overview(
        category: str = "",
        days: str = "",
        first: Annotated[str, Query(alias="from")] = "",
        last: Annotated[str, Query(alias="to")] = "",
    ) -> None:
        where = Filter.from_query(category, days, first, last)
        await settled(
            feeds.metrics[where],
            feeds.metrics[where.twice],
            feeds.emerging[where.category],
            feeds.patterns[where.category],
            within=_HOLD,
        )
        if where.category:
            ui.page_title(tab(words(where.category).capitalize()))
        Overview(feeds, where, shown.truth)

    @ui.page("/patterns", title=tab("Patterns"))
    async def patterns(
        category: str = "",
        type: str = "",  # noqa: A002 - the address's own word
        search: str = "",
        sort: str = "",
        page: str = "",
    ) -> None:
        listing = Listing.from_query(
            category=category, type_=type, search=search, sort=sort, page=page
        )
        await settled(feeds.metrics[Filter()], feeds.listed[listing.sought], within=_HOLD)
        PatternsPage(feeds, listing)

    @ui.page("/emerging", title=tab("Emerging"))
    async def emerging(category: str = "") -> None:
        where = Filter.from_query(category, "")
        await settled(feeds.metrics[Filter()], feeds.emerging[where.category], within=_HOLD)
        EmergingPage(feeds, where)

    @ui.page("/emerging/{emerging_pattern_id}", title=tab("Emerging"))
    async def emerging_pattern(emerging_pattern_id: str) -> None:
        await settled(feeds.metrics[Filter()], feeds.emerging[""], within=_HOLD)
        EmergingPatternPage(feeds, emerging_pattern_id)

    @ui.page("/try", title=tab("Try an insight"))
    def console() -> None:
        ConsolePage(feeds)

    @ui.page("/account", title=tab("One account"))
    def account() -> None:
        AccountPage(feeds, visitors)

    @ui.page("/patterns/{pattern_id}", title=tab("Pattern"))
    async def pattern(pattern_id: str) -> None:
        await settled(feeds.metrics[Filter()], feeds.histories[pattern_id], within=_HOLD)
        PatternPage(feeds, pattern_id)


def _operators_page(feeds: Feeds, operators: Operators, state: ServerState, shown: Shown) -> None:
    @ui.page("/operate", title=tab("Operate"))
    def operate(request: Request, pattern: str = "") -> None:
        header = shown.operator_token_header
        sent = request.headers.get(header, "") if header else ""
        OperatePage(
            feeds, state, operators, pattern_id=pattern, token=sent.removeprefix("Bearer ").strip()
        )


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
