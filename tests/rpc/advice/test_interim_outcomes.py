"""An interim outcome counts until a later report takes its place."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1 import insight_pb2
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsRequest,
    GetPatternRequest,
    ReportOutcomeRequest,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence
from tests.rpc.feedback import TOWEL, ask, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service

SCRIPT = "Hi {name}, a warm towel is waiting for you"


@pytest.fixture(scope="module", autouse=True)
def same_direction(geometry: Geometry) -> None:
    """Whatever is about the towel is alike, in any situation."""
    geometry.together(TOWEL)


def revision(account: str, capture_request_id: str, **outcome: Any) -> ReportOutcomeRequest:
    """A valid report on a capture, with a new request_id."""
    return ReportOutcomeRequest(
        request_id=str(uuid.uuid4()),
        account_id=account,
        capture_request_id=capture_request_id,
        outcome=insight_pb2.Outcome(**outcome),
    )


async def evidence(service: Service, pattern_id: str) -> Evidence:
    """The pattern's evidence as anybody sees it."""
    request = GetPatternRequest(pattern_id=pattern_id)
    return (await service.network.GetPattern(request)).pattern.evidence


async def test_a_later_report_takes_the_place_of_an_interim_one(
    service: Service, topic: str
) -> None:
    """The evidence moves by the difference, in the pattern, the script, the situation and the ledger."""
    pattern_id = await teach(service, topic, ["++", "++", "+-"], script=SCRIPT)
    account = new_account()
    given = await ask(service, topic, account, conditions={"churn_risk": "high"})
    for success, final in ((False, False), (True, False), (True, True)):
        answer = await service.network.ReportOutcome(
            report(account, given.enhancement_id, success=success, final=final)
        )
        assert (answer.pattern_id, answer.replayed) == (pattern_id, False)
        seen = await evidence(service, pattern_id)
        assert (seen.occurrence_count, seen.success_count) == (7, 5 + success)
    counted = await service.database.fetchrow(
        """
        SELECT (SELECT sum(a.success_count)::int FROM script_accounts a
                  JOIN pattern_scripts s ON s.scope_id = a.scope_id AND s.id = a.script_id WHERE s.pattern_id = $1::text::uuid),
               (SELECT sum(success_count)::int FROM pattern_facets
                 WHERE pattern_id = $1::text::uuid AND facet = 'churn_risk="high"'),
               (SELECT array_agg(success ORDER BY id) FROM outcome_revisions
                 WHERE observation_id = (SELECT id FROM observations
                                          WHERE enhancement_id = $2::text::uuid))
        """,
        pattern_id,
        given.enhancement_id,
    )
    assert counted is not None
    assert tuple(counted) == (6, 1, [False, True])


@pytest.mark.parametrize("final", [True, False])
async def test_a_final_outcome_is_replaced_by_none(
    service: Service, topic: str, final: bool
) -> None:
    """Not by another final one, nor by one that comes too late to be interim."""
    await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    given = await ask(service, topic, account)
    await service.network.ReportOutcome(report(account, given.enhancement_id))
    refused = await refusal(
        service.network.ReportOutcome(
            report(account, given.enhancement_id, success=False, final=final)
        )
    )
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "OUTCOME_ALREADY_REPORTED"


async def test_a_retry_of_a_replaced_report_changes_nothing(service: Service, topic: str) -> None:
    """The first answer again, however late it comes; with another body it is refused."""
    pattern_id = await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    given = await ask(service, topic, account)
    first = report(account, given.enhancement_id, success=False, final=False)
    second = report(account, given.enhancement_id, success=False, revenue_impact=3.0, final=False)
    last = report(account, given.enhancement_id)
    for request in (first, second, last):
        assert not (await service.network.ReportOutcome(request)).replayed
    for request in (first, second, last):
        answer = await service.network.ReportOutcome(request)
        assert (answer.replayed, answer.pattern_id) == (True, pattern_id)
    assert (await evidence(service, pattern_id)).success_count == 4
    second.outcome.success = True
    assert (await refusal(service.network.ReportOutcome(second))).reason == "REQUEST_ID_REUSED"
    taken = capture(topic, account=account, request_id=second.request_id)
    assert (await refusal(service.network.CapturePattern(taken))).reason == "REQUEST_ID_REUSED"


