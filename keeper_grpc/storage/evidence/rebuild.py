"""Recounting all patterns from the ledger, and the settings that their counts were made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.evidence.recounting import Recounted, in_parts
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.recount import recount
from keeper_grpc.storage.evidence.totals import Change, refresh_evidence
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.patterns.own import own_patterns
from keeper_grpc.storage.patterns.versions import reset, touch

MEASURES_TIMEOUT = 3600.0
"""Seconds: a bound for a ledger of any size, where the pool's own is for single rows."""


class EvidenceStale(OperatorError):
    """The evidence was counted with another half-life. The message is for the operator."""


class PostgresRebuild:
    """The counts as a whole; see usecases/evidence/rebuild.py for what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def agree(self, counting: Counting) -> None:
        """Raise EvidenceStale unless what is counted from now on fits what was counted before.

        The first start decides, and so does any later one as long as nothing is counted. Under another
        k, and after an upgrade from a release that did not weigh, what is counted is weighed first; after
        one from a release that counted less, it is recounted.
        """
        async with self._database.transaction() as connection:
            await connection.execute(
                """
                INSERT INTO evidence_settings (half_life, k) VALUES ($1, $2) ON CONFLICT DO NOTHING
                """,
                counting.half_life,
                counting.rule.k,
            )
            (row,) = await connection.fetch(
                "SELECT half_life, k, complete FROM evidence_settings FOR UPDATE"
            )
            counted = await connection.fetchval("SELECT EXISTS (SELECT 1 FROM pattern_accounts)")
            if counted and not row["complete"]:
                await _recount_all(connection, counting)
            elif counted:
                _check(row["half_life"], counting)
                if row["k"] != counting.rule.k:
                    await _weigh_all(connection, counting.rule)
            await connection.execute(
                "UPDATE evidence_settings SET half_life = $1, k = $2, complete = true, step = $3",
                counting.half_life,
                counting.rule.k,
                counting.step,
            )

    async def counted_with(self, otherwise: Counting) -> Counting:
        """The settings that the evidence was counted with; these, where nothing was counted yet.

        Raises EvidenceStale while a rebuild is interrupted.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow("SELECT half_life, k FROM evidence_settings")
        if row is None or row["k"] is None:
            return otherwise
        if row["half_life"] is None:
            raise EvidenceStale("a rebuild was interrupted: run `keeper rebuild` again")
        return replace(
            otherwise, rule=replace(otherwise.rule, k=row["k"]), half_life=row["half_life"]
        )

    async def begin(self, counting: Counting) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                """
                INSERT INTO evidence_settings AS e (half_life) VALUES (NULL)
                ON CONFLICT (id) DO UPDATE SET half_life = NULL
                      WHERE e.half_life IS DISTINCT FROM $1
                """,
                counting.half_life,
            )

    async def patterns(self) -> Sequence[PatternKey]:
        async with self._database.connection() as connection:
            return await _all_patterns(connection)

    async def recount(self, keys: Sequence[PatternKey], counting: Counting) -> Recounted:
        async with self._database.transaction() as connection:
            there = await own_patterns(connection, keys)
            observations = await recount(connection, there, counting)
            await touch(connection, there)
        return Recounted(len(there), observations)

    async def recount_measures(self) -> int:
        async with self._database.transaction() as connection:
            # Seconds for a million observations, and whoever writes waits: longer than any call may.
            await connection.execute("SET LOCAL statement_timeout = 0")
            # A ledger that was restored or loaded has no statistics yet, or those of before: its rows would be taken for few,
            # and be joined one by one for hours.
            for table in ("observations", "enhancements"):
                await connection.execute(f"ANALYZE {table}", timeout=MEASURES_TIMEOUT)
            await connection.execute(
                "LOCK TABLE observations, enhancements IN SHARE ROW EXCLUSIVE MODE",
                timeout=MEASURES_TIMEOUT,
            )
            await lock(connection, AdvisoryLock.FOLD)
            wrong: int = await connection.fetchval(
                "SELECT rebuild_measures() + rebuild_experiment() + rebuild_reactions()",
                timeout=MEASURES_TIMEOUT,
            )
        return wrong

    async def finish(self, counting: Counting) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE evidence_settings SET half_life = $1, k = $2, complete = true",
                counting.half_life,
                counting.rule.k,
            )


def _check(counted_with: timedelta | None, counting: Counting) -> None:
    """Raise EvidenceStale where what is counted was counted with another half-life."""
    if counted_with is None:
        raise EvidenceStale("a rebuild was interrupted: run `keeper rebuild` again")
    if counted_with != counting.half_life:
        raise EvidenceStale(
            f"KEEPER_EVIDENCE_HALF_LIFE is {_seconds(counting.half_life)} seconds, the evidence was "
            f"counted with {_seconds(counted_with)}: stop every server and run "
            "`keeper rebuild`, or set it back"
        )


async def _weigh_all(connection: Connection, rule: PublicationRule) -> None:
    """Weigh every pattern's shares as they are counted."""
    # Seconds for some ten thousand patterns, and nothing is served yet.
    await connection.execute("SET LOCAL statement_timeout = 0")
    for keys in in_parts(await _all_patterns(connection)):
        await refresh_evidence(connection, dict.fromkeys(keys, Change()), rule)
    await reset(connection)


async def _recount_all(connection: Connection, counting: Counting) -> None:
    """Recount every pattern from the ledger."""
    # Some minutes for a million observations, and nothing is served yet.
    await connection.execute("SET LOCAL statement_timeout = 0")
    for keys in in_parts(await _all_patterns(connection)):
        await recount(connection, keys, counting)
    await reset(connection)


async def _all_patterns(connection: Connection) -> Sequence[PatternKey]:
    rows = await connection.fetch("SELECT scope_id, id FROM network_patterns ORDER BY scope_id, id")
    return [PatternKey(*row) for row in rows]


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.15g}"
