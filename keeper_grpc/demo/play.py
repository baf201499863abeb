"""The story, in order: a history, a newcomer and its outcome, an emerging pattern, a search."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from grpc import aio

from keeper_grpc import logs
from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.demo.captures import Played, play, published
from keeper_grpc.demo.database import DemoDatabase, demo_database
from keeper_grpc.demo.emerging import EmergingStream
from keeper_grpc.demo.failure import DemoFailed
from keeper_grpc.demo.history import LIVE_TYPE, Examples, load
from keeper_grpc.demo.identifiers import Finder, planted
from keeper_grpc.demo.loop import close_the_loop
from keeper_grpc.demo.scan import scan_database, scan_file
from keeper_grpc.demo.server_process import ServerProcess, serving
from keeper_grpc.demo.show import Show
from keeper_grpc.demo.stay import stay
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import RegisterAccountRequest
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceStub
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    EnhanceInsightRequest,
    EnhanceInsightResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.storage.connections.unfit import DatabaseUnfit
from keeper_grpc.storage.embedded.errors import EmbeddedPostgresError

if TYPE_CHECKING:  # exist in the stub files only
    from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

_REPLAYED = 20
"""Captures that are sent a second time."""

_DEADLINE = 60.0
"""Seconds for one call."""

_MEMBERS_FOR = timedelta(days=400)
"""How long the history's accounts have been members: longer than any window of the dashboard, in which those who join
are newcomers."""

_INTERRUPTED = 128 + signal.SIGTERM
"""The exit code of a process that SIGTERM ended."""


def demo(examples: Path, *, stay: bool = False) -> int:
    """Play the story with the sample data in a directory, and `stay` with a dashboard until Ctrl-C.

    The exit code: 0, or 1 with a line why.
    """
    logs.configure("warning", "auto")
    descriptor, name = tempfile.mkstemp(prefix="keeper-demo-", suffix=".log")
    os.close(descriptor)
    log = Path(name)
    show = Show()
    try:
        asyncio.run(_interruptible(_Story(load(examples), log, show, stay=stay)))
    except aio.AioRpcError as error:
        return _failed(show, f"the server answered {error.code().name}: {error.details()}", log)
    except (DemoFailed, EmbeddedPostgresError, DatabaseUnfit, asyncpg.PostgresError) as error:
        return _failed(show, str(error), log)
    except asyncio.CancelledError:
        log.unlink()
        return _INTERRUPTED
    except BaseException:
        log.unlink()
        raise
    log.unlink()
    return 0


def _failed(show: Show, reason: str, log: Path) -> int:
    show.failure(reason, log)
    return 1


async def _interruptible(story: _Story) -> None:
    """Play, and let a hangup or a SIGTERM end it as Ctrl-C does: with everything cleaned up."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await story.play()


