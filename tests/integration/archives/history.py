"""Histories to archive, and everything that is counted from one."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import RegisterAccountRequest
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternRequest
from tests.rpc.feedback import ask, react, report
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service

HALF_LIFE = timedelta(days=90)
SPAN = 400
"""Days of a history."""

TOPIC = "churn_prevention"
ACTIONS = ("Offer a warm towel", "Call the guest back", "Raise the price by 10%")
SCRIPTS = ("", "Hi {name}, we missed you", "Welcome back, {name}")
REACTIONS: Sequence[Sequence[str]] = (
    (),
    ("SHOWN",),
    ("SHOWN", "ACCEPTED"),
    ("DISMISSED",),
    ("ACCEPTED", "DONE"),
)
SITUATIONS: Sequence[Mapping[str, Any]] = ({}, {"churn_risk": "high"}, {"churn_risk": "low"})

COUNTED: Mapping[str, str] = {
    "patterns": "SELECT *, pattern_embedding::float4[] AS place FROM network_patterns ORDER BY id",
    "actions": "SELECT *, action_embedding::float4[] AS place FROM pattern_actions ORDER BY pattern_id",
    "shares": "SELECT * FROM pattern_accounts ORDER BY pattern_id, account_key",
    "harms": "SELECT * FROM pattern_harms ORDER BY pattern_id, account_key",
    "facets": "SELECT * FROM pattern_facets ORDER BY pattern_id, facet, account_key",
    "wordings": "SELECT * FROM pattern_wordings ORDER BY pattern_id, account_key, action_hash",
    "scripts": "SELECT pattern_id, template FROM pattern_scripts ORDER BY 1, 2",
    "script shares": "SELECT s.pattern_id, s.template, a.* FROM script_accounts a "
    "JOIN pattern_scripts s ON s.scope_id = a.scope_id AND s.id = a.script_id ORDER BY 1, 2, a.account_key",
    "days": "SELECT * FROM current_measures ORDER BY day, business_category",
    "advice": "SELECT * FROM pattern_advice ORDER BY pattern_id, business_category",
    "milestones": "SELECT * FROM account_milestones ORDER BY account_key",
    "transfers": "SELECT * FROM (SELECT scope_id, account_key, business_category, advised_category, pattern_id, "
    "sum(trials)::bigint AS trials, sum(expected) AS expected, sum(successes)::bigint AS successes FROM ("
    "SELECT e.scope_id, o.account_key, o.business_category, e.advised_category, e.pattern_id, 1 AS trials, "
    "e.expected_success_rate / e.transfer AS expected, o.success::integer AS successes "
    "FROM observations o JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id AND NOT e.holdout "
    "WHERE o.counted AND e.advised_scope_id <> o.scope_id AND e.pattern_id IS NOT NULL UNION ALL "
    "SELECT scope_id, account_key, business_category, advised_category, pattern_id, trials, expected, successes "
    "FROM archived_transfers) both_of_them GROUP BY 1, 2, 3, 4, 5) t ORDER BY 1, 2, 5",
    "adoption": "SELECT account_key, advised_scope_id, pattern_id, business_category, script, adopted, adopted_reason, "
    "adopted_time::date AS day, sum(reactions)::bigint AS n FROM adopted_advice GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 "
    "ORDER BY 1, 3, 8, 6, 5, 4, 7",
    "steps": "SELECT account_key, pattern_id, sum(n)::bigint AS n FROM (SELECT account_key, "
    "coalesce(pattern_id, '00000000-0000-0000-0000-000000000000') AS pattern_id, 1 AS n FROM reactions UNION ALL "
    "SELECT * FROM archived_steps) r GROUP BY 1, 2 ORDER BY 1, 2",
    "arms": "SELECT * FROM ledger_experiment ORDER BY scope_id, account_key, holdout_share, compared",
    "experiment": "SELECT * FROM experiment_outcomes ORDER BY scope_id, account_key, holdout_share",
}
"""All that is made of the ledger."""

NOT_COUNTED = {"changed_in", "retired_time", "pattern_embedding", "action_embedding", "script_id"}
"""When a row changed or was taken back, vectors as text (the same are there as `place`), ids that a script gets when it comes back."""

State = Mapping[str, Sequence[Mapping[str, Any]]]


class Calendar:
    """The clock of a service whose history is played in the past."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) - timedelta(days=SPAN)

    def __call__(self) -> datetime:
        """The moment that it is there."""
        return self.now


