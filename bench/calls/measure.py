"""Measures each call of a running service beside the bare one, in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import asyncpg
import grpc
from google.protobuf.message import Message

from bench.calls.floor import types_of
from bench.calls.ghz import Ghz, Load
from bench.calls.processes import Processes
from bench.calls.requests import Requests
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

if TYPE_CHECKING:  # a type of the stub file only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

MANY = 4_000
"""Requests that are made for a run of some seconds: more than are sent, where none may be sent twice."""
FEW = 1_200
"""The same of new words."""
WARM = 6_000
"""Questions before the first measurement, beside one about each text: most accounts have asked about most of what they ask
about before."""
WARM_CAPTURES = 400
GIVEN = 150
"""Enhancements that are asked for before each run of the calls that use them up."""
ASKERS = 16
LONGEST = 300.0
"""Seconds to wait for the detector."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call: its method, how it is called in the table, and what is sent.

    `once`: each message may be sent once only, so that a run has as many calls as messages.
    """

    method: str
    name: str
    messages: Callable[[], Sequence[Message]]
    once: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of call with so many callers, measured once: the service's and the floor's figures."""

    patterns: int
    name: str
    callers: int
    load: Load
    floor: Load
    cpu_ms: float
    floor_cpu_ms: float
    database_cpu_ms: float

    @property
    def ratio(self) -> float:
        """Calls a second beside those of the bare service."""
        return self.load.per_second / self.floor.per_second


class Measured:
    """A service that runs, what is asked of it, and the bare one beside it."""

    def __init__(  # noqa: PLR0917 - one of each
        self,
        patterns: int,
        service: Processes,
        database: Processes,
        ghz: Ghz,
        requests: Requests,
        dsn: str,
    ) -> None:
        self.patterns = patterns
        self._dsn = dsn
        self._service = service
        self._database = database
        self._ghz = ghz
        self._requests = requests
        self._ids = asyncio.run(self._published())

    def kinds(self) -> list[Kind]:
        """Every kind of call."""
        made = self._requests
        return [
            Kind("EnhanceInsight", "EnhanceInsight", lambda: made.questions(MANY)),
            Kind("EnhanceInsight", "EnhanceInsight, new", lambda: made.questions(FEW, new=True)),
            Kind("CapturePattern", "CapturePattern", lambda: made.captures(MANY)),
            Kind("CapturePattern", "CapturePattern, new", lambda: made.captures(FEW, new=True)),
            Kind("ReportReaction", "ReportReaction", lambda: made.reactions(self.given()), True),
            Kind("ReportOutcome", "ReportOutcome", lambda: made.outcomes(self.given()), True),
            Kind("GenerateTask", "GenerateTask", lambda: made.tasks(self.given())),
            Kind("SuggestMoves", "SuggestMoves", lambda: made.moves(MANY)),
            Kind("GetPattern", "GetPattern", lambda: made.patterns(self._ids)),
            Kind("ListPatterns", "ListPatterns", made.listings),
            Kind("GetNetworkMetrics", "GetNetworkMetrics", made.metrics),
        ]

    def warm(self) -> None:
        """Send what engines have sent before. No text but those of the kinds called new is embedded from here on."""
        self._ghz.run(self._service.port, "EnhanceInsight", self._requests.every_text(), ASKERS)
        self._ghz.run(self._service.port, "EnhanceInsight", self._requests.questions(WARM), ASKERS)
        self._ghz.run(
            self._service.port, "CapturePattern", self._requests.captures(WARM_CAPTURES), ASKERS
        )
        asyncio.run(self._caught_up())

    def answers(self) -> dict[str, bytes]:
        """A reply of each method: the longest of some, which has the advice."""
        return asyncio.run(self._answers())

    def given(self) -> list[tuple[str, str]]:
        """Enhancements with advice, by account and id."""
        return asyncio.run(self._given())

    def cell(
        self, kind: Kind, callers: int, floor: Processes, seconds: float, floor_seconds: float
    ) -> Cell:
        """Measure the floor, then the service, for so many seconds each."""
        messages = kind.messages()
        bare = self._ran(floor, kind, messages, callers, floor_seconds)
        before = self._database.seconds()
        served = self._ran(self._service, kind, messages, callers, seconds, once=kind.once)
        database = self._database.seconds() - before
        if served[0].failed or bare[0].failed:
            raise SystemExit(
                f"{kind.name} with {callers} callers: {served[0].failed} of the service's calls failed, "
                f"{bare[0].failed} of the floor's"
            )
        return Cell(
            patterns=self.patterns,
            name=kind.name,
            callers=callers,
            load=served[0],
            floor=bare[0],
            cpu_ms=served[1],
            floor_cpu_ms=bare[1],
            database_cpu_ms=1e3 * database / max(served[0].calls, 1),
        )

    def _ran(
        self,
        at: Processes,
        kind: Kind,
        messages: Sequence[Message],
        callers: int,
        seconds: float,
        *,
        once: bool = False,
    ) -> tuple[Load, float]:
        """One run, and the milliseconds of processor time of a call."""
        before = at.seconds()
        load = self._ghz.run(
            at.port, kind.method, messages, callers, seconds=None if once else seconds
        )
        return load, 1e3 * (at.seconds() - before) / max(load.calls, 1)

    async def _caught_up(self) -> None:
        """Wait until the detector has looked at what all these questions showed: nobody asks so many new ones at once."""
        connection = await asyncpg.connect(self._dsn)
        try:
            async with asyncio.timeout(LONGEST):
                while await connection.fetchval(  # noqa: ASYNC110 - of another process
                    "SELECT EXISTS (SELECT FROM sightings WHERE pending)"
                ):
                    await asyncio.sleep(0.2)
        finally:
            await connection.close()

    async def _published(self) -> list[str]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._service.port}") as channel:
            stub: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(channel)
            page = await stub.ListPatterns(network.ListPatternsRequest(page_size=100))
        if not page.patterns:
            raise SystemExit("no pattern is published: the network was not filled")
        return [one.pattern_id for one in page.patterns]

    async def _given(self) -> list[tuple[str, str]]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._service.port}") as channel:
            stub: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(channel)
            waiting = iter(self._requests.questions(2 * GIVEN))
            found: list[tuple[str, str]] = []

            async def asker() -> None:
                for question in waiting:
                    answer = await stub.EnhanceInsight(question)
                    if answer.enhanced_insight.network_enhanced and len(found) < GIVEN:
                        found.append((question.account_id, answer.enhancement_id))
                    if len(found) == GIVEN:
                        return

            await asyncio.gather(*(asker() for _ in range(ASKERS)))
        if not found:
            raise SystemExit("no question was answered with advice: the network was not filled")
        return found

    async def _answers(self) -> dict[str, bytes]:
        given = await self._given()
        made = self._requests
        sent: list[tuple[str, Sequence[Message]]] = [
            ("EnhanceInsight", made.questions(20)),
            ("CapturePattern", made.captures(20)),
            ("ReportReaction", made.reactions(given[:1])),
            ("ReportOutcome", made.outcomes(given[:1])),
            ("GenerateTask", made.tasks(given[:5])),
            ("SuggestMoves", made.moves(20)),
            ("GetPattern", made.patterns(self._ids[:20])),
            ("ListPatterns", made.listings()[:5]),
            ("GetNetworkMetrics", made.metrics()),
        ]
        answers = {}
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._service.port}") as channel:
            for method, messages in sent:
                asked, answered = types_of(method)
                call = channel.unary_unary(
                    f"/keeper.network.v1.NetworkLearningService/{method}",
                    request_serializer=asked.SerializeToString,
                    response_deserializer=answered.FromString,
                )
                replies = [(await call(each)).SerializeToString() for each in messages]
                answers[method] = max(replies, key=len)
        return answers


