"""The rows of a pattern's evidence, replaced by what its observations come to."""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from uuid import uuid4

from keeper_grpc.domain.evidence.sums import PatternSums, ShareSums
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection


def of_pattern(share: ShareSums) -> tuple[float, ...]:
    """An account's share of a pattern, in the order of the columns of pattern_accounts."""
    return (
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


def of_facet(share: ShareSums) -> tuple[float, ...]:
    """An account's share of a facet, in the order of the columns of pattern_facets."""
    return (share.trials, share.successes, share.recent_trials, share.recent_successes)


def of_script(share: ShareSums) -> tuple[float, ...]:
    """An account's share of a script, in the order of the columns of script_accounts."""
    return (
        *of_facet(share),
        share.drawn_trials,
        share.drawn_weight,
        share.drawn_squares,
        share.drawn_excess,
    )


def text_hash(text: str) -> bytes:
    """By which a pattern's scripts and wordings are found: rows are keyed by it, texts are long."""
    return hashlib.sha256(text.encode()).digest()


async def replace_shares(connection: Connection, key: PatternKey, sums: PatternSums) -> None:
    """Replace all rows of a pattern's evidence; its totals are left to the caller."""
    await _write_accounts(connection, key, sums)
    await _write_harms(connection, key, sums)
    await _write_facets(connection, key, sums)
    await _write_scripts(connection, key, sums)
    await _write_wordings(connection, key, sums)
    await _write_span(connection, key, sums)


async def replace_shares_of(
    connection: Connection, key: PatternKey, account_key: str, sums: PatternSums
) -> None:
    """Replace the rows of one account, whose scripts and wordings are the same as before."""
    await _write_accounts(connection, key, sums, account_key)
    await _write_harms(connection, key, sums, account_key)
    await _write_facets(connection, key, sums, account_key)
    await _write_script_shares(connection, key, sums, account_key)


async def _clear(
    connection: Connection, table: str, key: PatternKey, account_key: str | None
) -> None:
    """Delete a pattern's rows of a table, or those of one account."""
    await connection.execute(
        f"""
        DELETE FROM {table}
         WHERE scope_id = $1 AND pattern_id = $2 AND ($3::text IS NULL OR account_key = $3)
        """,  # noqa: S608 - a name of this file
        *key,
        account_key,
    )


async def _write_accounts(
    connection: Connection, key: PatternKey, sums: PatternSums, account_key: str | None = None
) -> None:
    await _clear(connection, "pattern_accounts", key, account_key)
    await connection.executemany(
        """
        INSERT INTO pattern_accounts (
            scope_id, pattern_id, account_key, occurrence_count, success_count, revenue_total,
            revenue_count, recent_trials, recent_successes,
            fast_trials, fast_successes, slow_trials, slow_successes)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        [(*key, account, *of_pattern(share)) for account, share in sums.accounts.items()],
    )


async def _write_harms(
    connection: Connection, key: PatternKey, sums: PatternSums, account_key: str | None = None
) -> None:
    await _clear(connection, "pattern_harms", key, account_key)
    await connection.executemany(
        """
        INSERT INTO pattern_harms (
            scope_id, pattern_id, account_key, complaint_known, complaints, unsubscribe_known,
            unsubscribes, costed, net_revenue)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        [(*key, account, *astuple(harms)) for account, harms in sums.harms.items()],
    )


async def _write_facets(
    connection: Connection, key: PatternKey, sums: PatternSums, account_key: str | None = None
) -> None:
    await _clear(connection, "pattern_facets", key, account_key)
    await connection.executemany(
        """
        INSERT INTO pattern_facets (scope_id, pattern_id, facet, account_key, occurrence_count,
                                    success_count, recent_trials, recent_successes)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        [
            (*key, facet, account, *of_facet(share))
            for (facet, account), share in sums.facets.items()
        ],
    )


async def _write_scripts(connection: Connection, key: PatternKey, sums: PatternSums) -> None:
    """Scripts keep their ids; those that neither the ledger nor the catalog has are removed."""
    hashes = {template: text_hash(template) for template, _ in sums.scripts}
    await connection.execute(
        """
        DELETE FROM pattern_scripts
         WHERE scope_id = $1 AND pattern_id = $2 AND NOT authored
           AND template_hash <> ALL($3::bytea[])
        """,
        *key,
        list(hashes.values()),
    )
    await connection.executemany(
        """
        INSERT INTO pattern_scripts (id, scope_id, pattern_id, template, template_hash)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (scope_id, pattern_id, template_hash) DO NOTHING
        """,
        [(uuid4(), *key, template, digest) for template, digest in hashes.items()],
    )
    await _write_script_shares(connection, key, sums)


async def _write_script_shares(
    connection: Connection, key: PatternKey, sums: PatternSums, account_key: str | None = None
) -> None:
    await connection.execute(
        """
        DELETE FROM script_accounts a USING pattern_scripts s
         WHERE s.scope_id = a.scope_id AND s.id = a.script_id
           AND s.scope_id = $1 AND s.pattern_id = $2
           AND ($3::text IS NULL OR a.account_key = $3)
        """,
        *key,
        account_key,
    )
    await connection.executemany(
        """
        INSERT INTO script_accounts (scope_id, script_id, account_key, occurrence_count,
                                     success_count, recent_trials, recent_successes,
                                     drawn_trials, drawn_weight, drawn_squares, drawn_excess)
        SELECT scope_id, id, $4, $5, $6, $7, $8, $9, $10, $11, $12
          FROM pattern_scripts WHERE scope_id = $1 AND pattern_id = $2 AND template_hash = $3
        """,
        [
            (*key, text_hash(template), account, *of_script(share))
            for (template, account), share in sums.scripts.items()
        ],
    )


async def _write_wordings(connection: Connection, key: PatternKey, sums: PatternSums) -> None:
    await _clear(connection, "pattern_wordings", key, None)
    await connection.executemany(
        """
        INSERT INTO pattern_wordings (scope_id, pattern_id, account_key, action_hash, action)
        VALUES ($1, $2, $3, $4, $5)
        """,
        [
            (*key, account, text_hash(action), action)
            for account, actions in sums.wordings.items()
            for action in actions
        ],
    )


async def _write_span(connection: Connection, key: PatternKey, sums: PatternSums) -> None:
    """An authored pattern was discovered when it was seeded, unless someone had seen it before."""
    await connection.execute(
        """
        UPDATE network_patterns
           SET first_discovered = CASE WHEN catalog_key IS NULL
                   THEN coalesce($3, first_discovered) ELSE least(created_at, $3) END,
               last_validated = $4
         WHERE scope_id = $1 AND id = $2
        """,
        *key,
        sums.first,
        sums.last,
    )
