"""A span for each statement of a traced call, with its verb and table.

It has neither the parameters nor the text: a few statements are composed of names and constants that come from
a caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import asyncpg

from keeper_grpc.spans import Spans, in_a_recorded_call

if TYPE_CHECKING:
    from asyncpg import Record

# A statement that writes anywhere, also behind WITH, is a write; FOR UPDATE and DO UPDATE are not.
_WRITE = re.compile(r"\b(INSERT INTO|(?<!FOR )(?<!DO )UPDATE|DELETE FROM)\s+([a-z_]+)")
# The first table in the text: our statements name their subject before the tables that they join.
_READ = re.compile(r"\bFROM\s+([a-z_]+)(?![a-z_(])")
_VERB = re.compile(r"\s*([A-Za-z]+)")

SUMMARIES = 512
"""Statements whose summaries are cached: more than this program has."""


@lru_cache(maxsize=SUMMARIES)
def summary(statement: str) -> tuple[str, str]:
    """Verb and table of a statement; the table is empty where it names none.

    The function of the schema that records questions is named after what it writes.
    """
    if "record_questions(" in statement:
        return "INSERT", "enhancements"
    if write := _WRITE.search(statement):
        return write[1].split()[0], write[2]
    verb = _VERB.match(statement)
    if verb is None:
        return "", ""
    if verb[1] in ("SELECT", "WITH"):
        read = _READ.search(statement)
        return "SELECT", read[1] if read else ""
    return verb[1].upper(), ""


def with_spans(spans: Spans) -> type[asyncpg.Connection[Record]]:
    """A class of connections that make a span for each statement within a recorded call."""

    @contextmanager
    def around(statement: str) -> Iterator[None]:
        if not in_a_recorded_call():
            yield
            return
        verb, table = summary(statement)
        attributes = {"db.system.name": "postgresql", "db.operation.name": verb}
        if table:
            attributes["db.collection.name"] = table
        with spans.request(f"{verb} {table}".rstrip(), attributes):
            yield

    # asyncpg's own way to extend a connection: the pool makes them of this class.
    class Connection(asyncpg.Connection):
        """A connection whose statements have spans."""

        async def execute(self, query: str, *args: Any, **options: Any) -> str:
            with around(query):
                return await super().execute(query, *args, **options)

        async def executemany(
            self, command: str, args: Iterable[Sequence[object]], **options: Any
        ) -> None:
            with around(command):
                await super().executemany(command, args, **options)

        async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
            with around(query):
                return await super().fetch(query, *args, **options)

        async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
            with around(query):
                return await super().fetchrow(query, *args, **options)

        async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
            with around(query):
                return await super().fetchval(query, *args, **options)

    return Connection
