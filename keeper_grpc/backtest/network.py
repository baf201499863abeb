"""A network of the backtest's own: a server in this process on a database that is dropped at the end."""

from __future__ import annotations

import base64
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from keeper_grpc.app import application
from keeper_grpc.chosen_settings import ChosenSettings
from keeper_grpc.client import KeeperClient
from keeper_grpc.privacy.keys.pseudonyms import MINIMUM_KEY_BYTES
from keeper_grpc.settings import Settings
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres

_PATIENCE = timedelta(minutes=2)
"""The timeout of everything that waits: a busy machine may slow a run, but must not change its result."""

_OF_THE_MODEL = ("embedder", "local_model_dir", "openai_")
"""Beginnings of the settings that a backtest takes from the environment: which model reads the texts."""


class Clock:
    """The server's clock: the time of the history, which is moved as the history goes on."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class OwnNetwork:
    """Its API, and a turn of what a server otherwise learns by time."""

    client: KeeperClient
    learn: Callable[[], Awaitable[None]]
    k: int


@asynccontextmanager
async def own_network(clock: Clock) -> AsyncIterator[OwnNetwork]:
    """An empty network but for the catalog, with the service's default rules.

    Every account counts at once, nothing is held out and nothing is drawn by chance: the answer is what the network
    would advise at best knowledge, and the same in every run.
    """
    from_environment = Settings.from_environment()
    model = {
        name: getattr(from_environment, name)
        for name in Settings.model_fields
        if name.startswith(_OF_THE_MODEL)
    }
    directory = Path(tempfile.mkdtemp(prefix="keeper-backtest-"))
    key = base64.b64encode(secrets.token_bytes(MINIMUM_KEY_BYTES)).decode()
    try:
        async with EmbeddedPostgres(directory, durable=False) as postgres:
            chosen = ChosenSettings(
                host="127.0.0.1",
                port=0,
                database_url=postgres.dsn,
                data_dir=directory,
                pseudonym_keys=f"backtest:{key}",
                open_accounts=True,
                holdout_share=0.0,
                script_exploration=0.0,
                pattern_exploration=0.0,
                max_call_duration=_PATIENCE,
                acquire_timeout=_PATIENCE,
                statement_timeout=_PATIENCE,
                # Memory may be as old as a second, in which the history goes on by weeks.
                published_memory=0,
            )
            settings = chosen.model_copy(update=model)
            async with (
                application(settings, clock, learns_by_time=False) as app,
                KeeperClient(f"127.0.0.1:{app.port}", timeout=_PATIENCE.total_seconds()) as client,
            ):
                yield OwnNetwork(client, app.learn, settings.min_accounts)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
