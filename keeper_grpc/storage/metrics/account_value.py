"""Reads what one account asked, did and gave, and what its peers came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.metrics.account_value import (
    GatheredValue,
    Given,
    OwnAdvice,
    PeerMeasure,
    QuestionOutcomes,
)
from keeper_grpc.domain.metrics.uplift import Arm
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.publication import published
from keeper_grpc.storage.patterns.keys import in_pairs, key_of
from keeper_grpc.storage.patterns.view import read_patterns, see_words, to_pattern, to_shares

AT_A_TIME = 500
"""Patterns that are read at once: an account may have evidence in thousands."""


class PostgresAccountValue:
    """The AccountValueStore of usecases/metrics/account_value.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def gather(
        self, account: Account, start: datetime, rule: PublicationRule
    ) -> GatheredValue:
        """All of it as of one snapshot."""
        async with self._database.transaction(read_only=True) as connection:
            own = await _rates(connection, _OWN, account.key, start)
            peers = await _rates(
                connection, _PEERS, account.business_category, start, account.owner_key
            )
            return GatheredValue(
                active=await _active(connection, account),
                advice=await _advice(connection, account, start),
                outcomes=await _outcomes(connection, account),
                given=await _given(connection, account, start, rule),
                own={measure: arms[0] for measure, arms in own.items()},
                peers=peers,
            )


async def _active(connection: Connection, account: Account) -> bool:
    active: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM enhancements WHERE account_key = $1)"
        " OR EXISTS (SELECT 1 FROM observations WHERE account_key = $1)"
        " OR EXISTS (SELECT 1 FROM rolled_accounts WHERE account_key = $1)"
        " OR EXISTS (SELECT 1 FROM archived_days WHERE account_key = $1)",
        account.key,
    )
    return active


async def _advice(connection: Connection, account: Account, start: datetime) -> OwnAdvice:
    """Of questions that were rolled up without an outcome, those held out are not counted, and advice is proven."""
    (row,) = await connection.fetch(
        """
        SELECT count(e.id) AS questions,
               count(*) FILTER (WHERE e.no_match_reason IS NULL OR e.authored = 'given') AS advised,
               count(*) FILTER (WHERE e.reaction IS NOT NULL) AS shown,
               count(*) FILTER (WHERE e.reaction IN ('accepted', 'done')) AS accepted,
               count(*) FILTER (WHERE e.reaction = 'dismissed') AS dismissed,
               count(*) FILTER (WHERE e.reaction = 'done') AS done,
               count(o.id) AS followed, count(o.id) FILTER (WHERE o.success) AS followed_successes,
               coalesce(sum(o.net_revenue), 0)::double precision AS revenue,
               count(o.net_revenue) AS revenue_count
          FROM enhancements e
          LEFT JOIN observations o
            ON o.scope_id = e.scope_id AND o.enhancement_id = e.id AND NOT held_out(e.holdout, e.authored)
               AND had_advice(e.holdout, e.no_match_reason, e.authored)
         WHERE e.account_key = $1 AND e.created_at >= $2
        """,
        account.key,
        start,
    )
    (rolled,) = await connection.fetch(_ROLLED_ADVICE, account.key, start.date())
    return OwnAdvice(
        questions=row["questions"] + rolled["questions"] + rolled["held_out"],
        advised=row["advised"] + rolled["enhanced"] + rolled["authored"],
        shown=row["shown"] + rolled["shown"],
        accepted=row["accepted"] + rolled["accepted"],
        dismissed=row["dismissed"] + rolled["dismissed"],
        done=row["done"] + rolled["done"],
        followed=Arm(
            row["followed"] + rolled["followed"],
            row["followed_successes"] + rolled["followed_successes"],
        ),
        revenue=row["revenue"] + rolled["revenue"],
        revenue_count=row["revenue_count"] + rolled["revenue_count"],
    )


