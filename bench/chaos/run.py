"""One run: servers, callers and followers over a database of its own, faults, and the proof."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import asyncpg

from bench.calls.processes import free_port
from bench.chaos import proof
from bench.chaos.agreement import disagreements
from bench.chaos.book import Book
from bench.chaos.faults import Kind, faults
from bench.chaos.followers import Follower
from bench.chaos.history import written
from bench.chaos.servers import Server, environment
from bench.chaos.standby import Databases, Standby
from bench.chaos.strikes import Strikes
from bench.chaos.traffic import Traffic
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.schema.migrate import migrate

SETTLED = 120.0
"""Seconds in which all that waits must be worked off, and every follower be at the end."""
PROGRESS = 120.0
"""Seconds in which calls must go on after a fault."""

READER = 1
"""The server that reads from the standby."""

VARIETY: Sequence[Mapping[str, str]] = (
    {},
    # Searches the database where the others look into memory, and has no room for all that is published.
    {"KEEPER_PLACES_MEMORY": "0", "KEEPER_PUBLISHED_MEMORY": "200000"},
    # Lets go of scopes all the time.
    {"KEEPER_PLACES_MEMORY": "400000"},
)
"""Settings of servers that must not make a difference, in turn."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is. It goes on for so many seconds, or so many faults; between two faults callers get on by `calls`."""

    seed: int
    seconds: float = 600.0
    most_faults: int | None = None
    servers: int = 3
    callers: int = 12
    pause: float = 0.02
    calls: int = 20
    longest_away: float = 8.0
    longest_pause: float = 6.0


@dataclass
class Report:
    """What happened, and what must not have."""

    faults: Counter[Kind] = field(default_factory=Counter)
    book: Book = field(default_factory=Book)
    figures: dict[str, object] = field(default_factory=dict)
    troubles: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


async def chaos(options: Options, place: Path) -> Report:
    """Run in an empty directory that PostgreSQL's own user can enter."""
    report = Report()
    async with AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(place / "database")
        stack.push_async_callback(postgres.stop)
        dsn = await postgres.start()
        await migrate(dsn)
        standby = Standby(place / "standby")
        await standby.copy(postgres)
        stack.push_async_callback(standby.stop)
        await standby.start()
        servers = []
        for number in range(options.servers):
            settings = {"KEEPER_STREAM_MAX_AGE": "15", **VARIETY[number % len(VARIETY)]}
            if number == READER:
                settings["KEEPER_REPLICA_DATABASE_URL"] = standby.dsn
            known = environment(dsn, place, settings)
            name = f"server-{number + 1}"
            servers.append(Server(name, free_port(), place / f"{name}.log", known))
            stack.callback(servers[-1].close)
        await asyncio.gather(*(server.start() for server in servers))
        followers = [
            await stack.enter_async_context(Follower(servers, number))
            for number in range(len(servers))
        ]
        await _until(lambda: all(one.snapshots > 0 for one in followers), "snapshots")
        await _Run(options, Databases(postgres, standby), servers, followers, report).go()
        await _prove(postgres.dsn, environment(dsn, place, {}), report)
    return report


