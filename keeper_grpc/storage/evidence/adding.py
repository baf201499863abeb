"""Adding what a group observed to the rows of its patterns' evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from typing import Any
from uuid import uuid4

from keeper_grpc.domain.evidence.sums import PatternSums
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.shares import of_facet, of_pattern, of_script, text_hash
from keeper_grpc.storage.patterns.words import News

_ADD = """
    WITH shares AS (
        INSERT INTO pattern_accounts AS a (
            scope_id, pattern_id, account_key, occurrence_count, success_count, revenue_total,
            revenue_count, recent_trials, recent_successes,
            fast_trials, fast_successes, slow_trials, slow_successes)
        SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::integer[], $5::integer[], $6::float8[],
                             $7::integer[], $8::float8[], $9::float8[], $10::float8[],
                             $11::float8[], $12::float8[], $13::float8[])
        ON CONFLICT (scope_id, pattern_id, account_key) DO UPDATE
           SET occurrence_count = a.occurrence_count + excluded.occurrence_count,
               success_count = a.success_count + excluded.success_count,
               revenue_total = a.revenue_total + excluded.revenue_total,
               revenue_count = a.revenue_count + excluded.revenue_count,
               recent_trials = a.recent_trials + excluded.recent_trials,
               recent_successes = a.recent_successes + excluded.recent_successes,
               fast_trials = a.fast_trials + excluded.fast_trials,
               fast_successes = a.fast_successes + excluded.fast_successes,
               slow_trials = a.slow_trials + excluded.slow_trials,
               slow_successes = a.slow_successes + excluded.slow_successes
    ), facets AS (
        INSERT INTO pattern_facets AS f (
            scope_id, pattern_id, facet, account_key, occurrence_count, success_count,
            recent_trials, recent_successes)
        SELECT * FROM unnest($14::bigint[], $15::uuid[], $16::text[], $17::text[], $18::integer[],
                             $19::integer[], $20::float8[], $21::float8[])
        ON CONFLICT (scope_id, pattern_id, facet, account_key) DO UPDATE
           SET occurrence_count = f.occurrence_count + excluded.occurrence_count,
               success_count = f.success_count + excluded.success_count,
               recent_trials = f.recent_trials + excluded.recent_trials,
               recent_successes = f.recent_successes + excluded.recent_successes
        RETURNING scope_id, pattern_id, facet, account_key, occurrence_count
    ), harms AS (
        INSERT INTO pattern_harms AS h (
            scope_id, pattern_id, account_key, complaint_known, complaints, unsubscribe_known,
            unsubscribes, costed, net_revenue)
        SELECT * FROM unnest($22::bigint[], $23::uuid[], $24::text[], $25::float8[], $26::float8[],
                             $27::float8[], $28::float8[], $29::float8[], $30::float8[])
        ON CONFLICT (scope_id, pattern_id, account_key) DO UPDATE
           SET complaint_known = h.complaint_known + excluded.complaint_known,
               complaints = h.complaints + excluded.complaints,
               unsubscribe_known = h.unsubscribe_known + excluded.unsubscribe_known,
               unsubscribes = h.unsubscribes + excluded.unsubscribes,
               costed = h.costed + excluded.costed,
               net_revenue = h.net_revenue + excluded.net_revenue
    ), wordings AS (
        INSERT INTO pattern_wordings (scope_id, pattern_id, account_key, action_hash, action)
        SELECT * FROM unnest($31::bigint[], $32::uuid[], $33::text[], $34::bytea[], $35::text[])
        ON CONFLICT DO NOTHING RETURNING scope_id, pattern_id
    ), scripts AS (
        INSERT INTO pattern_scripts (scope_id, id, pattern_id, template, template_hash)
        SELECT * FROM unnest($36::bigint[], $37::uuid[], $38::uuid[], $39::text[], $40::bytea[])
        ON CONFLICT (scope_id, pattern_id, template_hash) DO NOTHING
    )
    SELECT scope_id, pattern_id, NULL::text AS facet FROM wordings
     UNION ALL
    SELECT f.scope_id, f.pattern_id, f.facet
      FROM facets f
      JOIN unnest($15::uuid[], $16::text[], $17::text[], $18::integer[])
           AS g (pattern_id, facet, account_key, trials) USING (pattern_id, facet, account_key)
     WHERE f.occurrence_count = g.trials
