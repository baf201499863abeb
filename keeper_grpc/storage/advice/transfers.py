"""What became of advice that came from other categories."""

from __future__ import annotations

from collections.abc import Mapping

from keeper_grpc.domain.advice.transfer import TransferRecord, TransferShare, transfer_record
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.storage.database import Connection

Transfers = Mapping[str, Mapping[str, TransferShare]]
"""What became of other categories' patterns in one: by category, and by the owner that reported it."""


async def read_transfers(connection: Connection, scope: Scope) -> Transfers:
    """What became in this scope of other categories' patterns."""
    rows = await connection.fetch(
        """
        SELECT t.advised_category, a.owner_key, sum(t.trials)::bigint AS trials, sum(t.expected) AS expected,
               sum(t.successes)::bigint AS successes
          FROM (SELECT o.account_key, o.business_category, e.advised_category, count(*) AS trials,
                       sum(e.expected_success_rate / e.transfer) AS expected,
                       count(*) FILTER (WHERE o.success) AS successes
                  FROM observations o
                  JOIN enhancements e
                    ON e.scope_id = o.scope_id AND e.id = o.enhancement_id AND NOT e.holdout
                 WHERE o.scope_id = $1 AND o.enhancement_id IS NOT NULL AND o.counted
                   AND e.advised_scope_id <> $1 AND e.pattern_id IS NOT NULL
                 GROUP BY 1, 2, 3
                UNION ALL
                SELECT account_key, business_category, advised_category, trials, expected, successes
                  FROM archived_transfers WHERE scope_id = $1) t
          JOIN accounts a USING (account_key, business_category)
         WHERE a.qualified
         GROUP BY t.advised_category, a.owner_key
        """,
        scope.scope_id,
    )
    found: dict[str, dict[str, TransferShare]] = {}
    for category, owner, *share in rows:
        found.setdefault(category, {})[owner] = TransferShare(*share)
    return found


def transfer_without(
    shares: Mapping[str, TransferShare], owner_key: str, rule: PublicationRule
) -> TransferRecord:
    """The record of one category's patterns, as its owners but this one reported.

    The discount is shown, so it must not tell what became of them at a few owners.
    """
    return transfer_record([share for owner, share in shares.items() if owner != owner_key], rule)