class _Story:
    """One run. `now` is the same throughout, so that a capture sent twice is the same capture."""

    def __init__(self, examples: Examples, log: Path, show: Show, *, stay: bool) -> None:
        self._examples = examples
        self._stays = stay
        self._log = log
        self._show = show
        self._now = datetime.now(UTC)
        self._began = time.monotonic()
        self._sent = 0

    async def play(self) -> None:
        """Everything. Raises DemoFailed, AioRpcError, EmbeddedPostgresError, DatabaseUnfit."""
        show = self._show
        async with demo_database() as database:
            environment = _environment(database)
            show.heading("1. A server of its own")
            show.line(database.description)
            async with serving(environment, self._log) as server:
                show.line(f"serving on 127.0.0.1:{server.port} after {self._elapsed():.1f} s")
                show.line(f"{server.seeded} authored patterns of the catalog, untested here")
                await self._served(server)
            await self._search(database)
            show.heading(f"Done in {self._elapsed():.0f} s: every step held.")
            if self._stays:
                # What was logged so far has been searched.
                self._log.write_bytes(b"")
                await stay(self._examples, environment, self._log, show)

    async def _served(self, server: ServerProcess) -> None:
        async with server.channel() as channel:
            network = NetworkLearningServiceStub(channel)
            admin = AdminServiceStub(channel)
            await self._register(admin)
            newcomer = self._examples.newcomer
            before = await _enhance(network, newcomer.without_action)
            await self._learn(network)
            await self._newcomer(network, admin, before)
            async with EmergingStream(network) as stream:
                await self._emerge(network, stream)
                self._show.heading("5. SIGTERM")
                await server.drain()
                await stream.end()
        self._show.line("the open stream was told UNAVAILABLE, the server drained and exited 0")

    async def _register(self, admin: AdminServiceAsyncStub) -> None:
        examples = self._examples
        joined = self._now - _MEMBERS_FOR
        newcomer = {examples.newcomer.account_id: examples.newcomer.category}
        for account, category in {**examples.accounts, **newcomer}.items():
            request = RegisterAccountRequest(account_id=account, business_category=category)
            request.joined_time.FromDatetime(self._now if account in newcomer else joined)
            await admin.RegisterAccount(request, timeout=_DEADLINE)
        self._show.line(f"{len(examples.accounts)} accounts and one newcomer registered")

    async def _learn(self, network: NetworkLearningServiceAsyncStub) -> None:
        show, rows = self._show, self._examples.replayed
        show.heading("2. Captures become patterns")
        with show.progress("captures", len(rows)) as progress:
            played = await play(network, rows, self._now, progress)
        self._sent += played.total
        known = await published(network)
        show.line(f"{played.total / played.seconds:.0f} captures a second")
        show.patterns(played, known)
        show.line(f"dispositions: {_counts(played.dispositions)}")
        show.line(f"masked before anything was stored: {_counts(played.masked)}")
        if not played.dispositions["merged"] or not known:
            raise DemoFailed(f"the network learned nothing: {_counts(played.dispositions)}")
        await self._replay(network, known)

    async def _replay(
        self, network: NetworkLearningServiceAsyncStub, before: Mapping[str, object]
    ) -> None:
        again = self._examples.replayed[:_REPLAYED]
        played: Played = await play(network, again, self._now, lambda: None)
        if played.replayed != len(again):
            raise DemoFailed(f"{played.replayed} of {len(again)} retries were recognized")
        if await published(network) != before:
            raise DemoFailed("retries changed the evidence")
        self._show.line(f"the first {len(again)} sent again: all replayed=true, no count changed")

    async def _newcomer(
        self,
        network: NetworkLearningServiceAsyncStub,
        admin: AdminServiceAsyncStub,
        before: EnhanceInsightResponse,
    ) -> None:
        show, newcomer = self._show, self._examples.newcomer
        show.heading(f"3. {newcomer.account_id}, which has never captured anything, asks")
        after = await _enhance(network, newcomer.without_action)
        own = await _enhance(network, newcomer.with_action)
        show.enhancement(newcomer.without_action.insight.confidence, before, after)
        for what, answer in (("without", after), ("with", own)):
            if not answer.enhanced_insight.network_enhanced:
                raise DemoFailed(f"the newcomer's insight {what} an action was not enhanced")
        show.line(
            f"with an action of its own: confidence {own.enhanced_insight.confidence:.2f},"
            f" masked {_counts(own.anonymization.masked)}"
        )
        await close_the_loop(
            network, admin, newcomer.without_action, after, show, timeout=_DEADLINE
        )
        self._sent += 1

    async def _emerge(
        self, network: NetworkLearningServiceAsyncStub, stream: EmergingStream
    ) -> None:
        show = self._show
        show.heading("4. Something new, seen by several accounts, arrives on an open stream")
        show.line(f"stream open: {len(await stream.snapshot())} patterns in its snapshot")
        rows = sorted(self._examples.live, key=lambda row: -row.days_ago)
        new = asyncio.create_task(stream.change("the emerging pattern", _is_new))
        try:
            for row in rows:
                await self._capture(network, row.request(self._now))
            show.emerging(await new)
        finally:
            new.cancel()
        request = self._examples.last_sighting(datetime.now(UTC))
        # The stream tells whole minutes, and all sightings before this one are older than that.
        seen = request.occurred_time.ToDatetime().replace(second=0, microsecond=0)

        def grown(pattern: EmergingPattern) -> bool:
            return _is_live(pattern) and pattern.last_seen_time.ToDatetime() >= seen

        await self._capture(network, request)
        answered = time.monotonic()
        show.emerging(await stream.change("the emerging pattern's change", grown))
        show.line(f"{(time.monotonic() - answered) * 1000:.0f} ms after the capture was answered")

    async def _capture(
        self, network: NetworkLearningServiceAsyncStub, request: CapturePatternRequest
    ) -> None:
        await network.CapturePattern(request, timeout=_DEADLINE)
        self._sent += 1
        self._show.line(f'{request.account_id} captures: "{request.insight.action}"')

    async def _search(self, database: DemoDatabase) -> None:
        show, examples = self._show, self._examples
        show.heading("6. Search for everything that was declared as identifying")
        named = [*(row.identifiers for row in examples.rows), examples.newcomer.identifiers]
        innocent = [row.text for row in examples.rows if not row.identifiers]
        finder = Finder(planted(named, [*innocent, str(load_catalog())]))
        async with database.reader() as connection:
            stored = await connection.fetchval("SELECT count(*) FROM observations")
            scan = await scan_database(connection, finder)
        logs_read = [self._log, *database.log_files]
        for path in logs_read:
            scan.hits |= scan_file(path, finder)
        lines = sum(len(path.read_bytes().splitlines()) for path in logs_read)
        show.scan(scan, len(finder.identifiers), lines)
        if scan.hits:
            raise DemoFailed(f"{len(scan.hits)} identifiers were stored")
        if stored != self._sent:
            raise DemoFailed(f"{self._sent} outcomes were answered, {stored} are in the ledger")
        show.line(f"the ledger holds {stored} observations for {self._sent} outcomes")

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


