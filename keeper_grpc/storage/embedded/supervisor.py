"""The bundled PostgreSQL server: start, watch, stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import asyncpg
import structlog

from keeper_grpc.storage.embedded.account import ENVIRONMENT, ServerAccount
from keeper_grpc.storage.embedded.binaries import Binaries, find_binaries, tethered
from keeper_grpc.storage.embedded.cluster import (
    SUPERUSER,
    DirectoryLock,
    Layout,
    prepare_cluster,
    prepare_directory,
)
from keeper_grpc.storage.embedded.errors import (
    DataDirectoryUnreachable,
    EmbeddedPostgresError,
    StartFailed,
)
from keeper_grpc.storage.embedded.orphans import clear_orphans, cluster_name

DATABASE = "keeper"

_PORT = 5432
"""Part of the socket's file name; no TCP port is opened."""

_LONGEST_SOCKET = 103
"""Bytes of a unix socket's path that every system takes (Linux 107, macOS 103)."""

PLAIN_PATH = re.compile(r"[\w./-]+", re.ASCII)
"""Paths that mean themselves in a DSN and in a list of PostgreSQL; a comma, for one, does not."""

_POLL = 0.02
"""Seconds between looks at a server that starts or stops, which takes 50 ms and more."""

_WATCH = 0.25
"""Seconds until a server's death is noticed."""

_RELAUNCH_PAUSE = 1.0
"""Seconds between attempts to bring back a server that died: its cause may need time to pass."""

_STOP_STEPS = ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 10))
"""Fast shutdown (disconnects, writes a checkpoint), immediate shutdown (recovers at the next
start), the end; each with how often a server is asked for it."""

_SIGNAL_AGAIN = 1.0
"""Seconds after which a server that still runs is asked again: one that starts loses what comes before it listens to
signals, and any takes the same request once."""

_LOG_LIMIT = 16 * 1024 * 1024
"""Bytes after which a start sets the log aside as `.1`; months of a quiet server."""

_LOG_TAIL = 10
"""Lines of the log that a failed start shows."""

_log = structlog.get_logger(__name__)