class _Run:
    def __init__(
        self,
        options: Options,
        databases: Databases,
        servers: Sequence[Server],
        followers: Sequence[Follower],
        report: Report,
    ) -> None:
        self._options = options
        self._databases = databases
        self._servers = servers
        self._followers = followers
        self._report = report

    async def go(self) -> None:
        options, report = self._options, self._report
        began = time.monotonic()
        traffic = Traffic(self._servers, options.seed, options.callers, options.pause)
        async with traffic, asyncio.TaskGroup() as recoveries:
            await self._further(traffic)
            victims = Random(f"{options.seed} victims")  # noqa: S311 - a seed has to give the same again
            strikes = Strikes(self._databases, self._servers, victims)
            planned = faults(Random(options.seed), options.longest_away, options.longest_pause)  # noqa: S311 - a seed has to give the same again
            for fault in itertools.islice(planned, options.most_faults):
                if time.monotonic() - began > options.seconds:
                    break
                await strikes.strike(fault, recoveries)
                report.faults[fault.kind] += 1
                await self._further(traffic)
                await asyncio.sleep(fault.pause)
            await _until(lambda: all(one.serves for one in self._servers), "all servers serve")
            await traffic.stop()
        book = traffic.book
        report.book = book
        report.violations += book.violations
        report.figures |= {
            "seconds": round(time.monotonic() - began),
            "seed": options.seed,
            "acknowledged calls": book.acknowledged,
            **{f"  {name}": number for name, number in sorted(book.calls.items())},
            "calls that were made again": book.refusals.total(),
            "retries that were compared": book.replays,
            "starts of servers": sum(server.starts for server in self._servers),
        }
        await self._settle()
        # A server that has just loaded everything is compared with those that followed the changes.
        await self._servers[-1].drain()
        await self._servers[-1].start()
        await self._read_from_standby()
        report.violations += await disagreements(self._servers, options.seed)
        await self._compare_histories()
        for server in self._servers:
            await server.drain()
            report.violations += server.defects()
            report.troubles += server.troubles()
        connection = await asyncpg.connect(self._databases.primary.dsn)
        try:
            report.violations += await proof.ledger(connection, book)
        finally:
            await connection.close()

    async def _read_from_standby(self) -> None:
        """Wait until one server does, so that it is compared with those that read from the primary."""
        if not await self._databases.standby.caught_up(self._databases.primary, SETTLED):
            self._report.violations.append(f"the standby has not caught up within {SETTLED:g} s")
        reader = self._servers[READER]
        moves = [0, 0]

        def reads() -> bool:
            told = reader.told()
            moves[:] = told["replica_joined"], told["replica_left"]
            return reader.reads_standby()

        try:
            await _until(reads, "reads from the standby")
        except TimeoutError:
            self._report.violations.append(f"{reader.name} does not read from the standby again")
        self._report.figures["times that reads went to the standby, and back"] = moves

    async def _further(self, traffic: Traffic) -> None:
        """Wait until callers get on."""
        wanted = traffic.book.acknowledged + self._options.calls

        def further() -> bool:
            traffic.check()
            return traffic.book.acknowledged >= wanted

        await _until(further, "calls go on", PROGRESS)

    async def _settle(self) -> None:
        """Wait until nothing waits, and followers have seen the last event."""
        connection = await asyncpg.connect(self._databases.primary.dsn)
        try:
            for what in ("sightings WHERE pending", "stale_patterns"):
                end = time.monotonic() + SETTLED
                while await connection.fetchval(f"SELECT EXISTS (SELECT FROM {what})"):  # noqa: S608 - a constant
                    if time.monotonic() > end:
                        self._report.violations.append(f"not worked off: {what}")
                        break
                    await asyncio.sleep(0.1)
            last = await connection.fetchval(
                "SELECT coalesce(max(sequence), 0) FROM emerging_events"
            )
        finally:
            await connection.close()
        try:
            await _until(
                lambda: all(one.place >= last for one in self._followers), "the last event"
            )
        except TimeoutError:
            self._report.violations.append(
                f"followers are at {[one.place for one in self._followers]} of {last} events"
            )

    async def _compare_histories(self) -> None:
        connection = await asyncpg.connect(self._databases.primary.dsn)
        try:
            rows = await written(connection)
        finally:
            await connection.close()
        for follower in self._followers:
            self._report.violations += follower.differences(rows)
        self._report.figures |= {
            "events": len(rows),
            "followers, streams of each": [one.streams for one in self._followers],
            "events that each has": [len(one.events) for one in self._followers],
        }


async def _prove(dsn: str, known: Mapping[str, str], report: Report) -> None:
    """Nothing runs but the database: what is counted is what the ledgers come to."""
    connection = await asyncpg.connect(dsn)
    try:
        report.violations += await proof.patterns(connection)
        before = await proof.derived(connection)
        said = await proof.rebuild(known)
        if not said.startswith("rebuilt") or "corrected" in said:
            report.violations.append(f"keeper rebuild: {said}")
        report.violations += proof.corrected(before, await proof.derived(connection))
        report.figures |= {
            "patterns": len(before["network_patterns"]),
            "rows compared with their rebuild": sum(map(len, before.values())),
            "keeper rebuild": said.strip(),
        }
    finally:
        await connection.close()


async def _until(look: Callable[[], bool], what: str, within: float = SETTLED) -> None:
    end = time.monotonic() + within
    while not look():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within:g} s: {what}")
        await asyncio.sleep(0.05)
