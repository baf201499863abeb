"""Patterns as one account sees them: with the evidence of all owners but its own.

Every reader of a pattern's evidence comes here, so that all of them count alike: the views of the
schema sum the shares of each owner's qualified accounts, `counts_for` leaves the viewer's owner out, and the
domain computes the evidence from what is left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from keeper_grpc.domain.evidence.evidence import (
    RECENCY_EPOCH,
    Prior,
    Share,
    Shares,
    heaviest,
    recency_weight,
    weigh,
)
from keeper_grpc.domain.evidence.expectation import SituationEvidence, situate
from keeper_grpc.domain.evidence.guardrails import HARM_HALF_LIFE, OwnHarms, crossed
from keeper_grpc.domain.evidence.lifts import Lift
from keeper_grpc.domain.evidence.off_policy import Drawn
from keeper_grpc.domain.evidence.priors import DEFAULT_PRIOR, Source
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Scope, Script
from keeper_grpc.domain.patterns.situation import fact_key, facts, whole
from keeper_grpc.domain.patterns.support import Support
from keeper_grpc.domain.patterns.withdrawal import wording_hash
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.keys import by_column, key_of
from keeper_grpc.storage.patterns.words import (
    Words,
    action_in_words,
    conditions_in_words,
    words_of_others,
)

if TYPE_CHECKING:
    from asyncpg import Record

NO_VIEWER = ""
"""The viewer where no account asks: all owners count, because no account has an empty key."""


def owner_of(viewer: str) -> str:
    """The owner of the account with this key, a parameter; an unknown account is its own owner."""
    return f"coalesce((SELECT owner_key FROM accounts WHERE account_key = {viewer}), {viewer})"  # noqa: S608 - only the parameter's name is interpolated


def own_accounts(viewer: str) -> str:
    """The accounts that count and belong to the viewer's owner, as an array that is read once."""
    return f"""
        (SELECT array_agg(account_key) FROM accounts
          WHERE qualified AND owner_key = {owner_of(viewer)})::text[]
    """  # noqa: S608 - only the parameter's name is interpolated


def counts_for(viewer: str, share: str = "a") -> str:
    """The condition that an owner's share counts for a viewer: a parameter, and a table's alias."""
    return f"{share}.owner_key <> {owner_of(viewer)}"


def columns(scopes: str) -> str:
    """What `to_pattern` reads of network_patterns `p` joined with `shares`; `scopes` as there."""
    return f"""
        p.id, p.scope_id, p.pattern_type, p.business_category, p.embedding_model,
        {action_in_words("p")} AS action, {conditions_in_words("p")} AS conditions,
        p.prior_successes, p.prior_failures, p.prior_source, p.prior_patterns,
        p.cautious_successes, p.cautious_failures, p.fact_spreads,
        p.catalog_key IS NOT NULL AS authored, p.retired_time IS NOT NULL AS retired, p.fading,
        p.first_discovered, p.last_validated, share.owners, share.trials, share.successes, share.revenue_totals,
        share.revenue_counts, share.recent_trials, share.recent_successes,
        p.catalog_key IS NULL AND p.shown_action <> '' AS worded, share.contributed,
        (SELECT ARRAY[l.successes, l.failures] FROM learned_priors l
          WHERE p.prior_source = 'author' AND l.pattern_type IN (p.pattern_type, '')
            AND l.business_category IN (p.business_category, '')
          ORDER BY l.pattern_type DESC, l.business_category DESC LIMIT 1) AS unclaimed,
        (SELECT to_jsonb(c) - 'scope_id' - 'pattern_id' FROM authored_claims c
          WHERE c.scope_id = p.scope_id AND c.scope_id = {scopes} AND c.pattern_id = p.id) AS claim
    """  # noqa: S608 - only the parameter's name is interpolated


