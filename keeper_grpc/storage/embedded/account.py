"""Which user the server runs as, and what that user can reach.

PostgreSQL refuses to run as root. A root keeper therefore runs it as an existing unprivileged user;
any other keeper runs it as itself.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypedDict

from keeper_grpc.storage.embedded.errors import StartFailed

_CANDIDATES = ("postgres", "nobody")
"""Users that a system may already have. None is ever created."""

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""What the server's programs see. Ours holds keys and PG* variables that are not for them."""


class RunAs(TypedDict, total=False):
    """The arguments of `subprocess` that change the user; empty where none changes."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """The user and group of the server. `switches` says that they are not our own."""

    uid: int
    gid: int
    switches: bool

    @classmethod
    def for_cluster(cls, pgdata: Path) -> Self:
        """The account that owns `pgdata`, or the one that should make it.

        An existing cluster keeps its owner, so that a volume that comes from a machine where
        `postgres` has another number goes on working.

        Raises:
            StartFailed: we are root, and the system has no unprivileged user to become.
        """
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), switches=False)
        if pgdata.exists():
            owner = pgdata.stat()
            if owner.st_uid != 0:
                return cls(owner.st_uid, owner.st_gid, switches=True)
        for name in _CANDIDATES:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, switches=True)
        raise StartFailed(
            f"it cannot run as root and none of the users {', '.join(_CANDIDATES)} exists; "
            "run the keeper as another user than root"
        )

    @property
    def name(self) -> str:
        """For messages."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"uid {self.uid}"

    @property
    def run_as(self) -> RunAs:
        """For `subprocess.run`. `user=` drops the privileges in the child, without Python code."""
        if not self.switches:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give `path` itself, not what a link points at, to this account."""
        if self.switches:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, directory: Path) -> bool:
        """Whether a process of this account gets there; tried, because ACLs have a say too.

        The shell is no extra demand: initdb runs its parts through it.
        """
        tried = subprocess.run(  # noqa: S603  (a constant command; the path is an argument)
            ["/bin/sh", "-c", 'cd -- "$1"', "sh", directory],
            cwd="/",
            env=ENVIRONMENT,
            stderr=subprocess.DEVNULL,
            check=False,
            **self.run_as,
        )
        return tried.returncode == 0

    def blocked_by(self, directory: Path) -> Path:
        """The topmost directory on the way to `directory` that this account may not pass."""
        for step in (*reversed(directory.parents), directory):
            status = step.stat()
            if status.st_uid == self.uid:
                passes = status.st_mode & stat.S_IXUSR
            elif status.st_gid == self.gid:
                passes = status.st_mode & stat.S_IXGRP
            else:
                passes = status.st_mode & stat.S_IXOTH
            if not passes:
                return step
        return directory
