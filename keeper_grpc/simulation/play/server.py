"""The real server, in this process, on a database of its own, at a simulated time."""

from __future__ import annotations

import base64
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from keeper_grpc.app import application
from keeper_grpc.catalog.load import Catalog
from keeper_grpc.chosen_settings import ChosenSettings
from keeper_grpc.client import KeeperClient
from keeper_grpc.simulation.parameters import DAY_ZERO, Parameters
from keeper_grpc.simulation.play.ledger import Ledger
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres

_PATIENCE = timedelta(minutes=2)
"""The timeout of everything that waits: a busy machine may slow a run, but must not change its result."""

_KEYS = f"simulation:{base64.b64encode(bytes(32)).decode()}"
"""A fixed key, because pseudonyms decide which questions are held out. Nothing here is secret."""


class Clock:
    """The server's clock. It stands still until the story moves it."""

    def __init__(self) -> None:
        self._now = DAY_ZERO

    def __call__(self) -> datetime:
        return self._now

    def move_to(self, day: float) -> None:
        """This many days after the beginning."""
        self._now = DAY_ZERO + timedelta(days=day)


@dataclass(frozen=True, slots=True)
class Network:
    """A running network: its API, the ledger behind it, and a turn of what it learns by time otherwise."""

    client: KeeperClient
    ledger: Ledger
    learn: Callable[[], Awaitable[None]]


@asynccontextmanager
async def serving(parameters: Parameters, clock: Clock, catalog: Catalog) -> AsyncIterator[Network]:
    """An empty network with the service's default settings, except for holdout, catalog and accounts."""
    directory = Path(tempfile.mkdtemp(prefix="keeper-simulation-"))
    try:
        async with EmbeddedPostgres(directory, durable=False) as postgres:
            settings = ChosenSettings(
                port=0,
                database_url=postgres.dsn,
                data_dir=directory,
                pseudonym_keys=_KEYS,
                embedder="local",
                seed_catalog=parameters.authored,
                # Its businesses just begin to call.
                open_accounts=True,
                holdout_share=parameters.holdout,
                max_call_duration=_PATIENCE,
                acquire_timeout=_PATIENCE,
                statement_timeout=_PATIENCE,
                # Memory may be as old as a second, in which a simulated day passes.
                published_memory=0,
            )
            async with (
                application(settings, clock, catalog, learns_by_time=False) as app,
                KeeperClient(f"127.0.0.1:{app.port}", timeout=_PATIENCE.total_seconds()) as client,
            ):
                yield Network(client, Ledger(postgres.dsn), app.learn)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
