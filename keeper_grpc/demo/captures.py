"""Plays captures over the channel and counts the responses."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from keeper_grpc.demo.history import Row
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternResponse,
    ListPatternsRequest,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

if TYPE_CHECKING:  # exists in the stub file only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

_AT_ONCE = 16
"""Captures in flight: enough to keep the server busy, as many callers would."""

_DEADLINE = 60.0
"""Seconds for one call."""

_PAGE = 500
"""Patterns a page: the API's maximum."""

Scope = tuple[str, str]
"""(business category, insight type)."""


@dataclass(slots=True)
class Played:
    """Counts of captures by disposition."""

    seconds: float = 0.0
    captures: Counter[Scope] = field(default_factory=Counter)
    accounts: dict[Scope, set[str]] = field(default_factory=lambda: defaultdict(set))
    dispositions: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)
    replayed: int = 0

    @property
    def total(self) -> int:
        """Captures answered."""
        return self.captures.total()

    def add(self, scope: Scope, account_id: str, answer: CapturePatternResponse) -> None:
        """Count one answer."""
        self.captures[scope] += 1
        self.accounts[scope].add(account_id)
        name = CapturePatternResponse.Disposition.Name(answer.disposition)
        self.dispositions[name.removeprefix("DISPOSITION_").lower()] += 1
        self.masked.update(answer.anonymization.masked)
        self.replayed += answer.replayed


async def play(
    network: NetworkLearningServiceAsyncStub,
    rows: Sequence[Row],
    now: datetime,
    progress: Callable[[], None],
) -> Played:
    """Capture every row, several at once; `progress` is called after each. Raises AioRpcError."""
    played = Played()
    waiting = iter(rows)

    async def caller() -> None:
        for row in waiting:
            request = row.request(now)
            answer = await network.CapturePattern(request, timeout=_DEADLINE)
            played.add(row.scope, request.account_id, answer)
            progress()

    began = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))
    played.seconds = time.monotonic() - began
    return played


async def published(network: NetworkLearningServiceAsyncStub) -> Mapping[str, Pattern]:
    """Every published pattern with evidence, by id; untested catalog entries are left out."""
    found: dict[str, Pattern] = {}
    token = ""
    while True:
        page = await network.ListPatterns(
            ListPatternsRequest(page_size=_PAGE, page_token=token), timeout=_DEADLINE
        )
        found |= {p.pattern_id: p for p in page.patterns if p.evidence.occurrence_count}
        token = page.next_page_token
        if not token:
            return found
