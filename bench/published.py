"""What a search for candidates costs from memory and in the database, and what memory costs.

    python -m bench.published                          1,000 and 10,000 patterns over 24 scopes
    python -m bench.published --patterns 10000 100000  other sizes; beyond 10,000 patterns are copied, vectors moved

For each size: the CPU milliseconds of this process for candidates and ranking of one question, from memory and through
the database (whose own CPU is beside it), the share of questions whose best pattern is that of the exact search, the
time to load a pattern, and the bytes that it takes. Questions are known texts of accounts that contributed to many of
the patterns, and of newcomers, in scopes drawn as patterns are.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeAlias
from uuid import UUID

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import asyncpg
import numpy as np
from numpy.typing import NDArray

from bench.calls.network import (
    ACCOUNTS,
    SCOPES,
    WORDINGS,
    Network,
    account,
    insight,
    pseudonyms,
    shares,
)
from bench.calls.processes import directory
from keeper_grpc.domain.accounts.account_id import canonical_account_id
from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.ranking import Candidate, Requirements, rank
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.embedding.local import THRESHOLDS, LocalEmbedder
from keeper_grpc.settings import Settings
from keeper_grpc.storage.advice.candidates import PostgresCandidates
from keeper_grpc.storage.advice.published.following import FollowPublished
from keeper_grpc.storage.advice.published.memory import PublishedMemory
from keeper_grpc.storage.advice.published.reads import PublishedCandidates
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.schema.migrate import migrate
from keeper_grpc.usecases.advice.enhance import CANDIDATES

COUNTED = 10_000
"""Patterns that are counted from a ledger. More are copies of them, whose vectors are moved."""

_COPY = """
    CREATE TEMP TABLE moves AS
    SELECT i, (SELECT array_agg((random() - 0.5) * 0.05 * (n <= 512)::int)::real[]::vector
                 FROM generate_series(1, 1536) n WHERE i >= 0) AS by
      FROM generate_series(0, 999) i;
    CREATE TEMP TABLE copies AS
    SELECT scope_id, id AS old, gen_random_uuid() AS new, (random() * 999)::int AS i
      FROM network_patterns, generate_series(1, $times);
    INSERT INTO network_patterns ({columns}, id, pattern_embedding)
    SELECT {p_columns}, c.new, l2_normalize(p.pattern_embedding + m.by)
      FROM copies c JOIN network_patterns p ON p.scope_id = c.scope_id AND p.id = c.old
      JOIN moves m ON m.i = c.i;
    DROP TABLE moves;
"""

K = 3
RETRIEVAL = THRESHOLDS.retrieval
Vectors: TypeAlias = Sequence[NDArray[np.float32]]
"""Of each scope's known texts."""

_CHILDREN = ("pattern_accounts", "pattern_facets", "pattern_wordings")


async def columns(connection: asyncpg.Connection[asyncpg.Record], table: str) -> list[str]:
    """The columns of a table that are not computed."""
    rows = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
        " AND NOT attisdropped AND attgenerated = ''",
        table,
    )
    return [row["attname"] for row in rows]


async def multiply(dsn: str, times: int) -> None:
    """Copy every pattern so many times, with all that is known of it, to other places."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET session_replication_role = replica")
        own = [
            name
            for name in await columns(connection, "network_patterns")
            if name not in {"id", "pattern_embedding"}
        ]
        await connection.execute(
            _COPY.format(
                columns=", ".join(own), p_columns=", ".join(f"p.{name}" for name in own)
            ).replace("$times", str(times))
        )
        for table in _CHILDREN:
            rest = [name for name in await columns(connection, table) if name != "pattern_id"]
            await connection.execute(
                f"INSERT INTO {table} (pattern_id, {', '.join(rest)}) "  # noqa: S608 - names of ours
                f"SELECT c.new, {', '.join(f's.{name}' for name in rest)} FROM copies c "
                f"JOIN {table} s ON s.scope_id = c.scope_id AND s.pattern_id = c.old"
            )
        await connection.execute(
            """
            CREATE TEMP TABLE scripts AS
            SELECT w.scope_id, w.id AS old, gen_random_uuid() AS new, c.new AS pattern_id,
                   w.template, w.template_hash, w.authored
              FROM copies c JOIN pattern_scripts w ON w.scope_id = c.scope_id AND w.pattern_id = c.old;
            INSERT INTO pattern_scripts (id, scope_id, pattern_id, template, template_hash, authored)
            SELECT new, scope_id, pattern_id, template, template_hash, authored FROM scripts;
            """
        )
        rest = [
            name for name in await columns(connection, "script_accounts") if name != "script_id"
        ]
        await connection.execute(
            f"INSERT INTO script_accounts (script_id, {', '.join(rest)}) "  # noqa: S608 - names of ours
            f"SELECT c.new, {', '.join(f's.{name}' for name in rest)} FROM scripts c "
            "JOIN script_accounts s ON s.scope_id = c.scope_id AND s.script_id = c.old"
        )
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def questions(
    model: LocalEmbedder, vectors: Vectors, wanted: int, *, newcomer: bool
) -> list[Asked]:
    """Known texts, in scopes as patterns are in them."""
    rng = np.random.default_rng(7)
    asked = []
    for each in rng.choice(len(SCOPES), size=wanted, p=shares()):
        kind, category = SCOPES[int(each)]
        number = int(rng.integers(WORDINGS))
        key = (
            f"newcomer-{number}"
            if newcomer
            else pseudonyms().key_of(
                canonical_account_id(account(category, int(rng.integers(ACCOUNTS))))
            )
        )
        asked.append(
            Asked(
                Scope(kind, category, model.model),
                vectors[int(each)][number],
                key,
                key,
                insight(kind, category, number).conditions,
            )
        )
    return asked


def server_cpu(place: Path) -> float:
    """Seconds of CPU that this PostgreSQL's processes have taken."""
    (lock,) = place.rglob("postmaster.pid")
    pid = int(lock.read_text().split()[0])
    ticks = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Search(Protocol):
    """Memory, or the database."""

    async def candidates(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]: ...


