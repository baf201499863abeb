"""Captures per second through the writers of one process, beside pgbench calling one function with the same writes.

    python -m bench.captures [--patterns 10000] [--seconds 5] [--callers 1 16 64]

What is measured begins where a capture is anonymized and embedded, and ends when its caller has the answer: placing,
counting, the ledger, the measures, the detector's sighting, and the pattern as its account may see it. Of each cell:
captures/s, the ratio to pgbench at as many callers, statements a capture, processor time a capture of this process and
of PostgreSQL, PostgreSQL's a transaction of pgbench, and the median time that a caller waited. Both commit as durably (fsync on, synchronous_commit on). `new` captures begin a
pattern; the others join one. Before each cell the same runs for WARM_UP seconds that do not count: statements are
prepared, and the scopes are loaded into memory.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import numpy as np
from pgvector.asyncpg import register_vector

from bench.calls.network import (
    ACCOUNTS,
    SCOPES,
    Network,
    account,
    action,
    conditions,
    pseudonyms,
    script,
    shares,
)
from bench.calls.processes import family
from bench.capture_floor import Floor
from keeper_grpc.domain.accounts.account_id import canonical_account_id
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight, Outcome
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.storage.advice.outcomes import PostgresOutcomes
from keeper_grpc.storage.database import Database, to_array
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.patterns.groups import PostgresGroups
from keeper_grpc.storage.patterns.places_memory import PlacesMemory
from keeper_grpc.storage.schema.migrate import migrate
from keeper_grpc.usecases.advice.revise_outcome import ReviseOutcome
from keeper_grpc.usecases.patterns.group_entries import CaptureEntry
from keeper_grpc.usecases.patterns.scope_group import WriteGroup
from keeper_grpc.usecases.patterns.scope_writer import ScopeWriter

COUNTING = Counting(PublicationRule(3), timedelta(days=45), step=5)
POOL = 10
PLACES = 512 * 2**20
WARM_UP = 1.5
MOST_A_SECOND = 3_000
SUCCESS = 0.7
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cell:
    """What one run measured."""

    captures: int
    seconds: float
    statements: int
    own_seconds: float
    database_seconds: float
    p50: float


class Counted(asyncpg.Connection):
    """A connection that counts its statements."""

    statements = 0

    async def _execute(self, *args: object, **options: object) -> object:
        Counted.statements += 1
        return await super()._execute(*args, **options)  # type: ignore[misc]  # not in its stubs


class Captures:
    """Makes entries: of a scope drawn by Zipf's law or of the largest, new or of a pattern that is there."""

    def __init__(self, model: LocalEmbedder) -> None:
        self._model = model
        self._rng = np.random.default_rng(7)
        self._numbers = itertools.count(100_000)
        self._known: list[list[tuple[int, Vectors]]] = [[] for _ in SCOPES]

    async def read(self, dsn: str) -> None:
        """Learn where the patterns lie."""
        connection = await asyncpg.connect(dsn)
        await register_vector(connection)
        for place, (kind, category) in enumerate(SCOPES):
            rows = await connection.fetch(
                """
                SELECT p.action_template, p.pattern_embedding, a.action_embedding
                  FROM network_patterns p JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
                 WHERE p.pattern_type = $1 AND p.business_category = $2 LIMIT 400
                """,
                kind,
                category,
            )
            numbers = {action(number): number for number in range(4096)}
            self._known[place] = [
                (
                    numbers[row["action_template"]],
                    Vectors(to_array(row["pattern_embedding"]), to_array(row["action_embedding"])),
                )
                for row in rows
            ]
        await connection.close()

    def entry(self, *, one_scope: bool, new: float) -> tuple[Scope, CaptureEntry]:
        """The next capture."""
        place = 0 if one_scope else int(self._rng.choice(len(SCOPES), p=shares()))
        kind, category = SCOPES[place]
        known = self._known[place]
        number, vectors = known[int(self._rng.integers(len(known)))]
        if self._rng.random() < new:
            number = next(self._numbers)
            vectors = Vectors(self._far(), self._far())
        now = datetime.now(UTC)
        who = account(category, int(self._rng.integers(ACCOUNTS)))
        return Scope(kind, category, self._model.model), CaptureEntry(
            account_key=pseudonyms().key_of(canonical_account_id(who)),
            request_id=uuid4(),
            fingerprints=(bytes(32),),
            insight=AnonymizedInsight(
                kind, category, conditions(number), action(number), script(number), 0.6, 0.0, 100.0
            ),
            report=AnonymizationReport(),
            unknown_words=(),
            context=None,
            outcome=Outcome(success=bool(self._rng.random() < SUCCESS), revenue_impact=80.0),
            vectors=vectors,
            thresholds=self._model.thresholds,
            occurred_time=now,
            seen_time=now,
            recorded_time=now,
            instead_of=None,
        )

    def _far(self) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        made = np.zeros(1536, np.float32)
        made[:512] = self._rng.standard_normal(512)
        return made / np.float32(np.linalg.norm(made))


