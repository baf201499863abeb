"""Patterns with all that is stored of them by owner, one row each: read from the database, packed, and read again.

A pattern is kept as JSON, with its owners by their places in a list: a tenth of what the objects take that it stands
for. What is asked about is made of it when it is first asked about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from keeper_grpc.domain.advice.published import Published, likely_rate
from keeper_grpc.domain.evidence.evidence import NO_EVIDENCE, Prior, Share, Shares
from keeper_grpc.domain.evidence.guardrails import OwnHarms
from keeper_grpc.domain.evidence.lifts import Lift
from keeper_grpc.domain.evidence.off_policy import Drawn
from keeper_grpc.domain.evidence.priors import DEFAULT_PRIOR, Source
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import Pattern, Scope
from keeper_grpc.domain.patterns.shown_words import Wording
from keeper_grpc.domain.patterns.stored import StoredPattern, StoredScript
from keeper_grpc.domain.patterns.vector_block import Floats
from keeper_grpc.domain.patterns.withdrawal import wording_hash
from keeper_grpc.storage.evidence.publication import published
from keeper_grpc.storage.patterns.words import MOST_READ, action_in_words, conditions_in_words

if TYPE_CHECKING:
    from asyncpg import Record

# $1 is k, $2 the scope, which each part names itself: where tables are spread, one worker is asked. Of network_patterns `p`;
# each part is an aggregate of its own over the pattern's rows of accounts that count.
# The views by owner would do the same, and be joined for each script.
_SHARE = (
    "sum(s.occurrence_count), sum(s.success_count), sum(s.recent_trials), sum(s.recent_successes)"
)

COLUMNS = f"""
    p.id, {published("p", "$1")} AS published,
    p.catalog_key IS NOT NULL AND p.trigger IS NOT NULL AND p.retired_time IS NULL AS authored,
    vector_send(p.pattern_embedding::vector) AS vector,
    p.occurrence_count, p.success_count, p.prior_successes, p.prior_failures,
    json_build_array(
        p.pattern_type, p.business_category, p.embedding_model,
        {action_in_words("p")}, {conditions_in_words("p")},
        p.prior_successes, p.prior_failures, p.prior_source, p.prior_patterns,
        p.cautious_successes, p.cautious_failures, p.catalog_key IS NOT NULL,
        p.retired_time IS NOT NULL, p.fading, p.first_discovered, p.last_validated,
        p.catalog_key IS NULL AND p.shown_action <> '', p.trigger, p.fact_spreads)::text AS stated,
    CASE WHEN p.prior_source = 'author' THEN (
        SELECT json_build_array(l.successes, l.failures)::text FROM learned_priors l
         WHERE l.pattern_type IN (p.pattern_type, '')
           AND l.business_category IN (p.business_category, '')
         ORDER BY l.pattern_type DESC, l.business_category DESC LIMIT 1) END AS unclaimed,
    CASE WHEN p.catalog_key IS NOT NULL THEN (
        SELECT (to_jsonb(c) - '{{pattern_id,scope_id}}'::text[])::text FROM authored_claims c
         WHERE c.scope_id = $2 AND c.pattern_id = p.id) END AS claim,
    CASE WHEN p.catalog_key IS NOT NULL THEN (
        SELECT json_object_agg(own.account_key, json_build_array(
                   own.occurrence_count, own.success_count))::text
          FROM pattern_accounts own
         WHERE own.scope_id = $2 AND own.pattern_id = p.id) END AS accounts,
    owned.owners, owned.shares, owned.recent_trials, owned.recent_successes,
    known.facets, known.rates, known.of_facets,
    (SELECT json_agg(json_build_array(w.template, w.authored, w.lift, w.lift_deviation, s.owner_key,
                                      s.share, s.drawn))::text
       FROM pattern_scripts w LEFT JOIN LATERAL (
            SELECT a.owner_key, json_build_array({_SHARE}) AS share,
                   CASE WHEN sum(s.drawn_trials) > 0 THEN json_build_array(
                       sum(s.drawn_trials), sum(s.drawn_weight), sum(s.drawn_squares),
                       sum(s.drawn_excess)) END AS drawn
              FROM script_accounts s JOIN accounts a USING (account_key)
             WHERE s.scope_id = $2 AND s.script_id = w.id AND a.qualified
             GROUP BY a.owner_key) s ON true
      WHERE w.scope_id = $2 AND w.pattern_id = p.id) AS scripts,
    (SELECT json_agg(encode(w.template_hash, 'hex'))::text FROM withdrawn_scripts w
      WHERE w.scope_id = $2 AND w.pattern_id = p.id) AS withdrawn,
    (SELECT json_object_agg(owner_key, harms)::text FROM (
        SELECT a.owner_key, json_build_array(
                   sum(s.complaint_known), sum(s.complaints), sum(s.unsubscribe_known),
                   sum(s.unsubscribes), sum(s.costed), sum(s.net_revenue)) AS harms
          FROM pattern_harms s JOIN accounts a USING (account_key)
         WHERE s.scope_id = $2 AND s.pattern_id = p.id AND a.qualified
         GROUP BY a.owner_key) reported) AS harms,
    CASE WHEN p.catalog_key IS NULL THEN (
        SELECT json_agg(json_build_array(action, owners))::text FROM (
            SELECT w.action, json_agg(DISTINCT a.owner_key) AS owners
              FROM pattern_wordings w JOIN accounts a USING (account_key)
             WHERE w.scope_id = $2 AND w.pattern_id = p.id AND a.qualified
             GROUP BY w.action LIMIT {MOST_READ + 1}) said) END AS wordings