class EmbeddedPostgres:
    """One server on one data directory, reachable over a unix socket only.

    `start` returns a DSN that stays good while the server lives. A server that dies without being
    asked to is started again on the same DSN. `durable=False` gives up crash safety for speed, for
    tests. `start_timeout` is in seconds and includes crash recovery. After `stop` the same object
    may be started again.

    Start it from a thread that lives as long as the server (the main thread): the kernel stops the
    server when the thread that started it ends.
    """

    def __init__(
        self, data_dir: Path, *, durable: bool = True, start_timeout: float = 60.0
    ) -> None:
        # Unlike Path.resolve, it leaves a loop of links to the start, which can say what is wrong.
        self.layout = Layout(Path(os.path.realpath(data_dir)))
        self._durable = durable
        self._start_timeout = start_timeout
        self._account: ServerAccount
        self._binaries: Binaries
        self._socket: Path | None = None
        self._lock: DirectoryLock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Bring the server up, the first time with an empty database, and return its DSN.

        Raises:
            EmbeddedPostgresError: see `errors.py`; nothing is left running.
        """
        if self._lock is not None:
            raise RuntimeError("this server is started already")
        try:
            self._account = ServerAccount.for_cluster(self.layout.pgdata)
            prepare_directory(self.layout.root, self._account)
            self._lock = DirectoryLock.acquire(self.layout.root)
            self._binaries = find_binaries(self._account)
            prepare_cluster(self.layout, self._account, self._binaries, durable=self._durable)
            self._socket = self._choose_socket()
            self._rotate_log()
            await self._launch(self._socket)
            await self._create_database()
        except OSError as error:
            # Something in the directory is not what it should be: a file where a directory belongs,
            # one of another owner, a disk that is full.
            await self.stop()
            raise DataDirectoryUnreachable(self.layout.root, str(error)) from error
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._keep_running(self._socket))
        return self._dsn(DATABASE)

    async def stop(self) -> None:
        """Shut the server down and let go of the directory. Does nothing twice."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        if self._process is not None:
            await _end(self._process)
            self._process = None
        if self._socket is not None:
            shutil.rmtree(self._socket, ignore_errors=True)
            self._socket = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def dsn(self) -> str:
        """Where the started server is, for asyncpg and every libpq program."""
        return self._dsn(DATABASE)

    @property
    def pid(self) -> int | None:
        """The server's process, None when it is stopped."""
        return None if self._process is None else self._process.pid

    def _dsn(self, database: str) -> str:
        # With the port, or PGPORT of the environment would decide.
        if self._socket is None:
            raise RuntimeError("this server is not started")
        return f"postgresql://{SUPERUSER}@/{database}?host={self._socket}&port={_PORT}"

    def _choose_socket(self) -> Path:
        """In the data directory if the path is fit for a socket, else a private one in /tmp."""
        wanted = self.layout.socket
        longest = os.fsencode(wanted / f".s.PGSQL.{_PORT}")
        if len(longest) <= _LONGEST_SOCKET and PLAIN_PATH.fullmatch(str(wanted)):
            return wanted
        return Path(tempfile.mkdtemp(prefix="keeper-", dir="/tmp"))

    def _empty(self, socket: Path) -> None:
        # A stale socket lock is believed as readily as a stale pid file.
        shutil.rmtree(socket, ignore_errors=True)
        socket.mkdir(mode=0o700)
        self._account.own(socket)

    def _command(self, socket: Path) -> list[str]:
        # What must hold whatever postgresql.conf says; the rest of the settings are PostgreSQL's
        # defaults (128 MB of shared buffers, 100 connections) and its owner's to tune there.
        settings = {
            "cluster_name": cluster_name(self.layout.pgdata),
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": str(socket),
            "unix_socket_permissions": "0700",
            "logging_collector": "off",
            "log_destination": "stderr",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = [word for key in settings for word in ("-c", f"{key}={settings[key]}")]
        return [self._binaries.program("postgres"), "-D", str(self.layout.pgdata), *arguments]

    async def _launch(self, socket: Path) -> None:
        """Start a server where none runs, and return when it accepts connections."""
        await clear_orphans(self.layout.pgdata, self._account.uid)
        self._empty(socket)
        with self._open_log() as log:
            began = log.tell()
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603  (our own program; this thread must be its parent)
                tethered(self._account, signal.SIGINT, self._command(socket)),
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at a terminal is for us; we then stop the server in our own order.
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(self._start_timeout):
                await self._ready(self._process, began)
        except TimeoutError as error:
            await _end(self._process)
            raise StartFailed(
                f"no connection within {self._start_timeout:g} s", self._log_tail(began)
            ) from error

    async def _ready(self, process: subprocess.Popen[bytes], began: int) -> None:
        while process.poll() is None:
            try:
                connection = await asyncpg.connect(self._dsn("postgres"))
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
                await asyncio.sleep(_POLL)
            else:
                await connection.close()
                return
        raise StartFailed(f"it ended with status {process.returncode}", self._log_tail(began))

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self._dsn("postgres"))
        try:
            if not await connection.fetchval(
                "SELECT true FROM pg_database WHERE datname = $1", DATABASE
            ):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()

    async def _keep_running(self, socket: Path) -> None:
        """Bring the server back whenever it dies: the OOM killer's choice is not the end of us."""
        while self._process is not None:
            if self._process.poll() is None:
                await asyncio.sleep(_WATCH)
                continue
            _log.error("postgresql_died", status=self._process.returncode)
            try:
                await self._launch(socket)
            except (EmbeddedPostgresError, OSError) as error:
                _log.error("postgresql_not_restarted", reason=str(error))
                await asyncio.sleep(_RELAUNCH_PAUSE)

    def _open_log(self) -> BinaryIO:
        # Opened by us, so that the server's user needs no right to the directory; and no link
        # followed, as with the lock.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        log = os.fdopen(os.open(self.layout.log, flags, 0o600), "ab")
        log.seek(0, os.SEEK_END)
        return log

    def _rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.layout.log.stat().st_size > _LOG_LIMIT:
                self.layout.log.rename(self.layout.log.with_suffix(".log.1"))

    def _log_tail(self, began: int) -> str:
        """The last lines that this server wrote, from byte `began` of the log on."""
        with self.layout.log.open("rb") as log:
            log.seek(began)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL:])


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server, more and more firmly, and reap it."""
    for signal_number, times in _STOP_STEPS:
        for _ in range(times):
            process.send_signal(signal_number)  # none, if it has ended
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SIGNAL_AGAIN):
                    while process.poll() is None:  # noqa: ASYNC110  (asyncio's own watchers poll too, in a thread)
                        await asyncio.sleep(_POLL)
                    return
        _log.warning("postgresql_slow_to_stop", signal=signal_number.name)
