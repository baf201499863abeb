"""The data directory: what lies in it, who may use it, how it begins.

<data_dir>/keeper.lock      held by the keeper that owns the directory; its process id
          /postgresql       the database cluster (PGDATA)
          /postgresql.log   what the server says
          /socket           the directory of its unix socket, where the path is short enough
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from keeper_grpc.storage.embedded.account import ENVIRONMENT, ServerAccount
from keeper_grpc.storage.embedded.binaries import Binaries, tethered
from keeper_grpc.storage.embedded.errors import (
    DataDirectoryInUse,
    DataDirectoryUnreachable,
    DataDirectoryVersion,
    StartFailed,
)

SUPERUSER = "keeper"

_LOCK = "keeper.lock"
_PGDATA = "postgresql"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths under a data directory."""

    root: Path

    @property
    def pgdata(self) -> Path:
        return self.root / _PGDATA

    @property
    def log(self) -> Path:
        return self.root / "postgresql.log"

    @property
    def socket(self) -> Path:
        return self.root / "socket"


class DirectoryLock:
    """The right to run a server on a data directory. The kernel drops it when the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, root: Path) -> Self:
        """Take the lock, or raise `DataDirectoryInUse`."""
        # The directory may belong to the server's user: as root, follow no link it planted.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        try:
            descriptor = os.open(root / _LOCK, flags, 0o600)
        except OSError as error:
            raise DataDirectoryUnreachable(root, f"{_LOCK}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            written = os.read(descriptor, 20).strip()
            os.close(descriptor)
            raise DataDirectoryInUse(root, int(written) if written else None) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(descriptor)

    def release(self) -> None:
        """Let the next one in. The file stays: removing it would race with its next holder."""
        os.close(self._descriptor)


def prepare_directory(root: Path, account: ServerAccount) -> None:
    """Make `root` if needed, and see that `account` can enter it.

    Directories above `root` are never changed, only made. `root` itself is handed to `account` only
    if it is closed to it and is evidently ours.

    Raises:
        DataDirectoryUnreachable: with the directory that is in the way.
    """
    try:
        _make(root)
        if account.switches and not account.can_enter(root):
            if account.blocked_by(root) == root and _is_ours(root):
                account.own(root)
            if not account.can_enter(root):
                raise DataDirectoryUnreachable(
                    root,
                    f"the server runs as {account.name}, who may not enter "
                    f"{account.blocked_by(root)}; choose a directory elsewhere "
                    f"(such as /var/lib/keeper), or run chmod o+x on that one",
                )
    except OSError as error:
        raise DataDirectoryUnreachable(root, str(error)) from error
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise DataDirectoryUnreachable(root, f"the user {account.name} may not write to it")


def prepare_cluster(
    layout: Layout, account: ServerAccount, binaries: Binaries, *, durable: bool
) -> None:
    """See that `layout.pgdata` is a cluster of our version, owned by `account`.

    The caller holds the lock. Raises `DataDirectoryVersion`, `DataDirectoryUnreachable` or
    `StartFailed`.
    """
    pgdata = layout.pgdata
    if not pgdata.exists():
        _initialize(layout, account, binaries, durable=durable)
        return
    owner = pgdata.stat().st_uid
    if owner != account.uid:
        if not account.switches:
            raise DataDirectoryUnreachable(
                layout.root, f"it belongs to uid {owner}; run as that user or as root"
            )
        for folder, _, files in os.walk(pgdata):
            account.own(Path(folder))
            for file in files:
                account.own(Path(folder, file))
    pgdata.chmod(0o700)  # PostgreSQL insists; backups come back otherwise
    with contextlib.suppress(FileNotFoundError):  # of a damaged cluster PostgreSQL says more
        found = (pgdata / "PG_VERSION").read_text().strip()
        if found != binaries.major:
            raise DataDirectoryVersion(layout.root, found=found, expected=binaries.major)


def _initialize(
    layout: Layout, account: ServerAccount, binaries: Binaries, *, durable: bool
) -> None:
    """Run initdb aside and rename: killed half-way, it leaves nothing that looks like a cluster."""
    partial = layout.pgdata.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    account.own(partial)
    command = [
        binaries.program("initdb"),
        f"--pgdata={partial}",
        f"--username={SUPERUSER}",
        "--encoding=UTF8",
        "--locale=C",
        # Built in: the same order on every machine, whatever its C library.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        # The socket's directory is open to the server's user (and root) alone, who could read the
        # files as well; over TCP nobody gets in even if somebody turns it on.
        "--auth-local=trust",
        "--auth-host=reject",
        "--no-instructions",
        *([] if durable else ["--no-sync"]),
    ]
    done = subprocess.run(  # noqa: S603  (our own dependency's program)
        tethered(account, signal.SIGTERM, command),
        cwd="/",
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise StartFailed(f"initdb ended with status {done.returncode}", done.stderr.strip())
    partial.rename(layout.pgdata)


def _make(root: Path) -> None:
    """Make `root` for its owner alone, and what is missing above it open to pass, by any umask."""
    missing = [step for step in (root, *root.parents) if not step.exists()]
    for step in reversed(missing):
        step.mkdir()
        step.chmod(0o700 if step == root else 0o755)


def _is_ours(root: Path) -> bool:
    """Empty or used by a keeper before: a home directory named by mistake is neither."""
    names = {entry.name for entry in root.iterdir()}
    return not names or _LOCK in names or _PGDATA in names
