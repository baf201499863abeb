"""How long GetNetworkMetrics takes over a ledger of a million observations.

    python bench/metrics.py                          1,000,000 observations
    python bench/metrics.py --observations 10000     another size

A ledger of a year is written: half of its observations are reported outcomes of advice, and as many
questions again were never reported. Its measures are counted by `rebuild_measures`, but for those of a
few seconds of calls, which are kept from being folded into their days. Then a service on this database
is asked over a real channel. Two floors are measured in the same run: health Check over
the same channel, and one scan that sums the ledger in PostgreSQL without any rollup. Machines differ
and are shared, so read the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

# Before numpy and grpc are imported: one BLAS thread halves the CPU of an embedding (ADR 2), and
# gRPC's fork handlers complain about every program that is started.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import asyncpg
import grpc
import structlog
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from pydantic import SecretStr

from keeper_grpc.app import application
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.settings import Settings
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.locks import AdvisoryLock
from keeper_grpc.storage.schema.migrate import migrate

if TYPE_CHECKING:  # a type of the stub file only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

ACCOUNTS = 2_000
PATTERNS = 10_000
"""The source design's growth: 200 customers ~ 10,000 patterns; ten times as many customers."""
UNFOLDED = 2_500
"""Changes that have yet to be folded: what comes between two folds, five seconds of 500 calls each."""
REPEATS = 15

LEDGER = f"""
    ALTER TABLE observations DISABLE TRIGGER USER;
    ALTER TABLE enhancements DISABLE TRIGGER USER;
    INSERT INTO accounts (account_key, business_category, joined_time, registered, qualified)
    SELECT 'bench:' || n, (ARRAY['spa', 'salon', 'gym', 'bakery', 'dentist'])[n % 5 + 1],
           now() - n % 365 * interval '1 day', true, true
      FROM generate_series(1, {ACCOUNTS}) n;
    INSERT INTO scopes (scope_id, pattern_type, business_category)
    SELECT n % 5, 'churn_prevention', (ARRAY['spa', 'salon', 'gym', 'bakery', 'dentist'])[n % 5 + 1] FROM generate_series(0, 4) n;
    INSERT INTO network_patterns (id, scope_id, pattern_type, business_category, embedding_model,
        pattern_embedding, context, action_template, shown_action, occurrence_count, success_count,
        account_count, first_discovered, last_validated)
    SELECT md5('pattern' || n)::uuid, n % 5, 'churn_prevention',
           (ARRAY['spa', 'salon', 'gym', 'bakery', 'dentist'])[n % 5 + 1], 'bench',
           (SELECT array_agg(0.0::real) FROM generate_series(1, 1536))::vector, '{{}}', 'Offer', 'Offer',
           100, 70, n % 9 + 1, now() - n % 365 * interval '1 day', now() - n % 40 * interval '1 day'
      FROM generate_series(0, {PATTERNS - 1}) n;
    INSERT INTO enhancements (id, account_key, pattern_id, no_match_reason, pattern_type,
        business_category, embedding_model, similarity, base_confidence, confidence,
        expected_success_rate, transfer, script, holdout, context, action, created_at,
        advised_category, expected_deviation, scope_id, advised_scope_id)
    SELECT md5('enhancement' || n)::uuid, 'bench:' || n % {ACCOUNTS} + 1,
           CASE WHEN n % 10 > 0 THEN md5('pattern' || n % {PATTERNS})::uuid END,
           CASE WHEN n % 10 = 0 THEN 'no_patterns' WHEN n % 20 = 1 THEN 'holdout' END,
           'churn_prevention', (ARRAY['spa', 'salon', 'gym', 'bakery', 'dentist'])[n % 5 + 1],
           'bench', 0.9, 0.6, 0.7, 0.7, 1, '', n % 20 = 1, '{{}}', 'Offer',
           now() - n % 365 * interval '1 day', 'spa', 0.05, n % 5,
           CASE WHEN n % 10 > 0 THEN n % 5 END
      FROM generate_series(1, $OBSERVATIONS) n;
    INSERT INTO observations (id, scope_id, account_key, disposition, pattern_id,
        enhancement_id, similarity, pattern_type, business_category, embedding_model, context,
        action, script, confidence, dollar_value, potential_value, success, revenue_impact,
        customer_retained, anonymization, occurred_time, recorded_time)
    SELECT md5('observation' || n)::uuid, n % 5, 'bench:' || n % {ACCOUNTS} + 1,
           CASE WHEN n % 2 = 0 THEN 'merged' ELSE 'reported' END,
           md5('pattern' || n % {PATTERNS})::uuid,
           CASE WHEN n % 2 = 1 THEN md5('enhancement' || n)::uuid END, 0.9, 'churn_prevention',
           (ARRAY['spa', 'salon', 'gym', 'bakery', 'dentist'])[n % 5 + 1], 'bench', '{{}}', 'Offer',
           '', 0.6, 0, 10, n % 10 < 7, CASE WHEN n % 3 > 0 THEN n % 300 END,
           CASE WHEN n % 4 > 0 THEN n % 8 < 5 END, '{{}}', now() - n % 365 * interval '1 day', now()
      FROM generate_series(1, $OBSERVATIONS) n;
    ALTER TABLE observations ENABLE TRIGGER USER;
    ALTER TABLE enhancements ENABLE TRIGGER USER;
    SELECT rebuild_measures();
    INSERT INTO measure_changes (day, business_category, questions, enhanced)
    SELECT current_date, (ARRAY['spa', 'salon', 'gym', 'bakery', 'dentist'])[n % 5 + 1], 1, 1
      FROM generate_series(1, {UNFOLDED}) n;
"""  # noqa: S608 - only constants are interpolated

