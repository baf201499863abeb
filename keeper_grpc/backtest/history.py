"""A history as captures, with the same mapping and the same rules as `keeper import`."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternRequest
from keeper_grpc.importing.build import build, skipped
from keeper_grpc.importing.failure import ImportFailed, RowRejected
from keeper_grpc.importing.files.kind import Format
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.identity import RequestIds
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.mapping.values import Row
from keeper_grpc.importing.survey.whole_file import survey

_BREATH = 256
"""Rows after which control returns to the event loop, so that signals arrive."""


class History:
    """A file with its mapping, read anew for each pass: memory does not grow with it."""

    def __init__(self, mapping: Mapping, source: Source) -> None:
        self._mapping = mapping
        self._source = source
        self.left_out = 0
        """Rows of the newest pass that cannot be captured, or have no time."""

    @classmethod
    async def opened(cls, file: Path, mapping_file: Path, file_format: Format | None) -> History:
        """Check a file and its mapping. Raises ImportFailed, also for a mapping without a time."""
        mapping = Mapping.load(mapping_file)
        if mapping.occurred_time is None:
            raise ImportFailed(
                f"{mapping_file}: a backtest goes by time: map occurred_time to the column with the day"
            )
        source = Source(file, file_format, mapping)
        source.check()
        return cls((await survey(mapping, source)).mapping, source)

    async def captures(self) -> AsyncGenerator[tuple[datetime, CapturePatternRequest]]:
        """Every row that can be captured, with its time, in the order of the file."""
        self.left_out = 0
        with RequestIds(self._mapping) as ids:
            for row in self._source.rows():
                if row.number % _BREATH == 0:
                    await asyncio.sleep(0)
                if row.unreadable is None and skipped(self._mapping, row.cells):
                    continue
                request = None if row.unreadable else self._capture(row.cells, ids)
                if request is None:
                    self.left_out += 1
                else:
                    yield request.occurred_time.ToDatetime(tzinfo=UTC), request

    def _capture(self, cells: Row, ids: RequestIds) -> CapturePatternRequest | None:
        """None for a row that cannot be captured, or has no time."""
        try:
            request = build(self._mapping, cells, ids.of(cells))
        except RowRejected:
            return None
        return request if request.HasField("occurred_time") else None

    async def split_at(self, share: float) -> datetime:
        """The time up to which about this share of the rows lies. Raises ImportFailed where nothing is on one side."""
        times = array("d")
        async for moment, _ in self.captures():
            times.append(moment.timestamp())
        ordered = sorted(times)
        if not ordered or ordered[0] == ordered[-1]:
            raise ImportFailed(
                "a backtest needs rows of at least two times: the earlier ones are learned from, the later asked about"
            )
        place = min(max(int(share * len(ordered)), 1), len(ordered) - 1)
        split = ordered[place - 1]
        if split == ordered[-1]:
            split = max(moment for moment in ordered if moment < split)
        return datetime.fromtimestamp(split, UTC)