"""

_ADD_TO_SCRIPTS = """
    INSERT INTO script_accounts AS a (
        scope_id, script_id, account_key, occurrence_count, success_count,
        recent_trials, recent_successes,
        drawn_trials, drawn_weight, drawn_squares, drawn_excess)
    SELECT s.scope_id, s.id, g.account_key, g.trials, g.successes, g.recent_trials, g.recent_successes,
           g.drawn_trials, g.drawn_weight, g.drawn_squares, g.drawn_excess
      FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::text[], $5::integer[], $6::integer[],
                  $7::float8[], $8::float8[], $9::integer[], $10::float8[],
                  $11::float8[], $12::float8[])
           AS g (scope_id, pattern_id, template_hash, account_key, trials, successes, recent_trials,
                 recent_successes, drawn_trials, drawn_weight, drawn_squares, drawn_excess)
      JOIN pattern_scripts s USING (scope_id, pattern_id, template_hash)
     WHERE s.scope_id = ANY($1::bigint[])
    ON CONFLICT (scope_id, script_id, account_key) DO UPDATE
       SET occurrence_count = a.occurrence_count + excluded.occurrence_count,
           success_count = a.success_count + excluded.success_count,
           recent_trials = a.recent_trials + excluded.recent_trials,
           recent_successes = a.recent_successes + excluded.recent_successes,
           drawn_trials = a.drawn_trials + excluded.drawn_trials,
           drawn_weight = a.drawn_weight + excluded.drawn_weight,
           drawn_squares = a.drawn_squares + excluded.drawn_squares,
           drawn_excess = a.drawn_excess + excluded.drawn_excess
"""


async def add_sums(
    connection: Connection, sums: Mapping[PatternKey, PatternSums]
) -> Mapping[PatternKey, News]:
    """Add sums to the rows of their patterns, whose totals are left to the caller: what is new of their words.

    In few statements, because a round trip costs more than any of their parts. Within the caller's transaction, which owns
    the patterns' scopes.
    """
    used = {
        (key, template): text_hash(template)
        for key, own in sums.items()
        for template, _ in own.scripts
    }
    rows = await connection.fetch(
        _ADD,
        *_columns(
            13,
            (
                (*key, account, *of_pattern(share))
                for key, own in sums.items()
                for account, share in own.accounts.items()
            ),
        ),
        *_columns(
            8,
            (
                (*key, facet, account, *of_facet(share))
                for key, own in sums.items()
                for (facet, account), share in own.facets.items()
            ),
        ),
        *_columns(
            9,
            (
                (*key, account, *astuple(harms))
                for key, own in sums.items()
                for account, harms in own.harms.items()
            ),
        ),
        *_columns(
            5,
            (
                (*key, account, text_hash(action), action)
                for key, own in sums.items()
                for account, actions in own.wordings.items()
                for action in actions
            ),
        ),
        *_columns(
            5,
            (
                (key.scope_id, uuid4(), key.pattern_id, template, digest)
                for (key, template), digest in used.items()
            ),
        ),
    )
    if used:
        # By itself, because it reads the scripts that the other adds.
        await connection.execute(
            _ADD_TO_SCRIPTS,
            *_columns(
                12,
                (
                    (*key, used[key, template], account, *of_script(share))
                    for key, own in sums.items()
                    for (template, account), share in own.scripts.items()
                ),
            ),
        )
    wordings: set[PatternKey] = set()
    facets: dict[PatternKey, list[str]] = defaultdict(list)
    for scope_id, pattern_id, facet in rows:
        if facet is None:
            wordings.add(PatternKey(scope_id, pattern_id))
        else:
            facets[PatternKey(scope_id, pattern_id)].append(facet)
    return {key: News(key in wordings, facets[key]) for key in sums}


def _columns(width: int, rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows as one list for each of `width` columns, which unnest makes rows of again."""
    columns: list[list[Any]] = [[] for _ in range(width)]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns
