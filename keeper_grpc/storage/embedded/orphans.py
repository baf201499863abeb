"""Servers that an earlier keeper, killed before it could stop them, left on a data directory.

PostgreSQL trusts `postmaster.pid`: any live process of the same user with the recorded number
counts as the server, and numbers are soon used again in a container. Here a process is a server of
the directory only if it says so itself: its arguments or its title carry the cluster's name, which
is made from the directory's identity. That needs no more than /proc/<pid>/cmdline, which a
container's root may read of other users' processes where /proc/<pid>/cwd takes CAP_SYS_PTRACE.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import structlog

from keeper_grpc.storage.embedded.errors import DataDirectoryInUse, StartFailed

_PROC = Path("/proc")

_POLL = 0.02
"""Seconds between looks. A fast shutdown takes tens of milliseconds."""

_GRACE = {signal.SIGINT: 30.0, signal.SIGQUIT: 5.0, signal.SIGKILL: 5.0}
"""Seconds that a leftover server gets for a fast shutdown (it writes a checkpoint), an immediate
one, and to be reaped."""

_log = structlog.get_logger(__name__)


def cluster_name(pgdata: Path) -> str:
    """A name no other data directory on this machine has, a copy of this one neither."""
    status = pgdata.stat()
    return f"keeper-{status.st_dev:x}-{status.st_ino:x}"


async def clear_orphans(pgdata: Path, uid: int) -> None:
    """Stop leftover servers of `pgdata` and remove the pid file of a dead one.

    The caller holds the directory's lock, so no other keeper is their owner. Without /proc (not
    Linux) PostgreSQL's own, more timid, check decides.

    Raises:
        DataDirectoryInUse: a server runs there that no keeper started.
        StartFailed: a leftover process outlives SIGKILL.
    """
    if not (_PROC / "self").exists():
        return
    name = cluster_name(pgdata)
    pid_file = pgdata / "postmaster.pid"
    recorded = _recorded_pid(pid_file)
    for signal_number, grace in _GRACE.items():
        running = servers(name, uid)
        if not running:
            break
        if signal_number is signal.SIGINT and recorded not in running:
            continue  # without a postmaster nobody would forward it
        _log.warning("postgresql_leftover_stopped", pids=running, signal=signal_number.name)
        everyone = signal_number is signal.SIGKILL or recorded not in running
        for pid in running if everyone else [recorded]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        await _gone(name, uid, grace)
    if running := servers(name, uid):
        raise StartFailed(f"leftover server processes {running} cannot be ended")
    if _is_foreign_server(recorded, uid, pgdata):
        raise DataDirectoryInUse(pgdata, recorded)
    pid_file.unlink(missing_ok=True)


async def _gone(name: str, uid: int, grace: float) -> None:
    """Return when no server is left, or after `grace` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace):
            while servers(name, uid):  # noqa: ASYNC110  (no event tells of others' processes)
                await asyncio.sleep(_POLL)


def _recorded_pid(pid_file: Path) -> int:
    """The postmaster's number by its own account, 0 where there is none."""
    try:
        return int(pid_file.read_text().partition("\n")[0])
    except (OSError, ValueError):
        return 0


def servers(name: str, uid: int) -> list[int]:
    """Processes of user `uid` that serve the cluster `name`: postmaster and children."""
    argument = f"cluster_name={name}".encode()
    title = f"postgres: {name}: ".encode()
    return [
        pid
        for pid, command in _commands(uid)
        if command.startswith(title) or argument in command.split(b"\0")
    ]


def _commands(uid: int) -> Iterator[tuple[int, bytes]]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            # A process may end, and its files with it, at any moment.
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == uid:
                    yield int(entry.name), (entry / "cmdline").read_bytes()


def _is_foreign_server(pid: int, uid: int, pgdata: Path) -> bool:
    """Whether `pid` is a PostgreSQL that somebody started on `pgdata` by hand."""
    words = dict(_commands(uid)).get(pid, b"").split(b"\0")
    program = os.path.basename(words[0])  # noqa: PTH119  (bytes: Path takes none)
    return program in {b"postgres", b"postmaster"} and os.fsencode(pgdata) in words
