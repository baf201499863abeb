"""Histories to archive, and everything that is counted from one."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import RegisterAccountRequest
from tests.rpc.feedback import ask, report
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service

HALF_LIFE = timedelta(days=90)
SPAN = 400
"""Days of a history."""

TOPIC = "churn_prevention"
ACTIONS = ("Offer a warm towel", "Call the guest back", "Raise the price by 10%")
SCRIPTS = ("", "Hi {name}, we missed you", "Welcome back, {name}")
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
    "experiment": "SELECT * FROM experiment_outcomes ORDER BY scope_id, account_key, holdout_share",
}
"""All that is made of the ledger."""

NOT_COUNTED = {"changed_in", "pattern_embedding", "action_embedding", "script_id"}
"""When a row changed, vectors as text (the same are there as `place`), ids that a script gets when it comes back."""

State = Mapping[str, Sequence[Mapping[str, Any]]]


async def live(service: Service, draw: random.Random, steps: int) -> Mapping[str, str]:
    """A history of captures in the past and of questions with reports, by these accounts, with their categories."""
    accounts = {new_account(): draw.choice(["spa", "spa", "gym"]) for _ in range(8)}
    for account in list(accounts)[:4]:
        await service.admin.RegisterAccount(
            RegisterAccountRequest(account_id=account, business_category=accounts[account])
        )
    for _ in range(steps):
        account, category = draw.choice(list(accounts.items()))
        action, situation = draw.choice(ACTIONS), draw.choice(SITUATIONS)
        if draw.random() < 0.8:
            request = capture(
                TOPIC,
                action,
                account=account,
                success=draw.random() < 0.9,
                category=category,
                script=draw.choice(SCRIPTS),
                conditions=situation,
            )
            days = timedelta(days=draw.uniform(2, SPAN))
            request.occurred_time.FromDatetime(datetime.now(UTC) - days)
            if draw.random() < 0.5:
                request.outcome.revenue_impact = draw.uniform(-50, 500)
                request.outcome.cost = draw.uniform(0, 50)
                request.outcome.complained = draw.random() < 0.3
            await service.network.CapturePattern(request)
        else:
            given = await ask(
                service,
                TOPIC,
                account,
                action,
                category=category,
                conditions=situation,
                min_success_rate=0.3,
            )
            await service.network.ReportOutcome(
                report(account, given.enhancement_id, success=draw.random() < 0.7)
            )
    return accounts


async def age(dsn: str) -> None:
    """As after the retention of requests: a retry of all but some of them is no longer recognized."""
    await execute(
        dsn, "DELETE FROM outcome_requests WHERE get_byte(uuid_send(request_id), 15) >= 25"
    )


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
