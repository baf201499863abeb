"""What changes when an account begins or ceases to count, or changes its owner or its category."""

from __future__ import annotations

from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.accounts.holding import own_account
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.locks import lock_step
from keeper_grpc.storage.metrics.measuring import measure_account
from keeper_grpc.storage.patterns.versions import touch


async def own_standing(connection: Connection, account_key: str) -> None:
    """Exclude every write that refers to the account until the caller's transaction ends.

    The detector's steps are excluded first, since the account's sightings come after the account.
    """
    await lock_step(connection)
    await own_account(connection, account_key)


async def count_change(connection: Connection) -> None:
    """Tell every process's memory of accounts that a category, an owner or a state changes in this transaction.

    At its end: the row's lock keeps the order of counts that of commits, and others wait for it.
    """
    await connection.execute("UPDATE account_changes SET changes = changes + 1")


async def note_standing(connection: Connection, account_key: str, *, recount: bool = False) -> None:
    """Let everything that the account is part of follow its row, which the caller owns and has changed.

    What it did counts in the measures, or not. Its patterns are noted as stale (storage/evidence/stale.py), with `recount` also the shares of them, and as
    changed: who counts in them does so from now on. Its sightings wait, are looked at again or leave their clusters.
    """
    await connection.execute(
        """
        INSERT INTO stale_patterns (scope_id, pattern_id, recount)
        SELECT scope_id, pattern_id, $2::boolean FROM pattern_accounts WHERE account_key = $1
         UNION
        SELECT scope_id, pattern_id, $2::boolean FROM observations
         WHERE $2::boolean AND account_key = $1 AND pattern_id IS NOT NULL
         UNION
        SELECT scope_id, pattern_id, $2::boolean FROM archived_parts WHERE $2::boolean AND account_key = $1
        """,
        account_key,
        recount,
    )
    counts_in = await connection.fetchval(
        "SELECT business_category FROM accounts WHERE account_key = $1 AND qualified", account_key
    )
    await connection.execute(
        """
        UPDATE sightings
           SET pending = coalesce(business_category = $2, false),
               withdrawn = emerging_pattern_id IS NOT NULL AND coalesce(business_category <> $2, true)
         WHERE account_key = $1
        """,
        account_key,
        counts_in,
    )
    await measure_account(connection, account_key)
    shared = await connection.fetch(
        "SELECT scope_id, pattern_id FROM pattern_accounts WHERE account_key = $1", account_key
    )
    await touch(connection, [PatternKey(*row) for row in shared])
