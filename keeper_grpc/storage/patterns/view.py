"""Patterns as one account sees them: with the evidence of all accounts but its own.

Every reader of a pattern's evidence comes here, so that all of them count alike: the SQL says whose
shares count for a viewer, and the domain computes the evidence from those shares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from keeper_grpc.domain.evidence.evidence import Evidence, Prior, Shares
from keeper_grpc.domain.evidence.expectation import NOWHERE, SituationEvidence
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import Pattern, Scope, Script
from keeper_grpc.domain.patterns.situation import facts, whole
from keeper_grpc.storage.database import Connection

if TYPE_CHECKING:
    from asyncpg import Record

NO_VIEWER = ""
"""The viewer where no account asks: all shares count, because no account has an empty key."""


def counts_for(viewer: str, share: str = "a") -> str:
    """The condition that a share counts for a viewer. Both are SQL: a parameter and a table's alias."""
    return f"{share}.account_key <> {viewer}"


COLUMNS = """
    p.id, p.pattern_type, p.business_category, p.embedding_model, p.context, p.action_template,
    p.prior_successes, p.prior_failures, p.catalog_key IS NOT NULL AS authored,
    p.first_discovered, p.last_validated, share.trials, share.successes, share.revenue_totals,
    share.revenue_counts, share.recent_trials, share.recent_successes,
    (SELECT to_jsonb(c) - 'pattern_id' FROM authored_claims c WHERE c.pattern_id = p.id) AS claim
"""
"""What `to_pattern` reads of network_patterns `p` joined with `shares`."""


def shares(viewer: str) -> str:
    """A join of network_patterns `p` with what each account that counts contributed, as arrays."""
    return f"""
        CROSS JOIN LATERAL (
            SELECT array_agg(a.occurrence_count) AS trials,
                   array_agg(a.success_count)    AS successes,
                   array_agg(a.revenue_total)    AS revenue_totals,
                   array_agg(a.revenue_count)    AS revenue_counts,
                   array_agg(a.recent_trials)    AS recent_trials,
                   array_agg(a.recent_successes) AS recent_successes
              FROM pattern_accounts a WHERE a.pattern_id = p.id AND {counts_for(viewer)}) share
    """  # noqa: S608 - only the parameter's name is interpolated


REMAINING_TOTALS = """
    p.occurrence_count - coalesce(own.occurrence_count, 0)   AS trials,
    p.success_count - coalesce(own.success_count, 0)         AS successes,
    p.account_count - (own.account_key IS NOT NULL)::integer AS accounts
"""
"""Of network_patterns `p` joined with `own_share`: the totals without what does not count.

They filter a whole scope before any share is read; what passes is judged again, by its evidence.
"""


def own_share(viewer: str) -> str:
    """A join of network_patterns `p` with the share that does not count: a viewer has one at most."""
    return f"""
        LEFT JOIN pattern_accounts own
               ON own.pattern_id = p.id AND NOT ({counts_for(viewer, "own")})
    """


_PATTERNS = f"""
    SELECT {COLUMNS} FROM network_patterns p {shares("$2")} WHERE p.id = ANY($1::uuid[])
"""  # noqa: S608 - only constants are interpolated

_SCRIPTS = f"""
    SELECT s.pattern_id, s.template, s.authored, share.trials, share.successes
      FROM pattern_scripts s
     CROSS JOIN LATERAL (
           SELECT array_agg(a.occurrence_count) AS trials, array_agg(a.success_count) AS successes
             FROM script_accounts a WHERE a.script_id = s.id AND {counts_for("$2")}) share
     WHERE s.pattern_id = ANY($1::uuid[])
"""  # noqa: S608 - only constants are interpolated

_FACETS = f"""
    SELECT a.pattern_id, a.facet, sum(a.occurrence_count)::bigint AS trials,
           sum(a.success_count)::bigint AS successes, count(*)::integer AS accounts,
           max(a.occurrence_count) AS largest_account_trials
      FROM pattern_facets a
     WHERE a.pattern_id = ANY($1::uuid[]) AND a.facet = ANY($3::text[]) AND {counts_for("$2")}
     GROUP BY a.pattern_id, a.facet
"""  # noqa: S608 - only constants are interpolated