def postgres_seconds(root: int) -> float:
    """Processor time of PostgreSQL's processes, those that ended too."""
    total = 0.0
    for pid in family((root,)):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15] if pid == root else fields[11:13])) / TICKS
    return total


async def measured(
    writer: ScopeWriter,
    waiting: Iterator[tuple[Scope, CaptureEntry]],
    callers: int,
    seconds: float,
    root: int,
) -> Cell:
    """Captures by so many callers, each of which waits for its answer."""
    end = time.perf_counter() + seconds
    waited: list[float] = []

    async def caller() -> None:
        while time.perf_counter() < end:
            try:
                scope, entry = next(waiting)
            except StopIteration:
                return
            began = time.perf_counter()
            await writer.capture(scope, entry)
            waited.append(time.perf_counter() - began)

    Counted.statements = 0
    own, database, start = time.process_time(), postgres_seconds(root), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    took = time.perf_counter() - start
    return Cell(
        len(waited),
        took,
        Counted.statements,
        time.process_time() - own,
        postgres_seconds(root) - database,
        statistics.median(waited),
    )


async def run(arguments: argparse.Namespace) -> None:
    """Fill a database, measure each cell, and print the table."""
    with tempfile.TemporaryDirectory(prefix="keeper-bench-", dir="/tmp") as name:
        os.chmod(name, 0o755)  # noqa: PTH101, S103 - before anything runs; the server is another user
        server = EmbeddedPostgres(Path(name))
        dsn = await server.start()
        try:
            await migrate(dsn)
            await Network(dsn).grow(arguments.patterns)
            await table(dsn, arguments, postmaster(Path(name)))
        finally:
            await server.stop()


def postmaster(directory: Path) -> int:
    """The process id of the bundled server."""
    (file,) = directory.rglob("postmaster.pid")
    return int(file.read_text().split()[0])


async def table(dsn: str, arguments: argparse.Namespace, root: int) -> None:
    """The rows of the table, as they are measured."""
    model = LocalEmbedder()
    captures = Captures(model)
    await captures.read(dsn)
    floor = Floor(dsn)
    await floor.prepare()
    asyncpg.Connection = Counted  # type: ignore[misc,assignment]  # what its pools are made of
    database = await Database.open(dsn, pool_size=POOL, acquire_timeout=60, statement_timeout=60)
    places = PlacesMemory(database, limit=PLACES)
    database.on_change(places.committed)
    group = WriteGroup(
        store=PostgresGroups(database, COUNTING, places), rule=COUNTING.rule, new_id=uuid4
    )
    revise = ReviseOutcome(PostgresOutcomes(database, COUNTING), COUNTING.rule)
    print(
        f"{arguments.patterns} patterns; captures/s beside pgbench's transactions/s, "
        f"{arguments.seconds:g} s a cell"
    )
    print(
        f"{'scopes':>6} {'new':>4} {'callers':>7} {'captures/s':>10} {'pgbench':>8} {'ratio':>6} "
        f"{'stmts':>6} {'own ms':>7} {'db ms':>6} {'pgbench db ms':>13} {'p50 ms':>7}"
    )
    for one_scope, new in itertools.product((True, False), (0.0, 0.2)):
        for callers in arguments.callers:
            writer = ScopeWriter(group, revise)
            entries = [
                captures.entry(one_scope=one_scope, new=new)
                for _ in range(int((WARM_UP + arguments.seconds) * MOST_A_SECOND))
            ]
            waiting = iter(entries)
            await measured(writer, waiting, callers, WARM_UP, root)
            await places.until_loaded()
            cell = await measured(writer, waiting, callers, arguments.seconds, root)
            await writer.close()
            floor.rate(callers, WARM_UP, one_scope=one_scope, new=new)
            before = postgres_seconds(root)
            bare = floor.rate(callers, arguments.seconds, one_scope=one_scope, new=new)
            bare_seconds = (postgres_seconds(root) - before) / (bare * arguments.seconds)
            rate = cell.captures / cell.seconds
            print(
                f"{1 if one_scope else len(SCOPES):>6} {new:>4.0%} {callers:>7} {rate:>10.0f} "
                f"{bare:>8.0f} {rate / bare:>6.2f} {cell.statements / cell.captures:>6.2f} "
                f"{cell.own_seconds * 1000 / cell.captures:>7.2f} "
                f"{cell.database_seconds * 1000 / cell.captures:>6.2f} "
                f"{bare_seconds * 1000:>13.2f} {cell.p50 * 1000:>7.1f}",
                flush=True,
            )
    await places.aclose()
    await database.close()


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patterns", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 16, 64])
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