async def live(
    service: Service, draw: random.Random, steps: int, calendar: Calendar | None = None
) -> Mapping[str, str]:
    """A history of captures in the past and of questions with what became of them, by these accounts, with their categories.

    Questions are asked now, unless a `calendar` is the clock of the service.
    """
    accounts = {new_account(): draw.choice(["spa", "spa", "gym"]) for _ in range(8)}
    for account in list(accounts)[:4]:
        await service.admin.RegisterAccount(
            RegisterAccountRequest(account_id=account, business_category=accounts[account])
        )
    for _ in range(steps):
        if calendar is not None:
            calendar.now += timedelta(days=SPAN / (steps + 1))
        now = datetime.now(UTC) if calendar is None else calendar()
        account, category = draw.choice(list(accounts.items()))
        if draw.random() < (0.8 if calendar is None else 0.45):
            await service.network.CapturePattern(_capture(draw, account, category, now))
        else:
            await _ask(service, draw, account, category, now, whole=calendar is None)
    return accounts


def _capture(
    draw: random.Random, account: str, category: str, now: datetime
) -> CapturePatternRequest:
    request = capture(
        TOPIC,
        draw.choice(ACTIONS),
        account=account,
        success=draw.random() < 0.9,
        category=category,
        script=draw.choice(SCRIPTS),
        conditions=draw.choice(SITUATIONS),
    )
    request.occurred_time.FromDatetime(now - timedelta(days=draw.uniform(2, SPAN)))
    if draw.random() < 0.5:
        request.outcome.MergeFrom(_outcome(draw))
    return request


def _outcome(draw: random.Random) -> Outcome:
    return Outcome(
        revenue_impact=draw.uniform(-50, 500),
        cost=draw.uniform(0, 50),
        complained=draw.random() < 0.3,
        customer_retained=draw.random() < 0.5,
    )


async def _ask(
    service: Service,
    draw: random.Random,
    account: str,
    category: str,
    now: datetime,
    *,
    whole: bool,
) -> None:
    """A question; `whole`: always with an outcome, else what becomes of it is any of what may."""
    given = await ask(
        service,
        TOPIC,
        account,
        draw.choice(ACTIONS),
        category=category,
        conditions=draw.choice(SITUATIONS),
        min_success_rate=0.3,
    )
    if not whole and given.enhanced_insight.network_enhanced:
        for reaction in draw.choice(REACTIONS):
            reason = "TOO_COSTLY" if reaction == "DISMISSED" else "UNSPECIFIED"
            await service.network.ReportReaction(
                react(account, given.enhancement_id, reaction, reason=reason)
            )
    fate = 0.5 if whole else draw.random()
    if fate < 0.15:
        request = _capture(draw, account, category, now)
        request.enhancement_id = given.enhancement_id
        await service.network.CapturePattern(request)
    elif fate < 0.85:
        if fate < 0.3:
            interim = report(account, given.enhancement_id, success=draw.random() < 0.5)
            interim.outcome.final = False
            await service.network.ReportOutcome(interim)
        final = report(account, given.enhancement_id, success=draw.random() < 0.7)
        if draw.random() < 0.5:
            final.outcome.MergeFrom(_outcome(draw))
        await service.network.ReportOutcome(final)


async def age(dsn: str) -> None:
    """As after the retention of requests: a retry of all but some of them is no longer recognized."""
    await execute(
        dsn, "DELETE FROM outcome_requests WHERE get_byte(uuid_send(request_id), 15) >= 25"
    )
    await execute(dsn, "DELETE FROM reaction_requests")


async def counted(dsn: str) -> State:
    """All that is made of the ledger, now."""
    connection = await asyncpg.connect(dsn)
    try:
        return {
            name: [
                {column: value for column, value in row.items() if column not in NOT_COUNTED}
                for row in await connection.fetch(sql)
            ]
            for name, sql in COUNTED.items()
        }
    finally:
        await connection.close()


def differences(one: State, other: State) -> Sequence[str]:
    """What is not the same, as `table.column`; floats within what the order of a sum can change."""
    found = [name for name in COUNTED if len(one[name]) != len(other[name])]
    for name in COUNTED:
        for mine, its in zip(one[name], other[name], strict=False):
            found += [f"{name}.{column}" for column in mine if not _same(mine[column], its[column])]
    return sorted(set(found))


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            abs(mine - its) < 1e-5 for mine, its in zip(one, other, strict=True)
        )
    return one == other


async def execute(dsn: str, sql: str, *arguments: object) -> Any:
    """Run a statement: the value that it answers, if it answers one."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()