async def _enhance(
    network: NetworkLearningServiceAsyncStub, request: EnhanceInsightRequest
) -> EnhanceInsightResponse:
    return await network.EnhanceInsight(request, timeout=_DEADLINE)


_OF_ANOTHER_SERVER = (
    "KEEPER_DATABASE_URL",
    "KEEPER_PSEUDONYM_KEYS",
    "KEEPER_ADMIN_ADDRESS",
    "KEEPER_HTTP_ADDRESS",
    "KEEPER_IDENTIT",
    "KEEPER_JWT_",
    "KEEPER_TLS_",
)
"""Beginnings of the settings that say what a server is and who may call it, which the demo's is for itself."""


def _environment(database: DemoDatabase) -> dict[str, str]:
    """The settings of the demo's keeper processes; others come from our own environment."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_OF_ANOTHER_SERVER)
    }
    return {
        # A key that lies in the environment for something else must not make the demo cost money.
        "KEEPER_EMBEDDER": "local",
        # What is best known is shown.
        "KEEPER_SCRIPT_EXPLORATION": "0",
        "KEEPER_PATTERN_EXPLORATION": "0",
        **inherited,
        "KEEPER_HOST": "127.0.0.1",
        "KEEPER_PORT": "0",
        "KEEPER_LOG_FORMAT": "json",
        "KEEPER_LOG_LEVEL": "info",
        "KEEPER_SEED_CATALOG": "true",
        # Its accounts are invented, wherever its database is.
        "KEEPER_OPEN_ACCOUNTS": "true",
        "KEEPER_ACCOUNT_MIN_AGE": "0",
        "KEEPER_ACCOUNT_MIN_ACTIVE_DAYS": "0",
        **database.environment,
    }


def _is_live(pattern: EmergingPattern) -> bool:
    return pattern.pattern_type == LIVE_TYPE


def _is_new(pattern: EmergingPattern) -> bool:
    return _is_live(pattern) and pattern.change == EmergingPattern.CHANGE_NEW


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
