"""Observations as a Parquet file, a row group for each group."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from keeper_grpc.operations.archive.errors import ArchiveError
from keeper_grpc.storage.archives.rows import COLUMNS, Row

try:
    import pyarrow as pa
    from pyarrow import parquet as pq
except ModuleNotFoundError as error:
    raise ArchiveError(
        "archives need the package pyarrow: pip install 'keeper-grpc[archive]'"
    ) from error

FORMAT = 2
"""Of the columns. Written into each file. Files of the first one have no questions."""

_KINDS: Mapping[str, Any] = {
    "uuid": pa.uuid(),
    "bigint": pa.int64(),
    "text": pa.string(),
    # As text: PostgreSQL's own, with its order of keys and its numbers.
    "jsonb": pa.string(),
    "float8": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}

_JSON = [column for column, kind in COLUMNS.items() if kind == "jsonb"]


class Writer:
    """Writes the groups of one file. What it writes is no file of Parquet before `close`."""

    def __init__(self, file: IO[bytes], month: str) -> None:
        about = {"keeper.format": str(FORMAT), "keeper.month": month}
        self._schema = pa.schema(
            [pa.field(column, _KINDS[kind]) for column, kind in COLUMNS.items()], metadata=about
        )
        self._writer = pq.ParquetWriter(
            file, self._schema, compression="zstd", write_page_checksum=True, version="2.6"
        )

    def add(self, rows: Sequence[Row]) -> None:
        """One group."""
        table = pa.Table.from_pylist([_stored(row) for row in rows], schema=self._schema)
        self._writer.write_table(table, row_group_size=len(rows))

    def close(self) -> None:
        """Write what tells where the groups are."""
        self._writer.close()


class Reader:
    """Reads a file's groups, each page held to its checksum."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path, page_checksum_verification=True)

    def group(self, number: int) -> Sequence[Row]:
        """The rows of one group, as they were written."""
        rows: list[dict[str, Any]] = self._file.read_row_group(number).to_pylist()
        for row in rows:
            for column in COLUMNS.keys() - row.keys():
                row[column] = None
            for column in _JSON:
                row[column] = None if row[column] is None else json.loads(row[column])
        return rows

    @property
    def groups(self) -> int:
        """How many there are."""
        count: int = self._file.metadata.num_row_groups
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _stored(row: Row) -> Row:
    return {
        **row,
        **{
            column: None if row[column] is None else json.dumps(row[column], ensure_ascii=False)
            for column in _JSON
        },
    }


def copy_without(
    source: Path, groups: Sequence[int], target: Writer, keep: Callable[[Row], bool]
) -> Iterator[Sequence[Row]]:
    """Write anew those rows of these groups that are to be kept; what each group of the new file holds."""
    with Reader(source) as reader:
        for number in groups:
            rows = [row for row in reader.group(number) if keep(row)]
            if rows:
                target.add(rows)
                yield rows