def shares(viewer: str, scopes: str) -> str:
    """A join of network_patterns `p` with what each owner that counts contributed, as arrays.

    `scopes` is what the scopes of `p` equal: a parameter, or ANY of one. Each table is asked for them by itself, so that
    where tables are spread no other worker is.
    """
    return f"""
        CROSS JOIN LATERAL (
            SELECT array_agg(a.owner_key)        AS owners,
                   array_agg(a.occurrence_count) AS trials,
                   array_agg(a.success_count)    AS successes,
                   array_agg(a.revenue_total)    AS revenue_totals,
                   array_agg(a.revenue_count)    AS revenue_counts,
                   array_agg(a.recent_trials)    AS recent_trials,
                   array_agg(a.recent_successes) AS recent_successes,
                   EXISTS (SELECT 1 FROM pattern_accounts own
                            WHERE own.scope_id = p.scope_id AND own.scope_id = {scopes} AND own.pattern_id = p.id
                              AND own.account_key = ANY({own_accounts(viewer)})) AS contributed
              FROM pattern_owners a
             WHERE a.scope_id = p.scope_id AND a.scope_id = {scopes} AND a.pattern_id = p.id
               AND {counts_for(viewer)}) share
    """  # noqa: S608 - only the parameter's name is interpolated


def weighed_totals(viewer: str, k: str, scope_id: str = "p.scope_id") -> str:
    """Of network_patterns `p`: accounts, trials and successes as the evidence of a viewer has them.

    They filter a whole scope before any share is read. Stored totals serve where the viewer has no share
    of the pattern; where it has one, the rest weighs differently without it.
    A `scope_id` that is a parameter lets one worker answer, where tables are spread.
    """
    return f"""
        CROSS JOIN LATERAL (
            SELECT p.account_count AS accounts, p.occurrence_count AS trials,
                   p.success_count AS successes
             WHERE NOT EXISTS (SELECT 1 FROM pattern_accounts own
                                WHERE own.scope_id = {scope_id} AND own.pattern_id = p.id
                                  AND own.account_key = ANY({own_accounts(viewer)}))
             UNION ALL
            SELECT w.accounts, w.trials, w.successes
              FROM (SELECT array_agg(a.occurrence_count) AS trials,
                           array_agg(a.success_count) AS successes
                      FROM pattern_owners a
                     WHERE a.scope_id = {scope_id} AND a.pattern_id = p.id
                       AND {counts_for(viewer)}) share,
                   weigh(share.trials, share.successes, {k}) w
             WHERE EXISTS (SELECT 1 FROM pattern_accounts own
                            WHERE own.scope_id = {scope_id} AND own.pattern_id = p.id
                              AND own.account_key = ANY({own_accounts(viewer)}))
        ) total
    """  # noqa: S608 - only the parameters' names are interpolated


_SCOPES = "ANY($1::bigint[])"

_PATTERNS = f"""
    SELECT {columns(_SCOPES)} FROM network_patterns p {shares("$3", _SCOPES)}
     WHERE p.scope_id = ANY($1::bigint[]) AND p.id = ANY($2::uuid[])
"""  # noqa: S608 - only constants are interpolated

_SHARES = f"""
    SELECT p.scope_id, p.id, share.* FROM network_patterns p {shares("$3", _SCOPES)}
     WHERE p.scope_id = ANY($1::bigint[]) AND p.id = ANY($2::uuid[])
"""  # noqa: S608 - only constants are interpolated

_SCRIPTS = f"""
    SELECT s.scope_id, s.pattern_id, s.template, s.authored, s.lift, s.lift_deviation, share.owners,
           share.trials, share.successes,
           share.recent_trials, share.recent_successes, share.drawn
      FROM pattern_scripts s
     CROSS JOIN LATERAL (
           SELECT array_agg(a.owner_key) AS owners, array_agg(a.occurrence_count) AS trials,
                  array_agg(a.success_count) AS successes,
                  array_agg(a.recent_trials) AS recent_trials,
                  array_agg(a.recent_successes) AS recent_successes,
                  jsonb_object_agg(a.owner_key, jsonb_build_array(
                      a.drawn_trials, a.drawn_weight, a.drawn_squares, a.drawn_excess))
                      FILTER (WHERE a.drawn_trials > 0) AS drawn
             FROM script_owners a
            WHERE a.scope_id = s.scope_id AND a.scope_id = {_SCOPES} AND a.script_id = s.id
              AND {counts_for("$3")}) share
     WHERE s.scope_id = ANY($1::bigint[]) AND s.pattern_id = ANY($2::uuid[])
"""  # noqa: S608 - only constants are interpolated

