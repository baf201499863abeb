"""The tables of usecases/evidence/learn_lifts.py."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from keeper_grpc.domain.evidence.lifts import MOST_SCRIPTS, Lift, Lifts, Worded
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.publication import published
from keeper_grpc.storage.locks import AdvisoryLock, try_lock
from keeper_grpc.storage.patterns.holding import hold_patterns
from keeper_grpc.storage.patterns.versions import touch
from keeper_grpc.storage.patterns.view import see_patterns

AT_ONCE = 200
"""Patterns that are read or written in one transaction: captures of them wait meanwhile."""

_Written = dict[tuple[UUID, str], Lift | None]
"""The lifts of scripts by pattern and text; None takes one."""


class PostgresLifts:
    """Lifts in the rows of scripts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def worded(self, rule: PublicationRule) -> Sequence[Worded]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f"""
                SELECT scope_id, id FROM (
                    SELECT p.scope_id, p.id, row_number() OVER (
                               PARTITION BY p.pattern_type ORDER BY p.occurrence_count DESC, p.id) AS place
                      FROM network_patterns p
                     WHERE {published("p", "$1")}
                       AND (SELECT count(*) FROM pattern_scripts s
                             WHERE s.scope_id = p.scope_id AND s.pattern_id = p.id) > 1
                ) known WHERE place <= $2
                """,  # noqa: S608 - only constants are interpolated
                rule.k,
                MOST_SCRIPTS // 2,
            )
        keys = [PatternKey(*row) for row in rows]
        found: list[Worded] = []
        for start in range(0, len(keys), AT_ONCE):
            async with self._database.transaction(read_only=True) as connection:
                seen = await see_patterns(connection, keys[start : start + AT_ONCE], rule)
            found += [
                Worded(
                    pattern.pattern_id,
                    pattern.scope.pattern_type,
                    script.template,
                    script.evidence.trials,
                    script.evidence.successes,
                )
                for pattern in seen.values()
                if not pattern.withheld(rule)
                for script in pattern.publishable_scripts(rule)
            ]
        return found

    async def keep(self, lifts: Lifts) -> int:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT scope_id, pattern_id, template, lift, lift_deviation FROM pattern_scripts
                 WHERE lift IS NOT NULL OR pattern_id = ANY($1::uuid[])
                """,
                list({pattern_id for pattern_id, _ in lifts}),
            )
        changed: dict[PatternKey, _Written] = {}
        for scope_id, pattern_id, template, mean, deviation in rows:
            current = None if mean is None else Lift(mean, deviation)
            learned = lifts.get((pattern_id, template))
            if learned != current:
                own = changed.setdefault(PatternKey(scope_id, pattern_id), {})
                own[pattern_id, template] = learned
        done = 0
        keys = sorted(changed, key=lambda key: key.pattern_id)
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            async with self._database.transaction() as connection:
                if not await try_lock(connection, AdvisoryLock.PRIORS):
                    break
                done += await _write(connection, part, changed)
        return done


async def _write(
    connection: Connection, keys: Sequence[PatternKey], changed: dict[PatternKey, _Written]
) -> int:
    """Write the lifts of these patterns' scripts; of how many."""
    await hold_patterns(connection, keys)
    given = [
        (key.scope_id, key.pattern_id, template, lift)
        for key in keys
        for (_, template), lift in changed[key].items()
    ]
    scopes, patterns, templates, lifts = zip(*given, strict=True)
    written: int = await connection.fetchval(
        """
        WITH given AS (
            SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::double precision[],
                                 $5::double precision[])
                AS g (scope_id, pattern_id, template, lift, deviation)
        ), changed AS (
            UPDATE pattern_scripts s
               SET lift = g.lift, lift_deviation = g.deviation
              FROM given g
             WHERE s.scope_id = g.scope_id AND s.pattern_id = g.pattern_id
               AND s.template = g.template
            RETURNING s.id
        )
        SELECT count(*) FROM changed
        """,
        scopes,
        patterns,
        templates,
        [lift and lift.mean for lift in lifts],
        [lift and lift.deviation for lift in lifts],
    )
    await touch(connection, keys)
    return written
