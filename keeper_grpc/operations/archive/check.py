"""What a run would do, and whether the files are those that were written. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from keeper_grpc.operations.archive.errors import ArchiveDamaged
from keeper_grpc.operations.archive.shelf import Shelf
from keeper_grpc.storage.archives.files import PostgresArchiveFiles
from keeper_grpc.storage.archives.leaving import look
from keeper_grpc.storage.database import Database


@dataclass(frozen=True, slots=True)
class Found:
    """Observations that may be archived by month, those that stay, and what the files hold; what is wrong with them."""

    due: Mapping[date, int]
    stay: int
    files: int
    observations: int
    size: int
    forgotten: int
    problems: Sequence[str]


async def look_over(
    database: Database, shelf: Shelf, before: datetime, asked_before: datetime | None = None
) -> Found:
    """Look at the ledger and at every file."""
    archives = PostgresArchiveFiles(database)
    files = await archives.files()
    problems = []
    for file in files:
        try:
            shelf.check(file)
        except ArchiveDamaged as error:
            problems.append(str(error))
    due: Counter[date] = Counter()
    async with look(database, before, name=False, asked_before=asked_before) as leaving:
        for each in await leaving.due():
            due[each.month] += each.observations
        stay = await leaving.stay(before)
    return Found(
        due=due,
        stay=stay,
        files=len(files),
        observations=sum(file.observations for file in files),
        size=sum(file.size for file in files),
        forgotten=sum((await archives.forgotten()).values()),
        problems=problems,
    )