_ROLLED_COUNTS = (
    *("questions", "enhanced", "held_out", "authored", "shown", "accepted", "dismissed", "done"),
    *("followed", "followed_successes", "revenue_count"),
)

_ROLLED_ADVICE = f"""
    SELECT coalesce(sum(revenue), 0)::double precision AS revenue,
           {", ".join(f"coalesce(sum({column}), 0)::bigint AS {column}" for column in _ROLLED_COUNTS)}
      FROM rolled_questions WHERE account_key = $1 AND day >= $2
"""  # noqa: S608 - constants
"""Of archived questions all of these are known; of those that nobody reported on only the first two."""


async def _outcomes(connection: Connection, account: Account) -> Sequence[QuestionOutcomes]:
    """Those that count in the experiment, of both arms, by what was asked: chance decides by that."""
    rows = await connection.fetch(
        """
        WITH e AS MATERIALIZED (
            -- A question may be of another scope than its outcome.
            SELECT id, pattern_type, business_category, context, action, holdout_share, holdout, authored
              FROM enhancements
             WHERE account_key = $1 AND holdout_share > 0 AND had_advice(holdout, no_match_reason, authored)
        )
        SELECT question, holdout_share, sum(advised)::bigint AS advised,
               sum(advised_successes)::bigint AS advised_successes, sum(held_out)::bigint AS held_out,
               sum(held_out_successes)::bigint AS held_out_successes
          FROM (SELECT asked_alike(e.pattern_type, e.business_category, e.context, e.action) AS question,
                       e.holdout_share,
                       count(*) FILTER (WHERE NOT held_out(e.holdout, e.authored)) AS advised,
                       count(*) FILTER (WHERE NOT held_out(e.holdout, e.authored) AND o.success) AS advised_successes,
                       count(*) FILTER (WHERE held_out(e.holdout, e.authored)) AS held_out,
                       count(*) FILTER (WHERE held_out(e.holdout, e.authored) AND o.success) AS held_out_successes
                  FROM observations o JOIN e ON e.id = coalesce(o.enhancement_id, o.instead_of)
                 WHERE o.account_key = $1 AND o.compared GROUP BY 1, 2
                UNION ALL
                SELECT question, holdout_share, advised, advised_successes, held_out, held_out_successes
                  FROM archived_experiment WHERE account_key = $1) x
         GROUP BY 1, 2 ORDER BY 1, 2
        """,
        account.key,
    )
    return [
        QuestionOutcomes(
            row["question"],
            row["holdout_share"],
            Arm(row["advised"], row["advised_successes"]),
            Arm(row["held_out"], row["held_out_successes"]),
        )
        for row in rows
    ]


async def _given(
    connection: Connection, account: Account, start: datetime, rule: PublicationRule
) -> Given:
    observations: int = await connection.fetchval(
        """
        SELECT (SELECT count(*) FROM observations WHERE account_key = $1 AND occurred_time >= $2)
             + (SELECT coalesce(sum(observations), 0)::bigint FROM archived_days
                 WHERE account_key = $1 AND occurred_day >= $3)
        """,
        account.key,
        start,
        start.date(),
    )
    shared = await _shared(connection, account, rule)
    helped: int = await connection.fetchval(
        """
        WITH shared AS (
            SELECT scope_id, pattern_id, min(since) AS since
              FROM (SELECT o.scope_id, o.pattern_id, min(o.recorded_time) AS since
                      FROM unnest($1::bigint[], $2::uuid[]) p (scope_id, pattern_id)
                      JOIN observations o USING (scope_id, pattern_id)
                     WHERE o.account_key = $3 AND o.counted GROUP BY 1, 2
                     UNION ALL
                    SELECT r.scope_id, r.pattern_id, r.first_recorded_time
                      FROM unnest($1::bigint[], $2::uuid[]) p (scope_id, pattern_id)
                      JOIN archived_parts r USING (scope_id, pattern_id)
                     WHERE r.account_key = $3) own
             GROUP BY 1, 2
        ), advised AS (
            SELECT e.account_key
              FROM shared s
              JOIN enhancements e ON e.advised_scope_id = s.scope_id AND e.pattern_id = s.pattern_id
               AND e.no_match_reason IS NULL AND e.created_at > s.since
             UNION
            SELECT r.account_key
              FROM shared s
              JOIN rolled_advice r ON r.scope_id = s.scope_id AND r.pattern_id = s.pattern_id
               AND r.last_time > s.since
        )
        SELECT count(DISTINCT a.owner_key) FROM advised JOIN accounts a USING (account_key)
         WHERE a.owner_key <> $4 AND a.qualified AND NOT a.forgetting
        """,
        *in_pairs(shared),
        account.key,
        account.owner_key,
    )
    return Given(observations, len(shared), helped)


