"""What a month of captures takes in the ledger and in an archive, and how fast it moves: on a real PostgreSQL.

    python -m bench.archive [--months 12] [--captures 20000] [--accounts 200] [--advised 0.8]

Captures are written as rows, without their evidence: 40 patterns in four scopes, 600 situations, three scripts. The `advised` share of them are
outcomes of advice instead, each with its question, half of them with a reaction. Then all months but the last are archived by what `keeper archive` runs, and read back as a rebuild does.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from keeper_grpc import logs
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.operations.archive.reading import archived
from keeper_grpc.operations.archive.run import Archiving
from keeper_grpc.operations.archive.shelf import Shelf
from keeper_grpc.storage.archives.files import PostgresArchiveFiles
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.patterns.versions import open_scope
from keeper_grpc.storage.schema.migrate import migrate

TYPES = ("churn_prevention", "review_response", "modifier_opportunity", "upsell")
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
LEDGER = ("observations", "enhancements", "enhancement_outcomes", "reactions")
STAYS = (
    *("archived_parts", "archived_wordings", "archived_days", "archive_subjects"),
    *("archived_experiment", "archived_transfers", "archived_choices"),
    *("archived_reactions", "archived_steps"),
    *("rolled_questions", "rolled_advice", "rolled_accounts", "rolled_arms"),
)
SHOWN = 100_000
"""Bytes from which a table is named."""

_PATTERNS = """
    INSERT INTO network_patterns (id, scope_id, pattern_type, business_category, embedding_model, pattern_embedding,
                                  context, action_template, first_discovered)
    SELECT gen_random_uuid(), $1, $2, 'spa', 'bench', array_fill(0.1::real, ARRAY[1536])::vector, '{}', 'act', $3
      FROM generate_series(1, 10)
"""

_CAPTURES = """
    WITH patterns AS (
        SELECT scope_id, id, pattern_type, row_number() OVER (ORDER BY id) - 1 AS n FROM network_patterns
    )
    INSERT INTO observations (
        id, scope_id, account_key, disposition, pattern_id, similarity, pattern_type, business_category,
        embedding_model, context, action, script, confidence, dollar_value, potential_value, anonymization, success,
        revenue_impact, customer_retained, compared, measured_day, occurred_time, recorded_time)
    SELECT gen_random_uuid(), p.scope_id, 'test:' || lpad((i * 7919 % $4)::text, 60, '0'), 'merged', p.id,
           0.8 + random() / 5, p.pattern_type, 'spa', 'use-512-v1:rendering-2',
           jsonb_build_object('churn_risk', (ARRAY['low', 'medium', 'high'])[1 + i % 3], 'days_since_visit', i % 100,
                              'weekend', i % 2 = 0),
           'Call the guest and offer the ' || (ARRAY['morning', 'evening'])[1 + p.n % 2] || ' package ' || p.n,
           (ARRAY['', 'Hi {name}, we have missed you. Shall we book your usual hour this week?',
                  'Welcome back, {name}. Your favourite room is free on {day}.'])[1 + i % 3],
           0.5 + random() / 2, 100, 100, '{"masked": {}, "dropped": []}', random() < 0.7,
           round((random() * 300)::numeric, 2), random() < 0.5, NULL, at::date, at, at
      FROM (SELECT i, $1::timestamptz + i * ($2::interval / $3::integer) AS at FROM generate_series(1, $3) i) captured
      JOIN patterns p ON p.n = (i * 104729 / 7) % 40
