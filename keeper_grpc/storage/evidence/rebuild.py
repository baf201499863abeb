"""Recounting patterns from the ledger, and the settings that their counts were made with."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.fading import FAST, SLOW
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.situation import facets
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.totals import refresh_evidence
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.patterns.own import own_pattern
from keeper_grpc.storage.patterns.words import MOST_WORDINGS

if TYPE_CHECKING:
    from asyncpg import Record


MEASURES_TIMEOUT = 3600.0
"""Seconds: a bound for a ledger of any size, where the pool's own is for single rows."""


class EvidenceStale(OperatorError):
    """The evidence was counted with another half-life. The message is for the operator."""


@dataclass(slots=True)
class _Share:
    """One account's share of something, as it is summed up."""

    trials: int = 0
    successes: int = 0
    revenue_total: float = 0.0
    revenue_count: int = 0
    recent_trials: float = 0.0
    recent_successes: float = 0.0
    fast_trials: float = 0.0
    fast_successes: float = 0.0
    slow_trials: float = 0.0
    slow_successes: float = 0.0
    drawn_trials: int = 0
    drawn_weight: float = 0.0
    drawn_squares: float = 0.0
    drawn_excess: float = 0.0


@dataclass(slots=True)
class _Harms:
    """One account's row of pattern_harms, as it is summed up."""

    complaint_known: int = 0
    complaints: int = 0
    unsubscribe_known: int = 0
    unsubscribes: int = 0
    costed: int = 0
    net_revenue: float = 0.0

    def add(self, row: Record) -> None:
        """Count one observation that says something of harm."""
        self.complaint_known += row["complained"] is not None
        self.complaints += bool(row["complained"])
        self.unsubscribe_known += row["unsubscribed"] is not None
        self.unsubscribes += bool(row["unsubscribed"])
        if row["costed"]:
            self.costed += 1
            self.net_revenue += row["net_revenue"]


@dataclass(slots=True)
class _Counts:
    """What a pattern's observations come to; shares by account, by facet and by script."""

    observations: int = 0
    first: datetime | None = None
    last: datetime | None = None
    harms: dict[str, _Harms] = field(default_factory=lambda: defaultdict(_Harms))
    accounts: dict[str, _Share] = field(default_factory=lambda: defaultdict(_Share))
    facets: dict[tuple[str, str], _Share] = field(default_factory=lambda: defaultdict(_Share))
    scripts: dict[tuple[str, str], _Share] = field(default_factory=lambda: defaultdict(_Share))
    wordings: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, row: Record, half_life: timedelta) -> None:
        """Count one observation: what storage/patterns/ledger.py does to the tables."""
        account, occurred, success = row["account_key"], row["occurred_time"], row["success"]
        self.observations += 1
        self.first = min(self.first or occurred, occurred)
        self.last = max(self.last or occurred, occurred)
        own = self.accounts[account]
        counted = [own]
        counted += [self.facets[facet, account] for facet in facets(row["context"])]
        if row["script"]:
            counted.append(script := self.scripts[row["script"], account])
            if (inverse := row["inverse"]) is not None:
                script.drawn_trials += 1
                script.drawn_weight += inverse
                script.drawn_squares += inverse**2
                script.drawn_excess += inverse * (success - row["expected"])
        wordings = self.wordings[account]
        if row["disposition"] != "reported" and len(wordings) < MOST_WORDINGS:
            wordings[row["action"]] = None
        weight = recency_weight(occurred, half_life)
        for share in counted:
            share.trials += 1
            share.successes += success
            share.recent_trials += weight
            share.recent_successes += weight * success
        fast, slow = recency_weight(occurred, FAST), recency_weight(occurred, SLOW)
        own.fast_trials += fast
        own.fast_successes += fast * success
        own.slow_trials += slow
        own.slow_successes += slow * success
        if row["complained"] is not None or row["unsubscribed"] is not None or row["costed"]:
            self.harms[account].add(row)
        if row["net_revenue"] is not None:
            own.revenue_total += row["net_revenue"]
            own.revenue_count += 1


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
                """
                SELECT half_life, k, complete, EXISTS (SELECT FROM pattern_accounts) AS counted
                  FROM evidence_settings FOR UPDATE
                """
            )
            if row["counted"] and not row["complete"]:
                await _recount_all(connection, counting)
            elif row["counted"]:
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

    async def patterns(self) -> Sequence[UUID]:
        async with self._database.connection() as connection:
            rows = await connection.fetch("SELECT id FROM network_patterns ORDER BY id")
        return [row["id"] for row in rows]

    async def recount(self, pattern_id: UUID, counting: Counting) -> int | None:
        async with self._database.transaction() as connection:
            if await own_pattern(connection, pattern_id, counting.rule) is None:
                return None
            return await recount(connection, pattern_id, counting)

    async def recount_measures(self) -> int:
        async with self._database.transaction() as connection:
            # Seconds for a million observations, and whoever writes waits: longer than any call may.
            await connection.execute("SET LOCAL statement_timeout = 0")
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
    for row in await connection.fetch("SELECT id FROM network_patterns ORDER BY id"):
        await refresh_evidence(connection, row["id"], rule)


