"""The server of a data directory, for a command that may run beside the process that has it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from keeper_grpc.storage.embedded.account import ServerAccount
from keeper_grpc.storage.embedded.cluster import SUPERUSER, Layout
from keeper_grpc.storage.embedded.errors import DataDirectoryInUse
from keeper_grpc.storage.embedded.orphans import cluster_name, servers
from keeper_grpc.storage.embedded.supervisor import DATABASE, PLAIN_PATH, EmbeddedPostgres

_POLL = 0.1
"""Seconds between looks at a directory whose keeper starts or stops its server."""

_PID, _PORT, _SOCKET_DIRECTORY, _STATUS = 0, 3, 4, 7
"""Lines of postmaster.pid (src/include/utils/pidfile.h)."""

_CREDENTIALS = struct.Struct("3i")
"""pid, uid and gid of SO_PEERCRED."""


@asynccontextmanager
async def shared_postgres(data_dir: Path, patience: float) -> AsyncIterator[str]:
    """The DSN of the directory's server: of the keeper that has it, else of our own for the block.

    A keeper that is about to start or stop its server is waited for, `patience` seconds at most.

    Raises EmbeddedPostgresError as `EmbeddedPostgres.start`; DataDirectoryInUse when the patience ends.
    """
    postgres = EmbeddedPostgres(data_dir)
    give_up = time.monotonic() + patience
    while True:
        try:
            own = await postgres.start()
        except DataDirectoryInUse as error:
            # Of the cluster itself it says so where a server runs that no keeper started.
            if error.directory != postgres.layout.root:
                raise
            running = await asyncio.to_thread(running_dsn, postgres.layout)
            if running is not None:
                yield running
                return
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(_POLL)
            continue
        try:
            yield own
        finally:
            await postgres.stop()
        return


def running_dsn(layout: Layout) -> str | None:
    """The DSN of the ready server that a keeper runs on this directory, None while there is none.

    The pid file only says where to look. The process must serve this cluster by its own arguments and
    as the user who owns it, and it must be the one that listens on the socket: anyone can leave a
    socket and a file behind, and we may be root. Needs /proc and SO_PEERCRED, hence Linux.
    """
    try:
        account = ServerAccount.for_cluster(layout.pgdata)
        pid, port, directory, status = _pid_file(layout.pgdata / "postmaster.pid")
        serving = pid in servers(cluster_name(layout.pgdata), account.uid)
    except (OSError, ValueError, IndexError):  # none yet, or half written
        return None
    if status != "ready" or not serving or not PLAIN_PATH.fullmatch(directory):
        return None
    if _listener(Path(directory, f".s.PGSQL.{port}")) != (pid, account.uid):
        return None
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={directory}&port={port}"


def _pid_file(path: Path) -> tuple[int, int, str, str]:
    """Process, port, socket directory and status. The directory's owner may not lead us elsewhere."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return int(lines[_PID]), int(lines[_PORT]), lines[_SOCKET_DIRECTORY], lines[_STATUS]


def _listener(path: Path) -> tuple[int, int] | None:
    """Process and user that listen on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(os.fspath(path))
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    pid, uid, _ = _CREDENTIALS.unpack(found)
    return pid, uid
