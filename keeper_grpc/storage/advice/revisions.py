"""Putting a later outcome into the place of an interim one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.observation import Revision
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.storage.accounts.holding import own_account
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.evidence.recount import recount_account
from keeper_grpc.storage.evidence.totals import Change, refresh_evidence
from keeper_grpc.storage.metrics.experiment import count_in_experiment, count_out_of_experiment
from keeper_grpc.storage.metrics.measuring import delete_outcomes, measure_outcomes
from keeper_grpc.storage.patterns.ledger import (
    count_waiting,
    outcome_columns,
    record_requests,
)
from keeper_grpc.storage.patterns.versions import touch
from keeper_grpc.storage.rows import insert_row

if TYPE_CHECKING:
    from asyncpg import Record


async def revise_outcome(connection: Connection, revision: Revision, counting: Counting) -> None:
    """Replace the outcome in the ledger and in all that is counted from it; what was replaced is kept.

    One that waits for its final outcome, as all do where outcomes count in steps, begins to count with it.

    Within the caller's transaction, which owns the scope of the observation's pattern. The observation stays
    where it was recorded, so that its sums are those of a rebuild.
    """
    # Before any of its rows, as ForgetAccount does, and alone: milestones are recounted from the account's whole
    # ledger, which no other call may extend meanwhile.
    await own_account(connection, revision.account_key)
    await count_out_of_experiment(connection, revision.scope_id, revision.observation_id)
    replaced = await connection.fetchrow(
        "SELECT * FROM observations WHERE scope_id = $1 AND id = $2",
        revision.scope_id,
        revision.observation_id,
    )
    assert replaced is not None  # noqa: S101 - the scope is owned
    await delete_outcomes(connection, [revision.observation_id])
    await _keep(connection, replaced, revision)
    asked = replaced["enhancement_id"] or replaced["instead_of"]
    key = replaced["pattern_id"] and PatternKey(revision.scope_id, replaced["pattern_id"])
    # Computed by the database.
    row = {column: value for column, value in replaced.items() if column != "net_revenue"}
    row |= outcome_columns(revision.outcome) | {"occurred_time": revision.occurred_time}
    row |= {"compared": False if asked else None, "measured_day": None}
    await insert_row(connection, "observations", row)
    await measure_outcomes(
        connection,
        {revision.scope_id},
        [revision.observation_id],
        [revision.observation_id] if replaced["enhancement_id"] else [],
    )
    if key is not None and not replaced["counted"]:
        scope = Scope(row["pattern_type"], row["business_category"], row["embedding_model"])
        await count_waiting(connection, key, scope, revision.account_key, counting)
    if asked:
        await count_in_experiment(connection, {revision.account_key}, counting.step)
    await connection.execute("SELECT recount_milestones($1)", revision.account_key)
    if key is not None and replaced["counted"]:
        await recount_account(connection, key, revision.account_key, counting)
        await _move_span(connection, key, replaced["occurred_time"], revision.occurred_time)
        await refresh_evidence(connection, {key: Change()}, counting.rule)
    if key is not None:
        await touch(connection, [key])


async def _keep(connection: Connection, replaced: Record, revision: Revision) -> None:
    """Append what the revision replaces to the history, with the request that did."""
    await record_requests(connection, [revision])
    columns = (*outcome_columns(revision.outcome), "occurred_time")
    await insert_row(
        connection,
        "outcome_revisions",
        {
            "scope_id": revision.scope_id,
            "account_key": revision.account_key,
            "observation_id": revision.observation_id,
            "recorded_time": revision.recorded_time,
            **{column: replaced[column] for column in columns if column != "final"},
        },
    )


async def _move_span(
    connection: Connection, key: PatternKey, before: datetime, after: datetime
) -> None:
    """Let the pattern's span be that of its outcomes, one of which occurred at another time.

    All are read only where the one that moved was the first or the last.
    """
    await connection.execute(
        """
        UPDATE network_patterns p
           SET first_discovered = CASE WHEN p.catalog_key IS NULL
                   THEN coalesce(span.first, p.first_discovered)
                   ELSE least(p.created_at, span.first) END,
               last_validated = span.last
          FROM (SELECT min(o.first) AS first, max(o.last) AS last
                  FROM (SELECT account_key, business_category, occurred_time AS first, occurred_time AS last
                          FROM observations WHERE scope_id = $1 AND pattern_id = $2 AND counted
                        UNION ALL
                        SELECT account_key, business_category, first_time, last_time
                          FROM archived_parts WHERE scope_id = $1 AND pattern_id = $2) o
                  JOIN accounts a USING (account_key, business_category)) span
         WHERE p.scope_id = $1 AND p.id = $2 AND $3::timestamptz <> $4::timestamptz
           AND ($3 <= p.first_discovered OR $3 >= p.last_validated
                OR $4 < p.first_discovered OR $4 > p.last_validated)
        """,
        *key,
        before,
        after,
    )