async def _recount_all(connection: Connection, counting: Counting) -> None:
    """Recount every pattern from the ledger."""
    # Some minutes for a million observations, and nothing is served yet.
    await connection.execute("SET LOCAL statement_timeout = 0")
    for row in await connection.fetch("SELECT id FROM network_patterns ORDER BY id"):
        await recount(connection, row["id"], counting)


async def recount(connection: Connection, pattern_id: UUID, counting: Counting) -> int:
    """Recount one pattern within the caller's transaction, which owns its scope: from how much."""
    counts = await _count(connection, pattern_id, counting.half_life)
    await _write_accounts(connection, pattern_id, counts)
    await _write_harms(connection, pattern_id, counts)
    await _write_facets(connection, pattern_id, counts)
    await _write_scripts(connection, pattern_id, counts)
    await _write_wordings(connection, pattern_id, counts)
    await _write_span(connection, pattern_id, counts)
    await refresh_evidence(connection, pattern_id, counting.rule)
    return counts.observations


async def recount_account(
    connection: Connection, pattern_id: UUID, account_key: str, counting: Counting
) -> None:
    """Recount one account's shares of a pattern within the caller's transaction, which owns its scope.

    Its observations are still of the same insights: only their outcomes may have changed. The pattern's totals
    are left to the caller.
    """
    counts = await _count(connection, pattern_id, counting.half_life, account_key)
    await _write_accounts(connection, pattern_id, counts, account_key)
    await _write_harms(connection, pattern_id, counts, account_key)
    await _write_facets(connection, pattern_id, counts, account_key)
    await _write_script_shares(connection, pattern_id, counts, account_key)


async def _count(
    connection: Connection, pattern_id: UUID, half_life: timedelta, account_key: str | None = None
) -> _Counts:
    """Sum up the ledger of all accounts or of one, row by row: only the sums are held.

    What an account observed in a category that it is no longer in does not count, nor what waits for a step.
    """
    counts = _Counts()
    async for row in connection.cursor(
        """
        SELECT o.account_key, o.disposition, o.context, o.action, o.script, o.success, o.net_revenue, o.occurred_time,
               o.complained, o.unsubscribed,
               o.cost IS NOT NULL AND o.net_revenue IS NOT NULL AS costed,
               d.inverse, d.expected
          FROM observations o JOIN accounts a USING (account_key, business_category)
          LEFT JOIN drawn_scripts d USING (enhancement_id)
         WHERE o.pattern_id = $1 AND o.counted AND ($2::text IS NULL OR o.account_key = $2)
         ORDER BY o.recorded_time, o.id
        """,
        pattern_id,
        account_key,
        prefetch=1000,
    ):
        counts.add(row, half_life)
    return counts


async def _clear(
    connection: Connection, table: str, pattern_id: UUID, account_key: str | None
) -> None:
    """Delete a pattern's rows of a table, or those of one account."""
    await connection.execute(
        f"""
        DELETE FROM {table}
         WHERE pattern_id = $1 AND ($2::text IS NULL OR account_key = $2)
        """,  # noqa: S608 - a name of this file
        pattern_id,
        account_key,
    )