async def test_of_many_final_reports_one_takes_the_place(service: Service, topic: str) -> None:
    """At once, with ids of their own."""
    await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    given = await ask(service, topic, account)
    await service.network.ReportOutcome(report(account, given.enhancement_id, final=False))
    results = await asyncio.gather(
        *(service.network.ReportOutcome(report(account, given.enhancement_id)) for _ in range(4)),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1


async def test_the_interim_outcome_of_a_capture_is_replaced_by_its_request(
    service: Service, topic: str
) -> None:
    """The capture's request_id names it, also after its outcome was replaced once."""
    pattern_id = await teach(service, topic, ["++", "++", "++"])
    account = new_account()
    request = capture(topic, account=account)
    request.outcome.final = False
    await service.network.CapturePattern(request)
    assert (await evidence(service, pattern_id)).success_count == 7
    for success, final in ((True, False), (False, True)):
        await service.network.ReportOutcome(
            revision(account, request.request_id, success=success, final=final)
        )
        assert (await evidence(service, pattern_id)).success_count == 6 + success
    assert (await evidence(service, pattern_id)).occurrence_count == 7
    assert (await service.network.CapturePattern(request)).replayed
    refused = await refusal(
        service.network.ReportOutcome(revision(account, request.request_id, success=True))
    )
    assert refused.reason == "OUTCOME_ALREADY_REPORTED"


async def test_another_accounts_capture_does_not_exist(service: Service, topic: str) -> None:
    """Neither for a stranger, nor for an unknown account, nor under an id that no capture had."""
    owner, stranger = new_account(), new_account()
    request = capture(topic, account=owner)
    request.outcome.final = False
    await service.network.CapturePattern(request)
    await service.network.CapturePattern(capture(topic, account=stranger))
    refusals = [
        await refusal(service.network.ReportOutcome(revision(who, which, success=True)))
        for who, which in (
            (stranger, request.request_id),
            (new_account(), request.request_id),
            (owner, str(uuid.uuid4())),
        )
    ]
    assert refusals[0].code is grpc.StatusCode.NOT_FOUND
    assert refusals[0].reason == "CAPTURE_NOT_FOUND"
    assert refusals[1:] == [refusals[0]] * 2


async def test_an_interim_outcome_without_advice_is_replaced_too(
    service: Service, topic: str
) -> None:
    """It is evidence of no pattern, before and after."""
    account = new_account()
    given = await ask(service, topic, account)
    for final in (False, True):
        answer = await service.network.ReportOutcome(
            report(account, given.enhancement_id, success=final, final=final)
        )
        assert not answer.pattern_id
    stored = "SELECT success FROM observations WHERE enhancement_id = $1::text::uuid"
    assert await service.value(stored, given.enhancement_id) is True


async def test_revenue_is_shown_net_of_its_cost(service: Service, topic: str) -> None:
    """Of those who say what it cost; for the others it is what they measured."""
    for revenue, cost in ((100.0, 30.0), (100.0, 30.0), (70.0, None), (50.0, 10.0)):
        request = capture(topic)
        request.outcome.revenue_impact = revenue
        if cost is not None:
            request.outcome.cost = cost
        stored = await service.capture(request)
    assert (await evidence(service, stored.pattern_id)).mean_revenue_impact == 70.0


async def test_the_networks_revenue_is_net_and_moves_with_a_revision(
    service: Service, topic: str
) -> None:
    """The sum of all advice, as its last reports say."""
    await teach(service, topic, ["+", "+", "+"])
    request = GetNetworkMetricsRequest()
    before = (await service.network.GetNetworkMetrics(request)).metrics
    for _ in range(3):
        account = new_account()
        given = await ask(service, topic, account)
        for revenue, final in ((900.0, False), (100.0, True)):
            await service.network.ReportOutcome(
                report(
                    account, given.enhancement_id, revenue_impact=revenue, cost=30.0, final=final
                )
            )
    after = (await service.network.GetNetworkMetrics(request)).metrics
    gained = after.revenue_generated_network.value - before.revenue_generated_network.value
    assert gained == pytest.approx(210.0)


async def test_forgetting_forgets_what_was_replaced(service: Service, topic: str) -> None:
    """The history is the account's as much as the ledger."""
    pattern_id = await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    given = await ask(service, topic, account)
    for final in (False, True):
        await service.network.ReportOutcome(report(account, given.enhancement_id, final=final))
    key = await service.value(
        "SELECT account_key FROM enhancements WHERE id = $1::text::uuid", given.enhancement_id
    )
    kept = "SELECT count(*) FROM outcome_revisions WHERE account_key = $1"
    assert await service.value(kept, key) == 1
    await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
    assert await service.value(kept, key) == 0
    assert (await evidence(service, pattern_id)).occurrence_count == 3
