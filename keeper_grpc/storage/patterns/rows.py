"""Rows of network_patterns and their scripts, read as the domain's Pattern."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from keeper_grpc.domain.evidence.evidence import Evidence, Prior, Share
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import Pattern, Scope, Script
from keeper_grpc.storage.database import Connection

if TYPE_CHECKING:
    from asyncpg import Record

CLAIM = """
    (SELECT to_jsonb(c) - 'pattern_id' FROM authored_claims c WHERE c.pattern_id = p.id) AS claim
"""
"""What the pattern's author claims, for queries whose answer is shown to people."""

COLUMNS = f"""
    p.id, p.pattern_type, p.business_category, p.embedding_model, p.context, p.action_template,
    p.occurrence_count, p.success_count, p.account_count, p.largest_account_occurrences,
    p.revenue_total, p.revenue_count, p.prior_successes, p.prior_failures,
    p.catalog_key IS NOT NULL AS authored, p.first_discovered, p.last_validated,
    (SELECT count(*)::integer FROM pattern_accounts r
      WHERE r.pattern_id = p.id AND r.revenue_count > 0) AS revenue_accounts,
    (SELECT coalesce(max(r.revenue_count), 0) FROM pattern_accounts r
      WHERE r.pattern_id = p.id) AS largest_revenue_count,
    {CLAIM}
"""  # noqa: S608 - only a constant is interpolated
"""What `to_pattern` reads. A query that subtracts an account overrides the counts by name."""

NOBODY = ""
"""Stands for the asking account where nobody asks: no account has an empty pseudonym."""


async def scripts_of(
    connection: Connection, pattern_ids: Sequence[UUID], without_account: str = NOBODY
) -> dict[UUID, list[Script]]:
    """The scripts of some patterns, with evidence that leaves one account out."""
    rows = await connection.fetch(
        """
        SELECT s.pattern_id, s.template, s.authored,
               coalesce(sum(a.occurrence_count), 0)::bigint AS occurrence_count,
               coalesce(sum(a.success_count), 0)::bigint    AS success_count,
               count(a.account_key)::integer                AS account_count,
               coalesce(max(a.occurrence_count), 0)         AS largest_account_occurrences
          FROM pattern_scripts s
          LEFT JOIN script_accounts a ON a.script_id = s.id AND a.account_key <> $2
         WHERE s.pattern_id = ANY($1::uuid[])
         GROUP BY s.id
        """,
        list(pattern_ids),
        without_account,
    )
    scripts: dict[UUID, list[Script]] = defaultdict(list)
    for row in rows:
        evidence = Evidence(
            trials=row["occurrence_count"],
            successes=row["success_count"],
            accounts=row["account_count"],
            largest_account_trials=row["largest_account_occurrences"],
        )
        scripts[row["pattern_id"]].append(Script(row["template"], evidence, row["authored"]))
    return scripts


def to_pattern(
    row: Record,
    scripts: Iterable[Script],
    weights: tuple[float | None, float | None, tuple[Share, ...]] = (None, None, ()),
) -> Pattern:
    """One row with the columns of `COLUMNS`, and its scripts.

    `weights`: recent trials, recent successes and the busiest accounts' shares, where the evidence
    is to be weighed.
    """
    recent_trials, recent_successes, busiest = weights
    return Pattern(
        pattern_id=row["id"],
        scope=Scope(row["pattern_type"], row["business_category"], row["embedding_model"]),
        conditions=row["context"],
        action=row["action_template"],
        evidence=Evidence(
            trials=row["occurrence_count"],
            successes=row["success_count"],
            accounts=row["account_count"],
            largest_account_trials=row["largest_account_occurrences"],
            revenue_total=row["revenue_total"],
            revenue_count=row["revenue_count"],
            # A query that does not count them publishes no revenue.
            revenue_accounts=row.get("revenue_accounts", 0),
            largest_revenue_count=row.get("largest_revenue_count", 0),
            recent_trials=recent_trials,
            recent_successes=recent_successes,
            busiest=busiest,
        ),
        scripts=tuple(scripts),
        first_discovered=row["first_discovered"],
        last_validated=row["last_validated"],
        prior=Prior(row["prior_successes"], row["prior_failures"]),
        authored=row["authored"],
        claim=_claim(row),
    )


def _claim(row: Record) -> Claim | None:
    """None as well where the query does not read it."""
    found = row.get("claim")
    return None if found is None else Claim(**found)


async def fetch_pattern(
    connection: Connection, pattern_id: UUID, without_account: str = NOBODY
) -> Pattern | None:
    """One pattern with evidence that leaves one account out, or None."""
    row = await connection.fetchrow(
        f"""
        SELECT p.id, p.pattern_type, p.business_category, p.embedding_model, p.context,
               p.action_template, p.prior_successes, p.prior_failures,
               p.catalog_key IS NOT NULL AS authored, p.first_discovered, p.last_validated,
               {CLAIM},
               coalesce(sum(a.occurrence_count), 0)::bigint AS occurrence_count,
               coalesce(sum(a.success_count), 0)::bigint    AS success_count,
               count(a.account_key)::integer                AS account_count,
               coalesce(max(a.occurrence_count), 0)         AS largest_account_occurrences,
               coalesce(sum(a.revenue_total), 0)            AS revenue_total,
               coalesce(sum(a.revenue_count), 0)::bigint    AS revenue_count,
               count(*) FILTER (WHERE a.revenue_count > 0)::integer AS revenue_accounts,
               coalesce(max(a.revenue_count), 0)            AS largest_revenue_count
          FROM network_patterns p
          LEFT JOIN pattern_accounts a ON a.pattern_id = p.id AND a.account_key <> $2
         WHERE p.id = $1 GROUP BY p.id
        """,  # noqa: S608 - only a constant is interpolated
        pattern_id,
        without_account,
    )
    if row is None:
        return None
    scripts = await scripts_of(connection, [pattern_id], without_account)
    return to_pattern(row, scripts.get(pattern_id, []))
