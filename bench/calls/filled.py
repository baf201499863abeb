"""A bundled database with a network of some size, for as long as a bench needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.calls.network import Network
from bench.calls.processes import directory
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.schema.migrate import migrate


@contextmanager
def filled(patterns: int) -> Iterator[tuple[str, Path]]:
    """Its DSN, and a directory for the files of the bench."""
    with directory() as place, asyncio.Runner() as runner:
        postgres = EmbeddedPostgres(place / "data")
        dsn = runner.run(postgres.start())
        try:
            runner.run(migrate(dsn))
            runner.run(Network(dsn).grow(patterns))
            yield dsn, place
        finally:
            runner.run(postgres.stop())
