"""What reports are made from, without a database: the test says what changes and what fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.domain.metrics.inputs import AccountCounts, Gathered, PatternCounts

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
FOUND = Gathered(accounts=AccountCounts(active=9), since=NOW.date() - timedelta(days=20))


def open_gate() -> asyncio.Event:
    """An event that is set, so that no call waits until the test clears it."""
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass
class Store:
    """Counts how often it was asked. `restless` makes a version of each look."""

    changes: int = 0
    restless: bool = False
    away: bool = False
    broken: bool = False
    looks: int = 0
    gathered: list[str] = field(default_factory=list)
    at_work: int = 0
    most_at_work: int = 0
    looking: asyncio.Event = field(default_factory=open_gate)
    gathering: asyncio.Event = field(default_factory=open_gate)

    async def version(self) -> str:
        """Another one after each change."""
        self.looks += 1
        await self.looking.wait()
        if self.away:
            raise StorageUnavailable("the database is away")
        return f"{self.changes}:{self.looks if self.restless else 0}"

    async def gather(self, business_category: str, start: datetime, k: int) -> Gathered:
        """As many published patterns as there were changes."""
        self.gathered.append(business_category)
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await self.gathering.wait()
            await asyncio.sleep(0)
        finally:
            self.at_work -= 1
        if self.broken:
            raise ZeroDivisionError
        return replace(FOUND, patterns=PatternCounts(published=self.changes))


class Clock:
    """A second later at each look."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now