_WITHDRAWN = """
    SELECT pattern_id, template_hash FROM withdrawn_scripts
     WHERE scope_id = ANY($1::bigint[]) AND pattern_id = ANY($2::uuid[])
"""

_FACETS = f"""
    SELECT a.scope_id, a.pattern_id, a.facet, a.owner_key, a.occurrence_count, a.success_count,
           a.recent_trials, a.recent_successes
      FROM facet_owners a
     WHERE a.scope_id = ANY($1::bigint[]) AND a.pattern_id = ANY($2::uuid[])
       AND a.facet = ANY($4::text[]) AND {counts_for("$3")}
"""  # noqa: S608 - only constants are interpolated

_HARMS = f"""
    SELECT a.* FROM harm_owners a
     WHERE a.scope_id = ANY($1::bigint[]) AND a.pattern_id = ANY($2::uuid[])
       AND {counts_for("$3")}
"""  # noqa: S608 - only constants are interpolated

_SUPPORT = """
    SELECT (SELECT coalesce(sum(a.account_count), 0)::integer
              FROM pattern_owners a WHERE a.scope_id = $1 AND a.pattern_id = $2) AS accounts,
           (SELECT count(*)::integer
              FROM pattern_accounts s JOIN accounts a USING (account_key)
             WHERE s.scope_id = $1 AND s.pattern_id = $2 AND NOT a.qualified) AS waiting_accounts
"""


async def see_patterns(
    connection: Connection,
    keys: Collection[PatternKey],
    rule: PublicationRule,
    viewer: str = NO_VIEWER,
    *,
    now_weight: float | None = None,
) -> dict[UUID, Pattern]:
    """These patterns, as far as they exist, as the account with this key sees them.

    `now_weight` is the recency weight of an outcome that occurs now; without it the evidence weighs
    all outcomes alike.
    """
    if not keys:
        return {}
    rows = await read_patterns(connection, keys, viewer)
    seen = {key_of(row): to_shares(row, now_weight) for row in rows}
    scripts = await see_scripts(connection, seen, rule, viewer, now_weight=now_weight)
    words = await see_words(connection, rows, rule, viewer)
    harms = await see_harms(connection, seen, viewer)
    return {
        row["id"]: to_pattern(
            row,
            seen[key_of(row)],
            scripts.get(row["id"], ()),
            rule,
            words=words.get(row["id"]),
            harms=harms.get(row["id"], {}),
        )
        for row in rows
    }


async def see_shares(
    connection: Connection,
    keys: Collection[PatternKey],
    viewer: str,
    *,
    now_weight: float | None,
) -> dict[PatternKey, Shares]:
    """What each owner contributed to these patterns, as far as the account with this key sees it."""
    rows = await connection.fetch(_SHARES, *by_column(keys), viewer)
    return {key_of(row): to_shares(row, now_weight) for row in rows}


async def see_pattern(
    connection: Connection,
    key: PatternKey,
    rule: PublicationRule,
    viewer: str = NO_VIEWER,
    *,
    now_weight: float | None = None,
) -> Pattern | None:
    """One pattern as the account with this key sees it, or None when there is none; see `see_patterns`."""
    return (await see_patterns(connection, [key], rule, viewer, now_weight=now_weight)).get(
        key.pattern_id
    )


async def see_support(
    connection: Connection, key: PatternKey, rule: PublicationRule
) -> Support | None:
    """Who stands behind one pattern, or None when there is none."""
    pattern = await see_pattern(connection, key, rule)
    if pattern is None:
        return None
    (counted,) = await connection.fetch(_SUPPORT, *key)
    return Support(
        owners=pattern.evidence.accounts, published=not pattern.withheld(rule), **counted
    )


