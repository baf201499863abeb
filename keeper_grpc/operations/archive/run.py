"""Archives what may leave the ledger, and writes files anew that hold what is forgotten.

What a crash leaves is never wrong: a group of a file is read from the moment at which its rows leave the ledger, in one
transaction. The file is on the disk by then, and was read back. What the file has beside such groups is not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from uuid import UUID, uuid4

from keeper_grpc.operations.archive.parquet import Reader, Writer, copy_without
from keeper_grpc.operations.archive.shelf import Shelf
from keeper_grpc.storage.archives.files import ArchiveFile, PostgresArchiveFiles
from keeper_grpc.storage.archives.leaving import Due, Leaving, look, take
from keeper_grpc.storage.archives.rows import Row
from keeper_grpc.storage.database import Database

FILE_GROUPS = 200
"""Groups of one file at most: what a crash in the middle has written for nothing."""


@dataclass(slots=True)
class Archived:
    """What was done: `left` observations changed meanwhile and stay until the next run, `stay` may not leave yet."""

    observations: int = 0
    files: int = 0
    size: int = 0
    left: int = 0
    stay: int = 0
    forgotten: int = 0


class Archiving:
    """One run, by one process at a time."""

    def __init__(self, database: Database, shelf: Shelf, half_life: timedelta) -> None:
        """`half_life`: the one that the database's evidence is counted with."""
        self._database = database
        self._files = PostgresArchiveFiles(database)
        self._shelf = shelf
        self._half_life = half_life
        self._done = Archived()

    async def __call__(self, before: datetime, asked_before: datetime | None = None) -> Archived:
        """Archive what occurred before that time and may leave, with questions that were asked before theirs.

        Raises ArchiveError, StorageUnavailable.
        """
        self._shelf.prepare()
        await self._tidy()
        await self._forget()
        async with look(self._database, before, name=True, asked_before=asked_before) as leaving:
            self._done.stay = await leaving.stay(before)
            for month, due in groupby(await leaving.due(), key=lambda each: each.month):
                async with aclosing(_groups(leaving, list(due))) as groups:
                    while await self._write_file(month, groups):
                        pass
        await self._tidy()
        return self._done

    async def _tidy(self) -> None:
        """Remove the files that nothing is read from."""
        for file_id, name in await self._files.unused():
            self._shelf.remove(name)
            await self._files.drop(file_id)

    async def _begin(self, month: date) -> tuple[UUID, str]:
        file_id = uuid4()
        name = f"observations-{month:%Y-%m}-{file_id.hex[:12]}.parquet"
        await self._files.begin(file_id, name, month)
        return file_id, name

    async def _write_file(self, month: date, groups: AsyncIterator[Sequence[Row]]) -> bool:
        """Write the next groups into a file and take them out of the ledger; False when there are none."""
        first = await anext(groups, None)
        if first is None:
            return False
        file_id, name = await self._begin(month)
        count = 1
        with self._shelf.writing(name) as file:
            writer = Writer(file, f"{month:%Y-%m}")
            writer.add(first)
            while count < FILE_GROUPS and (rows := await anext(groups, None)) is not None:
                writer.add(rows)
                count += 1
            writer.close()
        size, sha256 = self._shelf.digest(name)
        await self._files.written(file_id, size, sha256)
        taken = 0
        with Reader(self._shelf.directory / name) as reader:
            for number in range(count):
                rows = reader.group(number)
                if await take(self._database, file_id, number, rows, self._half_life):
                    taken += len(rows)
                else:
                    self._done.left += len(rows)
        self._done.observations += taken
        if taken:
            self._done.files += 1
            self._done.size += size
        return True

    async def _forget(self) -> None:
        """Write files anew without the observations of forgotten accounts."""
        forgotten = await self._files.forgotten()
        subjects = await self._files.subjects()
        for file in await self._files.files():
            if file.file_id in forgotten:
                await self._write_anew(file, set(subjects))
                self._done.forgotten += forgotten[file.file_id]

    async def _write_anew(self, old: ArchiveFile, known: set[UUID]) -> None:
        source = self._shelf.check(old)
        file_id, name = await self._begin(old.month)
        sizes: list[int] = []
        holdings: Counter[UUID] = Counter()
        with self._shelf.writing(name) as file:
            writer = Writer(file, f"{old.month:%Y-%m}")
            for rows in copy_without(
                source, list(old.groups), writer, lambda row: row["subject"] in known
            ):
                sizes.append(len(rows))
                holdings.update(row["subject"] for row in rows)
            writer.close()
        await self._files.written(file_id, *self._shelf.digest(name))
        await self._files.replace(old.file_id, file_id, sizes, holdings)
        await self._tidy()


async def _groups(leaving: Leaving, due: Sequence[Due]) -> AsyncGenerator[Sequence[Row], None]:
    for each in due:
        async for rows in leaving.groups(each):
            yield rows