async def see_patterns(
    connection: Connection,
    pattern_ids: Collection[UUID],
    viewer: str = NO_VIEWER,
    now_weight: float | None = None,
) -> dict[UUID, Pattern]:
    """These patterns, as far as they exist, as the account with this key sees them.

    `now_weight` is the recency weight of an outcome that occurs now; without it the evidence weighs
    all outcomes alike.
    """
    if not pattern_ids:
        return {}
    rows = await connection.fetch(_PATTERNS, list(pattern_ids), viewer)
    scripts = await see_scripts(connection, [row["id"] for row in rows], viewer)
    return {row["id"]: to_pattern(row, scripts.get(row["id"], ()), now_weight) for row in rows}


async def see_pattern(
    connection: Connection, pattern_id: UUID, viewer: str = NO_VIEWER
) -> Pattern | None:
    """One pattern as the account with this key sees it, or None when there is none."""
    return (await see_patterns(connection, [pattern_id], viewer)).get(pattern_id)


async def see_scripts(
    connection: Connection, pattern_ids: Collection[UUID], viewer: str = NO_VIEWER
) -> dict[UUID, list[Script]]:
    """The scripts of these patterns as the account with this key sees them, by pattern."""
    if not pattern_ids:
        return {}
    scripts: dict[UUID, list[Script]] = defaultdict(list)
    for row in await connection.fetch(_SCRIPTS, list(pattern_ids), viewer):
        evidence = Evidence.of(Shares(row["trials"] or (), row["successes"] or ()))
        scripts[row["pattern_id"]].append(Script(row["template"], evidence, row["authored"]))
    return scripts


async def see_situations(
    connection: Connection,
    pattern_ids: Collection[UUID],
    conditions: Mapping[str, JsonValue],
    viewer: str,
) -> Mapping[UUID, SituationEvidence]:
    """Each pattern's evidence under these conditions, as the account with this key sees it.

    A pattern without any has none.
    """
    found: dict[UUID, dict[str, Evidence]] = defaultdict(dict)
    entire, single = whole(conditions), facts(conditions)
    if pattern_ids:
        rows = await connection.fetch(_FACETS, list(pattern_ids), viewer, [entire, *single])
        for row in rows:
            found[row["pattern_id"]][row["facet"]] = Evidence(
                row["trials"], row["successes"], row["accounts"], row["largest_account_trials"]
            )
    return defaultdict(
        lambda: NOWHERE,
        {
            pattern_id: SituationEvidence(
                whole=facets.get(entire, Evidence()),
                facts=tuple(facets[fact] for fact in single if fact in facets),
            )
            for pattern_id, facets in found.items()
        },
    )


def to_shares(row: Record) -> Shares:
    """The columns of `shares`."""
    return Shares(
        trials=row["trials"] or (),
        successes=row["successes"] or (),
        revenue_totals=row["revenue_totals"] or (),
        revenue_counts=row["revenue_counts"] or (),
        recent_trials=row["recent_trials"] or (),
        recent_successes=row["recent_successes"] or (),
    )


def to_pattern(row: Record, scripts: Iterable[Script], now_weight: float | None = None) -> Pattern:
    """One row with the columns of `COLUMNS`, and the pattern's scripts; see `see_patterns`."""
    return Pattern(
        pattern_id=row["id"],
        scope=Scope(row["pattern_type"], row["business_category"], row["embedding_model"]),
        conditions=row["context"],
        action=row["action_template"],
        evidence=Evidence.of(to_shares(row), now_weight),
        scripts=tuple(scripts),
        first_discovered=row["first_discovered"],
        last_validated=row["last_validated"],
        prior=Prior(row["prior_successes"], row["prior_failures"]),
        authored=row["authored"],
        claim=None if row["claim"] is None else Claim(**row["claim"]),
    )