"""  # noqa: S608 - only constants are interpolated

JOINS = f"""
    CROSS JOIN LATERAL (
        SELECT array_agg(owner_key) AS owners, json_object_agg(owner_key, share)::text AS shares,
               sum(recent_trials) AS recent_trials, sum(recent_successes) AS recent_successes
          FROM (SELECT a.owner_key, sum(s.recent_trials) AS recent_trials,
                       sum(s.recent_successes) AS recent_successes,
                       json_build_array({_SHARE}, sum(s.revenue_total), sum(s.revenue_count)) AS share
                  FROM pattern_accounts s JOIN accounts a USING (account_key)
                 WHERE s.scope_id = $2 AND s.pattern_id = p.id AND a.qualified
                 GROUP BY a.owner_key) by_owner) owned
    CROSS JOIN LATERAL (
        SELECT array_agg(facet) AS facets, array_agg(rate) AS rates,
               json_object_agg(facet, shares)::text AS of_facets
          FROM (SELECT facet, json_object_agg(owner_key, share) AS shares,
                       greatest(sum(successes) / sum(trials), avg(successes / trials)) AS rate
                  FROM (SELECT s.facet, a.owner_key, json_build_array({_SHARE}) AS share,
                               sum(s.success_count)::double precision AS successes,
                               nullif(sum(s.occurrence_count), 0)::double precision AS trials
                          FROM pattern_facets s JOIN accounts a USING (account_key)
                         WHERE s.scope_id = $2 AND s.pattern_id = p.id AND a.qualified
                         GROUP BY s.facet, a.owner_key) by_owner
                 GROUP BY facet HAVING count(*) >= $1) by_facet) known