"""

_ADVISED = (
    """
    UPDATE observations SET disposition = 'reported', action = '', enhancement_id = gen_random_uuid(), compared = true
     WHERE random() < $1
    """,
    """
    INSERT INTO enhancements (
        id, scope_id, account_key, pattern_type, business_category, embedding_model, context, action, base_confidence,
        pattern_id, advised_scope_id, advised_category, similarity, confidence, expected_success_rate, basis,
        expected_deviation, transfer, script, holdout_share, measured, kept, created_at)
    SELECT enhancement_id, scope_id, account_key, pattern_type, business_category, embedding_model, context,
           'Call the guest and offer the morning package', 0.5, pattern_id, scope_id, 'spa', similarity, 0.7, 0.7,
           'pattern', 0.1, 1, script, 0.1, true, true, occurred_time - interval '1 day'
      FROM observations WHERE enhancement_id IS NOT NULL
    """,
    """
    INSERT INTO enhancement_outcomes
    SELECT scope_id, enhancement_id, id FROM observations WHERE enhancement_id IS NOT NULL
    """,
    """
    INSERT INTO reactions (scope_id, account_key, enhancement_id, reaction, recorded_time, pattern_id, counted_time)
    SELECT scope_id, account_key, id, 'accepted', created_at, pattern_id, created_at FROM enhancements WHERE random() < 0.5
    """,
    """
    UPDATE enhancements e SET reaction = 'accepted', adopted = 'accepted', adopted_time = r.counted_time
      FROM reactions r WHERE r.scope_id = e.scope_id AND r.enhancement_id = e.id
    """,
)


async def advise(connection: asyncpg.Connection[asyncpg.Record], share: float) -> None:
    """Let this share of the captures be outcomes of advice."""
    first, *others = _ADVISED
    await connection.execute(first, share)
    for statement in others:
        await connection.execute(statement)


async def fill(
    connection: asyncpg.Connection[asyncpg.Record], months: int, captures: int, accounts: int
) -> None:
    """Write the accounts, patterns and months of captures."""
    await connection.execute(
        "INSERT INTO accounts (account_key, business_category, joined_time, qualified) "
        "SELECT 'test:' || lpad(n::text, 60, '0'), 'spa', $1, true FROM generate_series(0, $2 - 1) n",
        FIRST - MONTH,
        accounts,
    )
    for kind in TYPES:
        scope = Scope(kind, "spa", "bench")
        await open_scope(connection, scope)
        await connection.execute(_PATTERNS, scope.scope_id, kind, FIRST)
    for month in range(months):
        await connection.execute(_CAPTURES, FIRST + month * MONTH, MONTH, captures, accounts)


async def size(connection: asyncpg.Connection[asyncpg.Record], *tables: str) -> int:
    """Bytes of tables, with their indexes and what is out of line, packed."""
    for table in tables:
        await connection.execute(f"VACUUM FULL {table}")
    taken: int = await connection.fetchval(
        "SELECT sum(pg_total_relation_size(name::regclass))::bigint FROM unnest($1::text[]) name",
        list(tables),
    )
    return taken


async def run(options: argparse.Namespace, directory: Path) -> None:
    """Fill, archive, read back; print each."""
    async with EmbeddedPostgres(directory / "data", durable=True) as postgres:
        await migrate(postgres.dsn)
        connection = await asyncpg.connect(postgres.dsn)
        database = await Database.open(
            postgres.dsn, pool_size=4, acquire_timeout=60, statement_timeout=600
        )
        try:
            await fill(connection, options.months, options.captures, options.accounts)
            await advise(connection, options.advised)
            before = await size(connection, *LEDGER)
            rows = options.months * options.captures
            questions = await connection.fetchval("SELECT count(*) FROM enhancements")
            print(
                f"ledger: {rows} observations, {questions} of them with a question, {before / rows:.0f} bytes each, "
                "with indexes, questions and reactions"
            )
            shelf = Shelf(directory / "archives")
            start, cpu = time.perf_counter(), time.process_time()
            end = FIRST + (options.months - 1) * MONTH
            done = await Archiving(database, shelf, timedelta(days=90))(end)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            print(
                f"archived: {done.observations} in {done.files} files, {done.observations / seconds:.0f}/s "
                f"({cpu / done.observations * 1e3:.2f} ms of this process's CPU each), "
                f"{done.size / done.observations:.0f} bytes each in the files"
            )
            left = await size(connection, *LEDGER)
            sizes = {table: await size(connection, table) for table in STAYS}
            kept = sum(sizes.values())
            months = done.observations / options.captures
            print(
                f"a month: {(before - left) / months / 1e6:.2f} MB of the ledger became {done.size / months / 1e6:.2f} MB "
                f"of files; {kept / 1e6:.2f} MB stay for all {months:.0f} months: "
                + ", ".join(
                    f"{table} {taken / 1e6:.2f}" for table, taken in sizes.items() if taken > SHOWN
                )
            )
            start = time.perf_counter()
            files = await PostgresArchiveFiles(database).files()
            read = sum(len(group) for group in archived(shelf, files))
            print(f"read back: {read / (time.perf_counter() - start):.0f} observations/s")
        finally:
            await database.close()
            await connection.close()


def main() -> int:
    """Run it in a directory that is removed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--captures", type=int, default=20_000, help="of a month")
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--advised", type=float, default=0.0, help="share of outcomes of advice")
    options = parser.parse_args()
    logs.configure("warning", "console")
    with tempfile.TemporaryDirectory(prefix="keeper-archive-", dir="/tmp") as made:
        directory = Path(made)
        directory.chmod(0o755)
        asyncio.run(run(options, directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