async def _write_accounts(
    connection: Connection, pattern_id: UUID, counts: _Counts, account_key: str | None = None
) -> None:
    await _clear(connection, "pattern_accounts", pattern_id, account_key)
    await connection.executemany(
        """
        INSERT INTO pattern_accounts (
            pattern_id, account_key, occurrence_count, success_count, revenue_total,
            revenue_count, recent_trials, recent_successes,
            fast_trials, fast_successes, slow_trials, slow_successes)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        [
            (
                pattern_id,
                account,
                share.trials,
                share.successes,
                share.revenue_total,
                share.revenue_count,
                share.recent_trials,
                share.recent_successes,
                share.fast_trials,
                share.fast_successes,
                share.slow_trials,
                share.slow_successes,
            )
            for account, share in counts.accounts.items()
        ],
    )


async def _write_harms(
    connection: Connection, pattern_id: UUID, counts: _Counts, account_key: str | None = None
) -> None:
    await _clear(connection, "pattern_harms", pattern_id, account_key)
    await connection.executemany(
        """
        INSERT INTO pattern_harms (
            pattern_id, account_key, complaint_known, complaints, unsubscribe_known,
            unsubscribes, costed, net_revenue)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        [(pattern_id, account, *astuple(harms)) for account, harms in counts.harms.items()],
    )


async def _write_facets(
    connection: Connection, pattern_id: UUID, counts: _Counts, account_key: str | None = None
) -> None:
    await _clear(connection, "pattern_facets", pattern_id, account_key)
    await connection.executemany(
        """
        INSERT INTO pattern_facets (pattern_id, facet, account_key, occurrence_count,
                                    success_count, recent_trials, recent_successes)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        [
            (
                pattern_id,
                facet,
                account,
                share.trials,
                share.successes,
                share.recent_trials,
                share.recent_successes,
            )
            for (facet, account), share in counts.facets.items()
        ],
    )


async def _write_scripts(connection: Connection, pattern_id: UUID, counts: _Counts) -> None:
    """Scripts keep their ids; those that neither the ledger nor the catalog has are removed."""
    hashes = {template: _hash(template) for template, _ in counts.scripts}
    await connection.execute(
        """
        DELETE FROM pattern_scripts
         WHERE pattern_id = $1 AND NOT authored AND template_hash <> ALL($2::bytea[])
        """,
        pattern_id,
        list(hashes.values()),
    )
    await connection.executemany(
        """
        INSERT INTO pattern_scripts (id, pattern_id, template, template_hash)
        VALUES ($1, $2, $3, $4) ON CONFLICT (pattern_id, template_hash) DO NOTHING
        """,
        [(uuid4(), pattern_id, template, digest) for template, digest in hashes.items()],
    )
    await _write_script_shares(connection, pattern_id, counts)


async def _write_script_shares(
    connection: Connection, pattern_id: UUID, counts: _Counts, account_key: str | None = None
) -> None:
    await connection.execute(
        """
        DELETE FROM script_accounts a USING pattern_scripts s
         WHERE s.id = a.script_id AND s.pattern_id = $1
           AND ($2::text IS NULL OR a.account_key = $2)
        """,
        pattern_id,
        account_key,
    )
    await connection.executemany(
        """
        INSERT INTO script_accounts (script_id, account_key, occurrence_count, success_count,
                                     recent_trials, recent_successes,
                                     drawn_trials, drawn_weight, drawn_squares, drawn_excess)
        SELECT id, $3, $4, $5, $6, $7, $8, $9, $10, $11
          FROM pattern_scripts WHERE pattern_id = $1 AND template_hash = $2
        """,
        [
            (
                pattern_id,
                _hash(template),
                account,
                share.trials,
                share.successes,
                share.recent_trials,
                share.recent_successes,
                share.drawn_trials,
                share.drawn_weight,
                share.drawn_squares,
                share.drawn_excess,
            )
            for (template, account), share in counts.scripts.items()
        ],
    )


async def _write_wordings(connection: Connection, pattern_id: UUID, counts: _Counts) -> None:
    await connection.execute("DELETE FROM pattern_wordings WHERE pattern_id = $1", pattern_id)
    await connection.executemany(
        """
        INSERT INTO pattern_wordings (pattern_id, account_key, action_hash, action)
        VALUES ($1, $2, $3, $4)
        """,
        [
            (pattern_id, account, hashlib.sha256(action.encode()).digest(), action)
            for account, actions in counts.wordings.items()
            for action in actions
        ],
    )


async def _write_span(connection: Connection, pattern_id: UUID, counts: _Counts) -> None:
    """An authored pattern was discovered when it was seeded, unless someone had seen it before."""
    await connection.execute(
        """
        UPDATE network_patterns
           SET first_discovered = CASE WHEN catalog_key IS NULL
                   THEN coalesce($2, first_discovered) ELSE least(created_at, $2) END,
               last_validated = $3
         WHERE id = $1
        """,
        pattern_id,
        counts.first,
        counts.last,
    )


def _hash(template: str) -> bytes:
    return hashlib.sha256(template.encode()).digest()


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.15g}"