async def best(search: Search, asked: Sequence[Asked]) -> tuple[list[UUID | None], float]:
    """The best pattern for each question, and the milliseconds of this process's CPU that finding one took."""
    requirements = Requirements(RETRIEVAL, PublicationRule(K))
    start = time.process_time()
    found = [
        rank(await search.candidates(one, requirements, CANDIDATES), requirements).best
        for one in asked
    ]
    taken = (time.process_time() - start) / len(asked) * 1e3
    return [None if each is None else each.candidate.pattern.pattern_id for each in found], taken


async def measure(
    size: int, place: Path, model: LocalEmbedder, vectors: Vectors, *, dsn: str, wanted: int
) -> None:
    """Load the network, ask both, and print what that takes."""
    half_life = Settings.model_fields["evidence_half_life"].default
    now = datetime.now(UTC)
    database = await Database.open(dsn, pool_size=8, acquire_timeout=600, statement_timeout=600)
    memory = PublishedMemory(database, k=K, limit=2**33)
    indexes = PostgresAnnIndexes(database)
    stored = PostgresCandidates(database, indexes, half_life=half_life, clock=lambda: now)
    published = PublishedCandidates(
        memory, stored, database, indexes, half_life=half_life, clock=lambda: now
    )
    following = asyncio.create_task(FollowPublished(database, memory).run())
    cpu, began, slowest, waiting = time.process_time(), time.perf_counter(), 0.0, True
    while waiting:
        held = [await memory.fresh(Scope(kind, category, model.model)) for kind, category in SCOPES]
        waiting = None in held
        since = time.perf_counter()
        await asyncio.sleep(0.01)
        slowest = max(slowest, time.perf_counter() - since - 0.01)
    print(
        f"{size:,} patterns: loaded in {time.perf_counter() - began:.1f} s, "
        f"{(time.process_time() - cpu) / memory.patterns * 1e3:.2f} ms of CPU each here, longest pause "
        f"{slowest * 1e3:.0f} ms; {memory.nbytes / memory.patterns:,.0f} bytes a pattern; "
        f"largest scope {max(len(each) for each in held if each is not None):,}"
    )
    for newcomer in (True, False):
        asked = questions(model, vectors, wanted, newcomer=newcomer)
        first, cold = await best(published, asked)
        _, warm = await best(published, asked)
        served = server_cpu(place)
        other, theirs = await best(stored, asked)
        served = (server_cpu(place) - served) / len(asked) * 1e3
        same = np.mean([one == two for one, two in zip(first, other, strict=True)])
        print(
            f"{size:>9,}  {'newcomer' if newcomer else 'contributor':<12} memory {warm:6.3f} ms "
            f"(first {cold:6.3f})  database {theirs:6.2f} + {served:6.2f} ms  same best {same:.1%}"
        )
    following.cancel()
    await asyncio.wait([following])
    await memory.aclose()
    await database.close()


async def main(sizes: Sequence[int], wanted: int) -> None:
    """Measure every size on one database."""
    model = LocalEmbedder()
    vectors = [
        await model.embed([insight(kind, category, n).render() for n in range(WORDINGS)])
        for kind, category in SCOPES
    ]
    with directory() as place:
        async with EmbeddedPostgres(place / "data") as postgres:
            await migrate(postgres.dsn)
            network, there = Network(postgres.dsn), 0
            for size in sizes:
                if size <= COUNTED:
                    await network.grow(size)
                else:
                    await multiply(postgres.dsn, size // there - 1)
                there = size
                await measure(size, place, model, vectors, dsn=postgres.dsn, wanted=wanted)
    await model.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--patterns", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--questions", type=int, default=200)
    arguments = parser.parse_args()
    asyncio.run(main(sorted(arguments.patterns), arguments.questions))
