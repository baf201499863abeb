"""The request id of a row: the same in every run, independent of the file's place and later rows.

It is a UUIDv5 of the mapping's name and the row: of its `row_id` columns if there are some, else of all
readable columns and the number of equal rows before it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.mapping.values import Row

_IMPORTS = uuid.UUID("5a3df1c4-7a0c-5d0e-9a4e-2f6b8f0b1d37")
"""The namespace of all imports. Another one would make every row a new request."""


class RequestIds:
    """Names rows, in their order. Equal rows are counted on disk, so that memory does not grow.

    The temporary database has no name, holds digests only, and is gone when it is closed.
    """

    def __init__(self, mapping: Mapping) -> None:
        self._namespace = uuid.uuid5(_IMPORTS, mapping.name)
        self._columns: Sequence[str] = mapping.row_id
        self._seen = sqlite3.connect("", isolation_level=None)
        # The database is temporary: no journal, no sync, one transaction.
        self._seen.execute("PRAGMA journal_mode = OFF")
        self._seen.execute("PRAGMA synchronous = OFF")
        self._seen.execute("BEGIN")
        self._seen.execute("CREATE TABLE seen (row BLOB PRIMARY KEY, count INT) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._seen.close()

    def of(self, row: Row) -> uuid.UUID:
        """The request id of the next row."""
        if self._columns:
            return self._id([row.get(column, "") for column in self._columns])
        # A missing column equals an empty cell, because JSONL files omit keys.
        content = json.dumps(sorted(item for item in row.items() if item[1]), ensure_ascii=False)
        digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()
        (count,) = self._seen.execute(
            "INSERT INTO seen VALUES (?, 1)"
            " ON CONFLICT (row) DO UPDATE SET count = count + 1 RETURNING count",
            (digest,),
        ).fetchone()
        return self._id([digest.hex(), count])

    def _id(self, content: Sequence[object]) -> uuid.UUID:
        return uuid.uuid5(self._namespace, json.dumps(content))
