from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.server_process import (
    PSEUDONYM_KEYS,
    REPOSITORY,
    STOP,
    ServerProcess,
    postgres_of,
)
from tests.e2e.waiting import until

MakeDirectory = Callable[[], Path]


class StartServer(Protocol):
    """Starts a server that is stopped after the test, whatever became of it.

    Without `database_url` it has the bundled PostgreSQL in `data_dir`. `serving=False` returns at
    once, for a server that is not to come up. `root` is the checkout to run. `settings` are KEEPER_ variables.

    One of this checkout that is to serve has its modules loaded ahead (tests/program.py), unless
    `fresh` asks for `python server.py`: for a test that looks at how the process was started.
    """

    async def __call__(
        self,
        *,
        data_dir: Path | None = None,
        database_url: str | None = None,
        serving: bool = True,
        root: Path = REPOSITORY,
        fresh: bool = False,
        **settings: str,
    ) -> ServerProcess: ...


@asynccontextmanager
async def starter(make_directory: MakeDirectory) -> AsyncIterator[StartServer]:
    """Servers for the length of the block."""
    async with AsyncExitStack() as stack:

        async def start(
            *,
            data_dir: Path | None = None,
            database_url: str | None = None,
            serving: bool = True,
            root: Path = REPOSITORY,
            fresh: bool = False,
            **settings: str,
        ) -> ServerProcess:
            data_dir = data_dir or make_directory() / "data"
            settings.setdefault("KEEPER_DATA_DIR", str(data_dir))
            if database_url is not None:
                settings["KEEPER_DATABASE_URL"] = database_url
                settings.setdefault("KEEPER_PSEUDONYM_KEYS", PSEUDONYM_KEYS)
                settings.setdefault("KEEPER_OPEN_ACCOUNTS", "true")
            loaded = serving and not fresh and root == REPOSITORY
            server = ServerProcess.launch(
                make_directory() / "server.log", root, loaded=loaded, **settings
            )
            stack.push_async_callback(end, server, data_dir)
            if serving:
                await server.serving()
            return server

        yield start


async def end(server: ServerProcess, data_dir: Path) -> None:
    """Stop a server and wait until its PostgreSQL is gone too."""
    if server.process.poll() is None:
        server.send(signal.SIGTERM)
        try:
            await server.ended(STOP)
        except AssertionError:
            server.send(signal.SIGKILL)
            raise AssertionError(f"SIGTERM did not end it:\n{server.log.read_text()}") from None
    await until(
        lambda: not postgres_of(data_dir), within=STOP, what="the bundled PostgreSQL is gone"
    )


@pytest.fixture
async def start_server(make_directory: MakeDirectory) -> AsyncIterator[StartServer]:
    """Starts servers for one test."""
    async with starter(make_directory) as start:
        yield start


@pytest.fixture(scope="session")
async def server(make_directory: MakeDirectory) -> AsyncIterator[ServerProcess]:
    """One server with the bundled PostgreSQL, for tests that leave it running."""
    async with starter(make_directory) as start:
        yield await start()
