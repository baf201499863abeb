"""Whether what is counted of patterns is what the ledger says. Nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection


async def count_wrong(connection: Connection) -> int:
    """How many accounts have, in a pattern, other trials or successes than the ledger and the archives give them.

    Patterns that wait for a recount are left out. Reads the whole ledger, in one statement.
    """
    waiting = await connection.fetch("SELECT DISTINCT pattern_id FROM stale_patterns WHERE recount")
    wrong: int = await connection.fetchval(
        """
        SELECT count(*) FROM (
            SELECT 1 FROM (
                SELECT o.scope_id, o.pattern_id, o.account_key, count(*)::numeric AS trials,
                       count(*) FILTER (WHERE o.success)::numeric AS successes
                  FROM observations o JOIN accounts a USING (account_key, business_category)
                 WHERE o.counted AND o.pattern_id IS NOT NULL
                 GROUP BY o.scope_id, o.pattern_id, o.account_key
                UNION ALL
                SELECT p.scope_id, p.pattern_id, p.account_key,
                       coalesce((p.sums -> 'share' ->> 'trials')::numeric, 0),
                       coalesce((p.sums -> 'share' ->> 'successes')::numeric, 0)
                  FROM archived_parts p JOIN accounts a USING (account_key, business_category)
                UNION ALL
                SELECT s.scope_id, s.pattern_id, s.account_key, -s.occurrence_count::numeric, -s.success_count::numeric
                  FROM pattern_accounts s) counted
             WHERE pattern_id <> ALL ($1::uuid[])
             GROUP BY scope_id, pattern_id, account_key
            HAVING sum(trials) <> 0 OR sum(successes) <> 0) wrong
        """,
        [row["pattern_id"] for row in waiting],
        # A ledger has millions of rows, and whoever asks waits for it.
        timeout=CHECK_TIMEOUT,
    )
    return wrong


CHECK_TIMEOUT = 3600.0
"""Seconds: a bound for a ledger of any size."""