"""  # noqa: S608 - only constants are interpolated

_PACKED = (
    *("stated", "unclaimed", "claim", "accounts", "shares"),
    *("of_facets", "scripts", "withdrawn", "harms", "wordings"),
)


def to_published(row: Record) -> Published:
    """A row of `COLUMNS`."""
    owners = row["owners"] or []
    packed = f'["{row["id"].hex}",{",".join(row[name] or "null" for name in _PACKED)}]'
    for place, owner in enumerate(owners):
        packed = packed.replace(f'"{owner}"', f'"{place}"')
    return Published(
        pattern_id=row["id"],
        vector=vector_of(row["vector"]),
        packed=packed.encode(),
        published=row["published"],
        authored=row["authored"],
        trials=row["occurrence_count"],
        likely=likely_rate(
            row["occurrence_count"],
            row["success_count"],
            Prior(row["prior_successes"], row["prior_failures"]),
            (row["recent_trials"], row["recent_successes"]) if owners else None,
        ),
        owners=owners,
        facets=dict(zip(row["facets"] or (), row["rates"] or (), strict=True)),
    )


def vector_of(sent: bytes) -> Floats:
    """A vector as `vector_send` gives it: two numbers of 16 bits, then floats, all big-endian."""
    vector: Floats = np.frombuffer(sent, ">f4", offset=4).astype(np.float32)
    return vector


def unpack(packed: bytes, owners: Sequence[str]) -> StoredPattern:
    """What `to_published` packed."""
    (
        pattern_id,
        stated,
        unclaimed,
        claim,
        accounts,
        shares,
        facets,
        scripts,
        withdrawn,
        harms,
        wordings,
    ) = json.loads(packed)
    (
        pattern_type,
        category,
        model,
        action,
        conditions,
        prior_successes,
        prior_failures,
        prior_source,
        prior_patterns,
        cautious_successes,
        cautious_failures,
        authored,
        retired,
        fading,
        first_discovered,
        last_validated,
        worded,
        trigger,
        spreads,
    ) = stated
    by_place = {str(place): owner for place, owner in enumerate(owners)}
    return StoredPattern(
        stated=Pattern(
            pattern_id=UUID(hex=pattern_id),
            scope=Scope(pattern_type, category, model),
            conditions=conditions,
            action=action,
            evidence=NO_EVIDENCE,
            scripts=(),
            first_discovered=_time(first_discovered),
            last_validated=_time(last_validated),
            prior=Prior(prior_successes, prior_failures),
            authored=authored,
            retired=retired,
            fading=fading,
            prior_source=Source(prior_source),
            prior_patterns=prior_patterns,
            cautious=Prior(cautious_successes, cautious_failures),
            unclaimed=Prior(*unclaimed) if unclaimed else DEFAULT_PRIOR.prior,
            spreads=spreads,
            claim=Claim(**claim | {"guardrails": tuple(claim["guardrails"])}) if claim else None,
        ),
        shares=_shares(shares or {}, by_place),
        scripts=_scripts(scripts or (), frozenset(withdrawn or ()), by_place),
        facets={facet: _shares(owned, by_place) for facet, owned in (facets or {}).items()},
        harms={by_place[owner]: OwnHarms(*counts) for owner, counts in (harms or {}).items()},
        wordings=None
        if wordings and len(wordings) > MOST_READ
        else [
            Wording(said, frozenset(by_place.get(owner, owner) for owner in by))
            for said, by in wordings or ()
        ],
        worded=worded,
        trigger=trigger,
        # An account without an owner is its own.
        accounts={
            by_place.get(account, account): Share(*counts)
            for account, counts in (accounts or {}).items()
        },
    )


def _shares(owned: Mapping[str, Sequence[Any]], by_place: Mapping[str, str]) -> Shares:
    return {by_place[place]: Share(*counts) for place, counts in owned.items()}


def _scripts(
    rows: Sequence[Sequence[Any]], withdrawn: frozenset[str], by_place: Mapping[str, str]
) -> Sequence[StoredScript]:
    """Rows of a script and an owner; without one where the script has none that counts."""
    found: dict[str, StoredScript] = {}
    shares: dict[str, dict[str, Share]] = {}
    draws: dict[str, dict[str, Drawn]] = {}
    for template, authored, lift, lift_deviation, place, share, drawn in rows:
        if template not in found:
            if wording_hash(template).hex() in withdrawn:
                continue
            found[template] = StoredScript(
                template,
                authored,
                shares.setdefault(template, {}),
                draws.setdefault(template, {}),
                None if lift is None else Lift(lift, lift_deviation),
            )
        if place is not None:
            owner = by_place.get(place, place)
            shares[template][owner] = Share(*share)
            if drawn:
                draws[template][owner] = Drawn(*drawn)
    return list(found.values())


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
