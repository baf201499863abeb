"""The files as the database knows them: which there are, which of their row groups are read, whose rows they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from keeper_grpc.storage.database import Connection, Database


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One file: its length and SHA-256, and how many observations each row group holds that is to be read."""

    file_id: UUID
    name: str
    month: date
    size: int
    sha256: str
    groups: Mapping[int, int]

    @property
    def observations(self) -> int:
        """All that are to be read."""
        return sum(self.groups.values())


class PostgresArchiveFiles:
    """The tables archive_files, archive_groups and archive_holdings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def files(self) -> Sequence[ArchiveFile]:
        """Those that hold observations, by month and name."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT f.id, f.name, f.month, f.bytes, f.sha256,
                       array_agg(g.number ORDER BY g.number) AS numbers,
                       array_agg(g.observations ORDER BY g.number) AS observations
                  FROM archive_files f JOIN archive_groups g ON g.file_id = f.id
                 GROUP BY f.id ORDER BY f.month, f.name
                """
            )
        return [
            ArchiveFile(
                row["id"],
                row["name"],
                row["month"],
                row["bytes"],
                row["sha256"],
                dict(zip(row["numbers"], row["observations"], strict=True)),
            )
            for row in rows
        ]

    async def subjects(self) -> Mapping[UUID, str]:
        """The accounts by their names in the files."""
        async with self._database.connection() as connection:
            rows = await connection.fetch("SELECT subject, account_key FROM archive_subjects")
        return {row["subject"]: row["account_key"] for row in rows}

    async def begin(self, file_id: UUID, name: str, month: date) -> None:
        """Note a file that is about to be written, so that it is found should that end in the middle."""
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO archive_files (id, name, month) VALUES ($1, $2, $3)",
                file_id,
                name,
                month,
            )

    async def written(self, file_id: UUID, size: int, sha256: str) -> None:
        """Note that it was written to its end and is on the disk."""
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE archive_files SET bytes = $2, sha256 = $3 WHERE id = $1",
                file_id,
                size,
                sha256,
            )

    async def unused(self) -> Sequence[tuple[UUID, str]]:
        """Files that nothing is read from: they may be removed, and then dropped."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT id, name FROM archive_files f
                 WHERE NOT EXISTS (SELECT FROM archive_groups g WHERE g.file_id = f.id)
                """
            )
        return [(row["id"], row["name"]) for row in rows]

    async def drop(self, file_id: UUID) -> None:
        """Forget a file that was removed."""
        async with self._database.connection() as connection:
            await connection.execute("DELETE FROM archive_files WHERE id = $1", file_id)

    async def forgotten(self) -> Mapping[UUID, int]:
        """Files that hold observations of forgotten accounts, and how many."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT h.file_id, sum(h.observations)::bigint AS observations FROM archive_holdings h
                 WHERE NOT EXISTS (SELECT FROM archive_subjects s WHERE s.subject = h.subject)
                 GROUP BY 1
                """
            )
        return {row["file_id"]: row["observations"] for row in rows}

    async def replace(
        self, old: UUID, new: UUID, groups: Sequence[int], holdings: Mapping[UUID, int]
    ) -> None:
        """Read a new file from now on where the old one was read; its groups hold so many observations."""
        async with self._database.transaction() as connection:
            for table in ("archive_groups", "archive_holdings"):
                await connection.execute(f"DELETE FROM {table} WHERE file_id = $1", old)  # noqa: S608 - one of two names
            for number, observations in enumerate(groups):
                await add_group(connection, new, number, observations, {})
            await add_holdings(connection, new, holdings)


async def add_group(
    connection: Connection,
    file_id: UUID,
    number: int,
    observations: int,
    holdings: Mapping[UUID, int],
) -> None:
    """Let a row group be read from now on; `holdings` are its observations by subject."""
    await connection.execute(
        "INSERT INTO archive_groups (file_id, number, observations) VALUES ($1, $2, $3)",
        file_id,
        number,
        observations,
    )
    await add_holdings(connection, file_id, holdings)


async def add_holdings(connection: Connection, file_id: UUID, holdings: Mapping[UUID, int]) -> None:
    """Add to what a file holds by subject."""
    await connection.executemany(
        """
        INSERT INTO archive_holdings AS h (file_id, subject, observations) VALUES ($1, $2, $3)
        ON CONFLICT (file_id, subject) DO UPDATE SET observations = h.observations + excluded.observations
        """,
        [(file_id, subject, count) for subject, count in holdings.items()],
    )
