"""Reading all that is archived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keeper_grpc.operations.archive.parquet import Reader
from keeper_grpc.operations.archive.shelf import Shelf
from keeper_grpc.storage.archives.files import ArchiveFile
from keeper_grpc.storage.archives.rows import Row


def check_all(shelf: Shelf, files: Sequence[ArchiveFile]) -> None:
    """Raise ArchiveDamaged for the first file that is missing or is not the one that was written."""
    for file in files:
        shelf.check(file)


def archived(shelf: Shelf, files: Sequence[ArchiveFile]) -> Iterator[Sequence[Row]]:
    """Every group that is to be read. Groups of a file that the database does not name are in the ledger still."""
    for file in files:
        with Reader(shelf.directory / file.name) as reader:
            for number in file.groups:
                yield reader.group(number)
