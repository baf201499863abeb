"""Why the bundled PostgreSQL cannot serve. These stop the start of the process.

    EmbeddedPostgresError
     +- DataDirectoryInUse         another process has it
     +- DataDirectoryVersion       made by another major version of PostgreSQL
     +- DataDirectoryUnreachable   the server's user cannot enter or own it
     +- StartFailed                PostgreSQL itself, or what it needs, gave up

Callers of the API never see them: they are for whoever starts the process, so a message names the
directory and says what to do about it.
"""

from __future__ import annotations

from pathlib import Path

from keeper_grpc.operator_error import OperatorError


class EmbeddedPostgresError(OperatorError):
    """Base of everything that keeps the bundled server from serving."""


class DataDirectoryInUse(EmbeddedPostgresError):
    """Another process holds the directory. `pid` is None where it cannot be told."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        owner = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"data directory {directory} is in use by {owner}; stop it, or name another directory"
        )
        self.directory = directory
        self.pid = pid


class DataDirectoryVersion(EmbeddedPostgresError):
    """The directory holds a database of another major version."""

    def __init__(self, directory: Path, *, found: str, expected: str) -> None:
        super().__init__(
            f"data directory {directory} was made by PostgreSQL {found}, the bundled server is "
            f"PostgreSQL {expected}: move it over with pg_upgrade, or dump it with a version "
            f"{found} server and restore the dump into an empty directory"
        )
        self.directory = directory
        self.found = found
        self.expected = expected


class DataDirectoryUnreachable(EmbeddedPostgresError):
    """The directory cannot be used by the user that the server runs as."""

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(f"data directory {directory} cannot be used: {reason}")
        self.directory = directory


class StartFailed(EmbeddedPostgresError):
    """The server did not come up. `log` holds what it said last."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(f"the bundled PostgreSQL did not start: {reason}" + (log and f"\n{log}"))
        self.log = log