async def _shared(
    connection: Connection, account: Account, rule: PublicationRule
) -> Sequence[PatternKey]:
    """The patterns that the account has evidence in, and may see: published without its owner.

    Of the others it may not even learn that they are published, because that tells that somebody else has said
    the same.
    """
    rows = await connection.fetch(
        f"""
        SELECT p.scope_id, p.id FROM pattern_accounts s
          JOIN network_patterns p ON p.scope_id = s.scope_id AND p.id = s.pattern_id
          JOIN accounts a ON a.account_key = s.account_key
         WHERE s.account_key = $1 AND s.occurrence_count > 0 AND a.qualified AND NOT a.forgetting
           AND {published("p", "$2")}
         ORDER BY 1, 2
        """,  # noqa: S608 - a constant
        account.key,
        rule.k,
    )
    shared: list[PatternKey] = []
    for first in range(0, len(rows), AT_A_TIME):
        keys = [key_of(row) for row in rows[first : first + AT_A_TIME]]
        seen = await read_patterns(connection, keys, account.key)
        words = await see_words(connection, seen, rule, account.key)
        shared += [
            key_of(row)
            for row in seen
            if not to_pattern(
                row, to_shares(row), (), rule, words=words.get(row["id"]), harms={}
            ).withheld(rule)
        ]
    return shared


_MEASURED = """
    SELECT 'success_rate' AS measure, {by} AS owner, sum(s.occurrence_count)::bigint AS trials,
           sum(s.success_count)::bigint AS successes
      FROM accounts a JOIN pattern_accounts s USING (account_key) WHERE {whose} GROUP BY {by}
     UNION ALL
    SELECT 'advised_success_rate', {by}, sum(x.advised)::bigint, sum(x.advised_successes)::bigint
      FROM accounts a JOIN experiment_outcomes x USING (account_key) WHERE {whose} GROUP BY {by}
     UNION ALL
    SELECT 'adoption_rate', {by}, sum(e.reactions)::bigint,
           coalesce(sum(e.reactions) FILTER (WHERE e.adopted IN ('accepted', 'done')), 0)::bigint
      FROM accounts a JOIN adopted_advice e USING (account_key)
     WHERE {whose} AND e.adopted_time >= $2 GROUP BY {by}
"""
"""Trials and successes as they count, in steps: none changes by one outcome or one reaction."""

_OWN = _MEASURED.format(by="a.account_key", whose="a.account_key = $1")

_PEERS = _MEASURED.format(
    by="a.owner_key",
    whose="a.business_category = $1 AND a.owner_key <> $3 AND a.qualified AND NOT a.forgetting",
)


async def _rates(
    connection: Connection, statement: str, *arguments: object
) -> Mapping[PeerMeasure, list[Arm]]:
    found: dict[PeerMeasure, list[Arm]] = {}
    for row in await connection.fetch(statement, *arguments):
        arm = Arm(row["trials"], row["successes"])
        found.setdefault(PeerMeasure(row["measure"]), []).append(arm)
    return found