async def see_scripts(
    connection: Connection,
    patterns: Mapping[PatternKey, Shares],
    rule: PublicationRule,
    viewer: str = NO_VIEWER,
    *,
    now_weight: float | None = None,
) -> dict[UUID, list[Script]]:
    """The scripts of patterns as the account with this key sees them, by pattern.

    `now_weight` is as in `see_patterns`. `patterns` are the shares that the viewer sees of each: no owner weighs more in a script than in the
    pattern.
    """
    if not patterns:
        return {}
    rows: dict[UUID, list[Record]] = defaultdict(list)
    for row in await read_scripts(connection, patterns, viewer):
        rows[row["pattern_id"]].append(row)
    return {
        key.pattern_id: to_scripts(rows[key.pattern_id], shares, rule, now_weight=now_weight)
        for key, shares in patterns.items()
    }


async def read_patterns(
    connection: Connection, keys: Collection[PatternKey], viewer: str = NO_VIEWER
) -> Sequence[Record]:
    """The rows that `to_pattern` and `to_shares` take, without the viewer's owner."""
    return await connection.fetch(_PATTERNS, *by_column(keys), viewer)


async def read_scripts(
    connection: Connection, keys: Collection[PatternKey], viewer: str = NO_VIEWER
) -> Sequence[Record]:
    """The rows that `to_scripts` takes, without the viewer's owner and what was withdrawn."""
    withdrawn = {tuple(row) for row in await connection.fetch(_WITHDRAWN, *by_column(keys))}
    rows = await connection.fetch(_SCRIPTS, *by_column(keys), viewer)
    if not withdrawn:
        return rows
    return [
        row for row in rows if (row["pattern_id"], wording_hash(row["template"])) not in withdrawn
    ]


def to_scripts(
    rows: Iterable[Record],
    shares: Shares,
    rule: PublicationRule,
    *,
    now_weight: float | None = None,
    without: str | None = None,
) -> list[Script]:
    """The scripts of one pattern, of which `shares` are seen, `without` the outcomes of one owner."""
    most = heaviest([share.trials for share in shares.values()], rule.k)
    scripts = []
    for row in rows:
        owned = zip(
            row["owners"] or (),
            row["trials"] or (),
            row["successes"] or (),
            row["recent_trials"] or (),
            row["recent_successes"] or (),
            strict=True,
        )
        held = (_share(now_weight, *counts) for owner, *counts in owned if owner != without)
        drawn = {
            owner: Drawn(*sums) for owner, sums in (row["drawn"] or {}).items() if owner != without
        }
        lift = None if row["lift"] is None else Lift(row["lift"], row["lift_deviation"])
        scripts.append(
            Script(row["template"], weigh(held, rule.k, most), row["authored"], drawn, lift)
        )
    return scripts


async def see_harms(
    connection: Connection, keys: Collection[PatternKey], viewer: str = NO_VIEWER
) -> dict[UUID, dict[str, OwnHarms]]:
    """What each owner reported of a pattern's harm, the viewer's left out, in the weights that are stored."""
    found: dict[UUID, dict[str, OwnHarms]] = defaultdict(dict)
    if keys:
        for row in await connection.fetch(_HARMS, *by_column(keys), viewer):
            _, pattern_id, owner, *counts = row
            found[pattern_id][owner] = OwnHarms(*counts)
    return found


async def see_situations(
    connection: Connection,
    patterns: Mapping[PatternKey, Shares],
    conditions: Mapping[str, JsonValue],
    rule: PublicationRule,
    *,
    viewer: str,
    now_weight: float | None,
) -> dict[UUID, SituationEvidence]:
    """Each pattern's evidence cut at these conditions, as the account with this key sees it.

    `patterns` are the shares that the viewer sees of each, at the same `now_weight`.
    """
    if not patterns:
        return {}
    found: dict[UUID, dict[str, dict[str, Share]]] = defaultdict(lambda: defaultdict(dict))
    entire, single = whole(conditions), facts(conditions)
    rows = await connection.fetch(_FACETS, *by_column(patterns), viewer, [entire, *single])
    for row in rows:
        found[row["pattern_id"]][row["facet"]][row["owner_key"]] = _share(
            now_weight,
            row["occurrence_count"],
            row["success_count"],
            row["recent_trials"],
            row["recent_successes"],
        )
    return {
        pattern_id: situate(
            shares,
            found[pattern_id][entire],
            {
                fact_key(fact): found[pattern_id][fact]
                for fact in single
                if fact in found[pattern_id]
            },
            rule,
        )
        for (_, pattern_id), shares in patterns.items()
    }


