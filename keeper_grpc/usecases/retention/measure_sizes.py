"""How large the tables are, looked up now and then for the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NoReturn, Protocol

from keeper_grpc.usecases.periodically import periodically


class SizeStore(Protocol):
    """Where the tables are."""

    async def archives(self) -> tuple[int, int]:
        """Observations that are in archives, and the bytes of the files."""

    async def sizes(self) -> Mapping[str, int]:
        """Bytes by table, with indexes and what is stored out of line."""


class MeasureSizes:
    """The use case. `run` it as a task; `bytes_by_table` and the archives' figures are what was found last, empty before that."""

    def __init__(self, store: SizeStore, *, interval: timedelta) -> None:
        self._store = store
        self._interval = interval
        self.bytes_by_table: Mapping[str, int] = {}
        self.archived_observations = 0
        self.archived_bytes = 0

    async def __call__(self) -> None:
        """Look once. Raises StorageUnavailable."""
        self.bytes_by_table = await self._store.sizes()
        self.archived_observations, self.archived_bytes = await self._store.archives()

    async def run(self) -> NoReturn:
        """Look for ever."""
        await periodically(self, self._interval, "sizes_not_measured")