SCAN = """
    SELECT count(*), count(*) FILTER (WHERE o.success), sum(o.revenue_impact)
      FROM observations o JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
     WHERE e.no_match_reason IS NULL AND o.occurred_time >= now() - interval '365 days'
"""
"""Three of the report's numbers, from the ledger."""


@contextmanager
def open_directory() -> Iterator[Path]:
    """A directory that the bundled PostgreSQL's own user can enter, when we are root."""
    with tempfile.TemporaryDirectory(prefix="keeper-bench-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def milliseconds(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Median and longest of some calls, after one that warms up."""
    await call()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        await call()
        times.append((time.perf_counter() - began) * 1000)
    return median(times), max(times)


async def main(observations: int) -> None:
    """Write the ledger, ask, print."""
    with open_directory() as directory:
        async with EmbeddedPostgres(directory / "data") as postgres:
            await migrate(postgres.dsn)
            connection = await asyncpg.connect(postgres.dsn)
            began = time.perf_counter()
            await connection.execute(LEDGER.replace("$OBSERVATIONS", str(observations)))
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("SELECT pg_advisory_lock($1)", int(AdvisoryLock.FOLD))
            print(
                f"a ledger of {observations:,} observations, {PATTERNS:,} patterns, {ACCOUNTS:,} "
                f"accounts in {time.perf_counter() - began:.0f} s"
            )
            settings = Settings(
                database_url=SecretStr(postgres.dsn),
                data_dir=directory,
                pseudonym_keys=SecretStr(f"bench:{base64.b64encode(bytes(32)).decode()}"),
                embedder="local",
                seed_catalog=False,
                open_accounts=True,
                port=0,
            )
            async with (
                application(settings) as app,
                grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel,
            ):
                await measure(channel, connection)
            await connection.close()


async def measure(
    channel: grpc.aio.Channel, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """The floors, then the call over several windows; a table."""
    network: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(channel)
    health = HealthStub(channel)

    async def check() -> object:
        return await health.Check(  # type: ignore[attr-defined]  # its stubs forgot it
            HealthCheckRequest()
        )

    async def scan() -> object:
        return await connection.fetchrow(SCAN)

    def metrics(days: int, category: str) -> Callable[[], Awaitable[object]]:
        request = GetNetworkMetricsRequest(business_category=category)
        request.window.FromTimedelta(timedelta(days=days))

        async def call() -> object:
            told = await network.GetNetworkMetrics(request)
            if told.withheld:
                raise RuntimeError("a withheld report would be measured")
            return told

        return call

    scanned, longest = await milliseconds(scan)
    print(f"{'what':<32} {'p50 ms':>8} {'max ms':>8} {'of the scan':>12}")
    print(f"{'scan of the ledger':<32} {scanned:>8.1f} {longest:>8.1f} {1:>12.3f}")
    calls: list[tuple[str, Callable[[], Awaitable[object]]]] = [("health Check", check)]
    for days in (7, 30, 365):
        calls += [
            (f"{days} days, {category or 'whole network'}", metrics(days, category))
            for category in ("", "spa")
        ]
    for what, call in calls:
        middle, longest = await milliseconds(call)
        print(f"{what:<32} {middle:>8.1f} {longest:>8.1f} {middle / scanned:>12.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--observations", type=int, default=1_000_000)
    arguments = parser.parse_args()
    # The table alone: migrations log what they do.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(main(arguments.observations))
