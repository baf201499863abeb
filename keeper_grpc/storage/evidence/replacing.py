"""The rows of patterns' evidence, replaced by what their observations come to."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from keeper_grpc.domain.evidence.sums import PatternSums
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.adding import add_sums
from keeper_grpc.storage.evidence.shares import text_hash
from keeper_grpc.storage.patterns.keys import by_column, in_pairs


async def replace_shares(connection: Connection, sums: Mapping[PatternKey, PatternSums]) -> None:
    """Replace all rows of these patterns' evidence; their totals are left to the caller.

    In as many statements as for one pattern. Within the caller's transaction, which owns the patterns' scopes.
    """
    await _clear(connection, sums, None)
    await _clear_table(connection, "pattern_wordings", sums, None)
    await _forget_scripts(connection, sums)
    await add_sums(connection, sums)
    await _write_spans(connection, sums)


async def replace_shares_of(
    connection: Connection, key: PatternKey, account_key: str, sums: PatternSums
) -> None:
    """Replace the rows of one account, whose scripts and wordings are the same as before."""
    await _clear(connection, [key], account_key)
    await add_sums(connection, {key: sums})


async def _clear(
    connection: Connection, keys: Collection[PatternKey], account_key: str | None
) -> None:
    """Delete the patterns' rows of shares and harms, or those of one account."""
    for table in ("pattern_accounts", "pattern_harms", "pattern_facets"):
        await _clear_table(connection, table, keys, account_key)
    await connection.execute(
        """
        DELETE FROM script_accounts a USING pattern_scripts s
         WHERE s.scope_id = a.scope_id AND s.id = a.script_id
           AND s.scope_id = ANY($1::bigint[]) AND s.pattern_id = ANY($2::uuid[])
           AND ($3::text IS NULL OR a.account_key = $3)
        """,
        *by_column(keys),
        account_key,
    )


async def _clear_table(
    connection: Connection, table: str, keys: Collection[PatternKey], account_key: str | None
) -> None:
    await connection.execute(
        f"""
        DELETE FROM {table}
         WHERE scope_id = ANY($1::bigint[]) AND pattern_id = ANY($2::uuid[])
           AND ($3::text IS NULL OR account_key = $3)
        """,  # noqa: S608 - a name of this file
        *by_column(keys),
        account_key,
    )


async def _forget_scripts(connection: Connection, sums: Mapping[PatternKey, PatternSums]) -> None:
    """Scripts keep their ids; those that neither the ledger nor the catalog has are removed."""
    used = {
        (key.pattern_id, text_hash(template))
        for key, own in sums.items()
        for template, _ in own.scripts
    }
    await connection.execute(
        """
        DELETE FROM pattern_scripts s
         WHERE scope_id = ANY($1::bigint[]) AND pattern_id = ANY($2::uuid[]) AND NOT authored
           AND NOT EXISTS (SELECT 1 FROM unnest($3::uuid[], $4::bytea[]) AS used (pattern_id, template_hash)
                            WHERE used.pattern_id = s.pattern_id AND used.template_hash = s.template_hash)
        """,
        *by_column(sums),
        [pattern_id for pattern_id, _ in used],
        [digest for _, digest in used],
    )


async def _write_spans(connection: Connection, sums: Mapping[PatternKey, PatternSums]) -> None:
    """An authored pattern was discovered when it was seeded, unless someone had seen it before."""
    await connection.execute(
        """
        UPDATE network_patterns p
           SET first_discovered = CASE WHEN catalog_key IS NULL
                   THEN coalesce(n.first, first_discovered) ELSE least(created_at, n.first) END,
               last_validated = n.last
          FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::timestamptz[])
            AS n (scope_id, id, first, last)
         WHERE p.scope_id = ANY($5::bigint[]) AND p.scope_id = n.scope_id AND p.id = n.id
        """,
        *in_pairs(sums),
        [own.first for own in sums.values()],
        [own.last for own in sums.values()],
        by_column(sums)[0],
    )
