"""A running service: its parts started in order, and closed in the opposite order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from keeper_grpc.catalog.load import Catalog, load_catalog
from keeper_grpc.composition.access import Access, open_access
from keeper_grpc.composition.background import Background
from keeper_grpc.composition.http import make_http
from keeper_grpc.composition.parts import Parts
from keeper_grpc.composition.server import ServerParts
from keeper_grpc.composition.shared import authored_patterns, counting_of, open_pools, utc_now
from keeper_grpc.domain.errors import EmbedderUnavailable, StorageUnavailable
from keeper_grpc.models.choice import open_model
from keeper_grpc.models.in_use import ModelInUse
from keeper_grpc.pseudonym_keys import make_pseudonyms
from keeper_grpc.rpc.server import Server
from keeper_grpc.rpc.streams.enhance import EnhanceStream
from keeper_grpc.serving_ports import ports
from keeper_grpc.settings import Settings
from keeper_grpc.start_checks import check_settings
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from keeper_grpc.telemetry.exporting import open_telemetry
from keeper_grpc.telemetry.instruments import Instruments
from keeper_grpc.telemetry.watched import (
    watch_cache,
    watch_detector,
    watch_feeds,
    watch_gate,
    watch_memories,
    watch_patterns,
    watch_pool,
    watch_replica,
    watch_server,
    watch_sizes,
    watch_writers,
)
from keeper_grpc.usecases.accounts.approve_words import ApproveWords
from keeper_grpc.usecases.advice.moves_feed import MovesFeed
from keeper_grpc.usecases.emerging.feed import EmergingFeed
from keeper_grpc.usecases.evidence.learn_lifts import LearnLifts
from keeper_grpc.usecases.evidence.learn_priors import LearnPriors
from keeper_grpc.usecases.metrics.feed import MetricsFeed
from keeper_grpc.usecases.patterns.seed import SeedCatalog
from keeper_grpc.usecases.ports import Clock
from keeper_grpc.workers.place import Worker

if TYPE_CHECKING:  # the extra may be missing
    from keeper_grpc.rpc.http.server import HttpServer

log = structlog.get_logger()

CANCEL_AGAIN = 0.5
"""Seconds after which a background task that has not ended is cancelled once more."""


class App:
    """A running service.

    `failed` is set when one of its background loops died of a defect: it is then no longer whole, and
    should be drained and restarted. `metrics_port` is the port that Prometheus reads, None without one.
    `http` serves the same calls over HTTP, where that is wanted.
    """

    def __init__(
        self,
        server: Server,
        streams: Sequence[EmergingFeed | EnhanceStream | MetricsFeed | MovesFeed],
        failed: asyncio.Event,
        *,
        drain_delay: float,
        drain_grace: float,
        access: Access,
        metrics_port: int | None,
        http: HttpServer | None,
        models: ModelInUse,
        learning: Sequence[Callable[[], Awaitable[object]]],
    ) -> None:
        self.failed = failed
        self._access = access
        self._learning = learning
        self._models = models
        self.metrics_port = metrics_port
        self._server = server
        self._http = http
        self._streams = streams
        self._drain_delay = drain_delay
        self._drain_grace = drain_grace

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return self._server.port

    @property
    def http_port(self) -> int | None:
        """The port that HTTP clients connect to, None without one."""
        return self._http.port if self._http else None

    @property
    def admin_port(self) -> int:
        """The port of AdminService: the same, unless it has its own."""
        return self._server.admin_port

    @property
    def embedding_model(self) -> str:
        """The id of the model in use."""
        return self._models.current.model

    async def learn(self) -> None:
        """Learn now what patterns tell of each other: their words, priors and lifts. Raises StorageUnavailable."""
        for learn in self._learning:
            await learn()

    def reload(self) -> None:
        """Read certificates and identities again; those that are no good leave the former ones in use."""
        self._access.reload()

    async def drain(self) -> None:
        """Become not ready, end the streams, let calls in flight finish.

        It goes on taking calls for `drain_delay` seconds after it has become not ready: a proxy that asks for health once
        a second sends calls and opens streams until it has asked again.
        """
        await self._server.announce_drain()
        await asyncio.sleep(self._drain_delay)
        for stream in self._streams:
            stream.drain()
        ends = [self._server.stop(self._drain_grace)]
        if self._http:
            ends.append(self._http.stop(self._drain_grace))
        await asyncio.gather(*ends)


@asynccontextmanager
async def application(
    settings: Settings,
    clock: Clock = utc_now,
    catalog: Catalog | None = None,
    *,
    worker: Worker | None = None,
    learns_by_time: bool = True,
) -> AsyncIterator[App]:
    """Start the service, and close everything in the opposite order at the end.

    `clock` returns the service's current time and `catalog` has its authored patterns; a simulation passes its own.
    A `worker` shares its port, and the bundled database of its parent. Unless it `learns_by_time`, whoever started it
    calls `App.learn` instead: in simulated time, the time of this machine must not decide what is known when.

    Raises what stops a start, with a line for the operator: SettingsInvalid, EmbeddedPostgresError,
    DatabaseUnfit, MigrationError, EvidenceStale, ModelUnusable, KeyFileInvalid, PseudonymKeysUnfit,
    FileUnusable, TelemetryUnusable, PortUnusable, RuntimeError (port taken).
    """
    # What is wrong with the settings is refused before a database is started or waited for.
    check_settings(settings)
    async with AsyncExitStack() as stack:
        access = await open_access(settings)
        telemetry = await stack.enter_async_context(
            open_telemetry(settings.metrics_host, settings.metrics_port)
        )
        pool, replica = await stack.enter_async_context(
            open_pools(settings, telemetry, worker.dsn if worker else None)
        )
        # Keys and counting are checked against the database before anything is written to it.
        pseudonyms = await make_pseudonyms(settings, pool)
        await PostgresRebuild(pool).agree(counting_of(settings))
        # A model that does not answer stops the start, and so does one that is not the database's.
        models = ModelInUse(settings, pool, telemetry, await open_model(settings, pool, telemetry))
        stack.push_async_callback(models.aclose)
        catalog = catalog or load_catalog()
        parts = Parts(
            settings,
            pool,
            models,
            access=access,
            pseudonyms=pseudonyms,
            catalog=catalog,
            clock=clock,
            telemetry=telemetry,
            replica=replica,
        )
        background = Background(parts)
        if settings.seed_catalog:
            await _seed(background.seeding(), catalog)
        await parts.qualify.start()
        words = background.words()
        await words()
        priors = background.priors()
        await priors.at_start()
        lifts = background.lifts()
        calls = ServerParts(parts)
        feed = calls.feed()
        enhance = calls.enhance()
        enhance_stream = calls.enhance_stream(enhance)
        metrics = calls.metrics()
        metrics_feed = calls.metrics_feed(metrics)
        server = calls.server(
            feed=feed,
            enhance=enhance,
            enhance_stream=enhance_stream,
            metrics=metrics,
            metrics_feed=metrics_feed,
            ports=stack.enter_context(ports(settings, access, worker)),
        )
        detector = background.detector()
        _watch(telemetry.instruments, parts, pool=pool, models=models)
        watch_feeds(telemetry.instruments, feed, metrics_feed)
        watch_detector(telemetry.instruments, detector)
        watch_replica(telemetry.instruments, replica)
        watch_sizes(telemetry.instruments, background.sizes, background.bounds)
        watch_server(telemetry.instruments, server)
        stack.push_async_callback(parts.close_memories)
        stack.push_async_callback(parts.close_writers)
        failed = asyncio.Event()
        learning: dict[str, ApproveWords | LearnPriors | LearnLifts] = {
            "words": words,
            "priors": priors,
            "lifts": lifts,
        }
        by_time = learning if learns_by_time else {}
        for name, loop in (
            ("feed", feed.run()),
            ("published patterns", background.following().run()),
            ("replica", replica.run()),
            ("detector", detector.run()),
            ("embedding model", models.run()),
            ("maintenance", background.maintenance().run()),
            ("retention", background.retention().run()),
            ("bounds", background.bounds.run()),
            ("sizes", background.sizes.run()),
            ("qualification", parts.qualify.run()),
            ("access", access.run()),
            ("tombstones", background.tombstones().run()),
            ("accounts", parts.remembered_accounts.run()),
            ("measures", background.folding().run()),
            *((("triggers", background.triggers().run()),) if learns_by_time else ()),
            *((name, learn.run()) for name, learn in by_time.items()),
        ):
            _run_beside(stack, loop, name, failed)
        http = make_http(settings, server, access, shares_port=worker is not None)
        await server.start()
        if http:
            await http.start()
        if telemetry.probes is not None:
            telemetry.probes.follow(lambda: server.is_ready)
        app = App(
            server,
            (feed, enhance_stream, metrics_feed, parts.moves),
            failed,
            drain_delay=settings.drain_delay.total_seconds(),
            drain_grace=settings.drain_grace.total_seconds(),
            access=access,
            metrics_port=telemetry.metrics_port,
            http=http,
            models=models,
            learning=tuple(learning.values()),
        )
        stack.push_async_callback(app.drain)
        yield app


def _watch(instruments: Instruments, parts: Parts, *, pool: Database, models: ModelInUse) -> None:
    """Export what the parts of every server keep count of."""
    watch_pool(instruments, pool)
    watch_cache(instruments, models)
    watch_memories(
        instruments,
        accounts=parts.remembered_accounts,
        insights=parts.remembering_anonymizer.insights,
        texts=parts.remembering_anonymizer.texts,
    )
    watch_gate(instruments, parts.gate)
    watch_writers(instruments, scopes=parts.writer, enhancements=parts.records)
    watch_patterns(instruments, parts.published, parts.candidates, parts.places)


async def _seed(seed: SeedCatalog, catalog: Catalog) -> None:
    """Seed the catalog once. A database that serves without it must not wait for an embedder."""
    try:
        result = await seed.once(catalog.version, authored_patterns(catalog))
    except (EmbedderUnavailable, StorageUnavailable) as error:
        log.warning("catalog_not_seeded", error=type(error).__name__, retry="at the next start")
        return
    if result is not None:
        log.info(
            "catalog_seeded",
            version=catalog.version,
            added=result.added,
            upgraded=result.upgraded,
            unchanged=result.unchanged,
        )


def _run_beside(
    stack: AsyncExitStack, loop: Coroutine[Any, Any, None], name: str, failed: asyncio.Event
) -> None:
    """Run a background loop until the service is closed."""
    task = asyncio.create_task(loop, name=name)
    task.add_done_callback(partial(_report_death, failed))
    stack.push_async_callback(_cancel, task)


def _report_death(failed: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Log the end of a background loop, which no loop reaches without a defect, and set `failed`."""
    if not task.cancelled() and task.exception() is not None:
        log.error(
            "background_task_died", task=task.get_name(), error=type(task.exception()).__name__
        )
        failed.set()


async def _cancel(task: asyncio.Task[None]) -> None:
    """End a background task. It is cancelled repeatedly, because a clean-up whose database is gone may
    swallow a cancellation.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN)
