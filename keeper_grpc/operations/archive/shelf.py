"""The directory with the files: written to the disk before anyone counts on them, and held to their checksums."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from keeper_grpc.operations.archive.errors import ArchiveDamaged, ArchiveError
from keeper_grpc.operations.backup.manifest import sha256
from keeper_grpc.storage.archives.files import ArchiveFile


class Shelf:
    """One directory of archives."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Make it, for its owner alone, unless it is there."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ArchiveError(f"{self.directory} cannot be used: {error.strerror}") from error

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A new file; on the disk with its name when the block ends. Raises ArchiveError, having removed it."""
        path = self.directory / name
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            self._settle()
        except OSError as error:
            self.remove(name)
            raise ArchiveError(
                f"{path} cannot be written: {error.strerror}: what it was to hold stays in the ledger"
            ) from error
        except BaseException:
            self.remove(name)
            raise

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.directory / name).unlink(missing_ok=True)
        self._settle()

    def digest(self, name: str) -> tuple[int, str]:
        """Length and SHA-256 of a file, as it is on the disk."""
        path = self.directory / name
        return path.stat().st_size, sha256(path)

    def check(self, file: ArchiveFile) -> Path:
        """Where the file is. Raises ArchiveDamaged unless it is the one that was written."""
        path = self.directory / file.name
        try:
            found = self.digest(file.name)
        except FileNotFoundError:
            raise ArchiveDamaged(path, "is missing") from None
        except OSError as error:
            raise ArchiveDamaged(path, f"cannot be read ({error.strerror})") from error
        if found != (file.size, file.sha256):
            raise ArchiveDamaged(path, "is damaged")
        return path

    def _settle(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
