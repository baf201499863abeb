"""The rows of a pattern's evidence, replaced by what its observations come to."""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from uuid import UUID, uuid4

from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.ledger_sums import LedgerSums


async def replace_shares(connection: Connection, pattern_id: UUID, sums: LedgerSums) -> None:
    """Replace all rows of a pattern's evidence; its totals are left to the caller."""
    await _write_accounts(connection, pattern_id, sums)
    await _write_harms(connection, pattern_id, sums)
    await _write_facets(connection, pattern_id, sums)
    await _write_scripts(connection, pattern_id, sums)
    await _write_wordings(connection, pattern_id, sums)
    await _write_span(connection, pattern_id, sums)


async def replace_shares_of(
    connection: Connection, pattern_id: UUID, account_key: str, sums: LedgerSums
) -> None:
    """Replace the rows of one account, whose scripts and wordings are the same as before."""
    await _write_accounts(connection, pattern_id, sums, account_key)
    await _write_harms(connection, pattern_id, sums, account_key)
    await _write_facets(connection, pattern_id, sums, account_key)
    await _write_script_shares(connection, pattern_id, sums, account_key)


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
    connection: Connection, pattern_id: UUID, sums: LedgerSums, account_key: str | None = None
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
            for account, share in sums.accounts.items()
        ],
    )


async def _write_harms(
    connection: Connection, pattern_id: UUID, sums: LedgerSums, account_key: str | None = None
) -> None:
    await _clear(connection, "pattern_harms", pattern_id, account_key)
    await connection.executemany(
        """
        INSERT INTO pattern_harms (
            pattern_id, account_key, complaint_known, complaints, unsubscribe_known,
            unsubscribes, costed, net_revenue)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        [(pattern_id, account, *astuple(harms)) for account, harms in sums.harms.items()],
    )


async def _write_facets(
    connection: Connection, pattern_id: UUID, sums: LedgerSums, account_key: str | None = None
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
            for (facet, account), share in sums.facets.items()
        ],
    )


async def _write_scripts(connection: Connection, pattern_id: UUID, sums: LedgerSums) -> None:
    """Scripts keep their ids; those that neither the ledger nor the catalog has are removed."""
    hashes = {template: _hash(template) for template, _ in sums.scripts}
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
    await _write_script_shares(connection, pattern_id, sums)


async def _write_script_shares(
    connection: Connection, pattern_id: UUID, sums: LedgerSums, account_key: str | None = None
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
            for (template, account), share in sums.scripts.items()
        ],
    )


async def _write_wordings(connection: Connection, pattern_id: UUID, sums: LedgerSums) -> None:
    await connection.execute("DELETE FROM pattern_wordings WHERE pattern_id = $1", pattern_id)
    await connection.executemany(
        """
        INSERT INTO pattern_wordings (pattern_id, account_key, action_hash, action)
        VALUES ($1, $2, $3, $4)
        """,
        [
            (pattern_id, account, hashlib.sha256(action.encode()).digest(), action)
            for account, actions in sums.wordings.items()
            for action in actions
        ],
    )


async def _write_span(connection: Connection, pattern_id: UUID, sums: LedgerSums) -> None:
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
        sums.first,
        sums.last,
    )


def _hash(template: str) -> bytes:
    return hashlib.sha256(template.encode()).digest()