@dataclass(frozen=True, slots=True)
class Row:
    """The repeated measurements of a cell: medians, and how far their ratios lie apart."""

    patterns: int
    name: str
    callers: int
    per_second: float
    floor_per_second: float
    ratio: float
    spread: float
    p50: float
    p99: float
    cpu_ms: float
    floor_cpu_ms: float
    database_cpu_ms: float
    generator_cpu_ms: float
    floor_p99: float = float("nan")
    """Not a number in results that were kept before it was measured."""


def rows(cells: Sequence[Cell]) -> Iterator[Row]:
    """One row for each cell, in the order of the first round."""
    grouped: dict[tuple[int, str, int], list[Cell]] = {}
    for cell in cells:
        grouped.setdefault((cell.patterns, cell.name, cell.callers), []).append(cell)
    for (patterns, name, callers), same in grouped.items():
        ratios = [cell.ratio for cell in same]
        middle = median(ratios)
        yield Row(
            patterns=patterns,
            name=name,
            callers=callers,
            per_second=median(cell.load.per_second for cell in same),
            floor_per_second=median(cell.floor.per_second for cell in same),
            ratio=middle,
            spread=(max(ratios) - min(ratios)) / middle,
            p50=median(cell.load.p50 for cell in same),
            p99=median(cell.load.p99 for cell in same),
            cpu_ms=median(cell.cpu_ms for cell in same),
            floor_cpu_ms=median(cell.floor_cpu_ms for cell in same),
            database_cpu_ms=median(cell.database_cpu_ms for cell in same),
            generator_cpu_ms=median(
                1e3 * cell.load.generator_seconds / max(cell.load.calls, 1) for cell in same
            ),
            floor_p99=median(cell.floor.p99 for cell in same),
        )