def to_shares(row: Record, now_weight: float | None = None) -> Shares:
    """The columns of `shares`, by owner; see `see_patterns`."""
    owned = zip(
        row["owners"] or (),
        row["trials"] or (),
        row["successes"] or (),
        row["recent_trials"] or (),
        row["recent_successes"] or (),
        row["revenue_totals"] or (),
        row["revenue_counts"] or (),
        strict=True,
    )
    return {
        owner: _share(
            now_weight,
            trials,
            successes,
            recent_trials,
            recent_successes,
            revenue_total=revenue_total,
            revenue_count=revenue_count,
        )
        for (
            owner,
            trials,
            successes,
            recent_trials,
            recent_successes,
            revenue_total,
            revenue_count,
        ) in owned
    }


def _share(
    now_weight: float | None,
    trials: int,
    successes: int,
    recent_trials: float,
    recent_successes: float,
    *,
    revenue_total: float = 0.0,
    revenue_count: int = 0,
) -> Share:
    """One owner's sums as a share; stored weights become weights by age."""
    return Share(
        trials,
        successes,
        now_weight and recent_trials / now_weight,
        now_weight and recent_successes / now_weight,
        revenue_total,
        revenue_count,
    )


async def see_words(
    connection: Connection, rows: Iterable[Record], rule: PublicationRule, viewer: str
) -> Mapping[UUID, Words]:
    """The words of those of the rows whose words the viewer's owner may support: what others say."""
    supported = [(key_of(row), viewer) for row in rows if row["worded"] and row["contributed"]]
    words = await words_of_others(connection, supported, rule.k)
    return {key.pattern_id: own for (key, _), own in words.items()}


def to_pattern(
    row: Record,
    shares: Shares,
    scripts: Iterable[Script],
    rule: PublicationRule,
    *,
    words: Words | None,
    harms: Mapping[str, OwnHarms],
) -> Pattern:
    """One row with the columns of `COLUMNS`, what its shares and harms say, the pattern's scripts, and its `words`
    where they are others for this viewer.
    """
    action, conditions = row["action"], row["conditions"]
    if words is not None:
        action, conditions = words.action, words.conditions
    last = recency_weight(row["last_validated"] or RECENCY_EPOCH, HARM_HALF_LIFE)
    return Pattern(
        pattern_id=row["id"],
        scope=Scope(row["pattern_type"], row["business_category"], row["embedding_model"]),
        conditions=conditions,
        action=action,
        evidence=weigh(shares.values(), rule.k),
        scripts=tuple(scripts),
        first_discovered=row["first_discovered"],
        last_validated=row["last_validated"],
        prior=Prior(row["prior_successes"], row["prior_failures"]),
        authored=row["authored"],
        retired=row["retired"],
        fading=row["fading"],
        prior_source=Source(row["prior_source"]),
        prior_patterns=row["prior_patterns"],
        cautious=Prior(row["cautious_successes"], row["cautious_failures"]),
        spreads=row["fact_spreads"],
        unclaimed=Prior(*row["unclaimed"]) if row["unclaimed"] else DEFAULT_PRIOR.prior,
        claim=None if row["claim"] is None else _claim(row["claim"]),
        crossed=crossed(
            {owner: own.aged(last) for owner, own in harms.items()}, shares, rule.limits, rule.k
        ),
    )


def _claim(stored: Mapping[str, Any]) -> Claim:
    return Claim(**{**stored, "guardrails": tuple(stored["guardrails"])})
