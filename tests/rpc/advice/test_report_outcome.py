from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetPatternRequest
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


async def test_an_outcome_becomes_evidence_of_the_pattern_and_of_its_script(
    service: Service, topic: str
) -> None:
    """The ledger, the pattern, the script and the situation all have one more."""
    pattern_id = await teach(service, topic, ["++", "++", "+-"], script=SCRIPT)
    account = new_account()
    given = await ask(service, topic, account, conditions={"churn_risk": "high"})
    answer = await service.network.ReportOutcome(
        report(account, given.enhancement_id, success=False, revenue_impact=-20.0)
    )
    assert answer.pattern_id == pattern_id
    assert not answer.replayed
    known = (await service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))).pattern
    assert (known.evidence.occurrence_count, known.evidence.success_count) == (7, 5)
    assert known.evidence.account_count == 4
    assert not known.evidence.HasField("mean_revenue_impact")  # one account's figure
    assert (
        await service.value(
            "SELECT sum(revenue_total) FROM pattern_accounts WHERE pattern_id = $1::text::uuid",
            pattern_id,
        )
        == -20.0
    )
    tries = await service.value(
        """
        SELECT sum(a.occurrence_count)::int FROM script_accounts a
          JOIN pattern_scripts s ON s.scope_id = a.scope_id AND s.id = a.script_id WHERE s.pattern_id = $1::text::uuid
        """,
        pattern_id,
    )
    assert tries == 7
    row = await service.database.fetchrow(
        "SELECT * FROM observations WHERE enhancement_id = $1::text::uuid", given.enhancement_id
    )
    assert row is not None
    assert row["disposition"] == "reported"
    assert row["context"] == '{"churn_risk": "high"}'
    assert (row["action"], row["script"]) == (TOWEL, SCRIPT)
    facet = await service.value(
        "SELECT count(*) FROM pattern_facets WHERE pattern_id = $1::text::uuid AND facet = $2",
        pattern_id,
        'churn_risk="high"',
    )
    assert facet == 1


async def test_an_outcome_without_advice_is_recorded_with_what_was_asked(
    service: Service, topic: str
) -> None:
    """The ledger has the question whole: its wordings and what was at stake."""
    account = new_account()
    asked = await ask(
        service, topic, account, script="A warm towel?", dollar_value=120.0, potential_value=40.0
    )
    assert not asked.enhanced_insight.network_enhanced
    await service.network.ReportOutcome(report(account, asked.enhancement_id))
    row = await service.database.fetchrow(
        """
        SELECT action, script, confidence, dollar_value, potential_value FROM observations
         WHERE enhancement_id = $1::text::uuid
        """,
        asked.enhancement_id,
    )
    assert row is not None
    assert tuple(row) == (TOWEL, "A warm towel?", 0.5, 120.0, 40.0)


async def test_a_report_does_not_move_the_pattern(service: Service, topic: str) -> None:
    """It repeats the pattern's words: where the pattern lies stays as the captures left it."""
    pattern_id = await teach(service, topic, ["+", "+", "+"])
    where = (
        "SELECT pattern_embedding::text || embedding_weight FROM network_patterns "
        "WHERE id = $1::text::uuid"
    )
    before = await service.value(where, pattern_id)
    account = new_account()
    given = await ask(service, topic, account, conditions={"churn_risk": "high"})
    await service.network.ReportOutcome(report(account, given.enhancement_id))
    assert await service.value(where, pattern_id) == before


async def test_a_retry_counts_once(service: Service, topic: str) -> None:
    """The same request gets the first answer, however many arrive at once."""
    pattern_id = await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    given = await ask(service, topic, account)
    request = report(account, given.enhancement_id)
    answers = await asyncio.gather(*(service.network.ReportOutcome(request) for _ in range(5)))
    assert sorted(answer.replayed for answer in answers) == [False, True, True, True, True]
    assert {answer.pattern_id for answer in answers} == {pattern_id}
    known = (await service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))).pattern
    assert known.evidence.occurrence_count == 4


async def test_a_request_id_cannot_be_used_for_something_else(service: Service, topic: str) -> None:
    """Neither for another outcome, nor after a capture of the same account."""
    await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    given = await ask(service, topic, account)
    request = report(account, given.enhancement_id)
    await service.network.ReportOutcome(request)
    other = report(account, given.enhancement_id, success=False, request_id=request.request_id)
    refused = await refusal(service.network.ReportOutcome(other))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "REQUEST_ID_REUSED"
    taken = capture(topic, account=account)
    await service.network.CapturePattern(taken)
    again = await ask(service, topic, account)
    reused = report(account, again.enhancement_id, request_id=taken.request_id)
    assert (await refusal(service.network.ReportOutcome(reused))).reason == "REQUEST_ID_REUSED"


async def test_an_enhancement_has_one_outcome(service: Service, topic: str) -> None:
    """Of several reports with ids of their own, one is taken."""
    await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    given = await ask(service, topic, account)
    results = await asyncio.gather(
        *(
            service.network.ReportOutcome(report(account, given.enhancement_id, success=success))
            for success in (True, False, True)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    refused = await refusal(service.network.ReportOutcome(report(account, given.enhancement_id)))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "OUTCOME_ALREADY_REPORTED"
    count = await service.value(
        "SELECT count(*) FROM observations WHERE enhancement_id = $1::text::uuid",
        given.enhancement_id,
    )
    assert count == 1


async def test_what_is_not_the_accounts_does_not_exist(service: Service, topic: str) -> None:
    """An unknown id, another account's and an unknown account get the same answer."""
    await teach(service, topic, ["+", "+", "+"])
    owner, stranger = new_account(), new_account()
    given = await ask(service, topic, owner)
    await ask(service, topic, stranger)
    refusals = [
        await refusal(service.network.ReportOutcome(report(stranger, given.enhancement_id))),
        await refusal(service.network.ReportOutcome(report(stranger, str(uuid.uuid4())))),
        await refusal(service.network.ReportOutcome(report(new_account(), given.enhancement_id))),
    ]
    assert refusals[0].code is grpc.StatusCode.NOT_FOUND
    assert refusals[0].reason == "ENHANCEMENT_NOT_FOUND"
    assert refusals[1:] == [refusals[0]] * 2


@pytest.mark.parametrize("away", [timedelta(minutes=10), timedelta(minutes=-10)])
async def test_an_outcome_lies_between_advice_and_now(
    service: Service, topic: str, away: timedelta
) -> None:
    """Neither in the future nor before the enhancement, give or take a clock."""
    account = new_account()
    given = await ask(service, topic, account)
    late = report(account, given.enhancement_id, occurred=datetime.now(UTC) + away)
    refused = await refusal(service.network.ReportOutcome(late))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(refused.fields) == {"occurred_time"}


async def test_a_late_report_counts_when_it_occurred(service: Service, topic: str) -> None:
    """Months after the advice, with the outcome's own time."""
    pattern_id = await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    given = await ask(service, topic, account)
    # What happened long ago: an enhancement of 90 days before, its outcome 30 days later.
    await service.database.execute(
        "UPDATE enhancements SET created_at = $2 WHERE id = $1::text::uuid",
        given.enhancement_id,
        datetime.now(UTC) - timedelta(days=90),
    )
    occurred = datetime.now(UTC) - timedelta(days=60)
    answer = await service.network.ReportOutcome(
        report(account, given.enhancement_id, occurred=occurred)
    )
    assert answer.pattern_id == pattern_id
    stored = await service.value(
        "SELECT occurred_time FROM observations WHERE enhancement_id = $1::text::uuid",
        given.enhancement_id,
    )
    assert stored == occurred


async def test_without_advice_the_outcome_is_kept_apart(service: Service, topic: str) -> None:
    """It is evidence of no pattern, and in the ledger all the same."""
    account = new_account()
    given = await ask(service, topic, account)
    answer = await service.network.ReportOutcome(report(account, given.enhancement_id))
    assert not answer.pattern_id
    row = await service.database.fetchrow(
        "SELECT disposition, pattern_id, action FROM observations "
        "WHERE enhancement_id = $1::text::uuid",
        given.enhancement_id,
    )
    assert row is not None
    assert tuple(row) == ("reported", None, TOWEL)
    again = report(account, given.enhancement_id)
    assert (await refusal(service.network.ReportOutcome(again))).reason == (
        "OUTCOME_ALREADY_REPORTED"
    )


async def test_advice_from_a_pattern_that_is_gone_counts_for_none(
    service: Service, topic: str
) -> None:
    """When everyone who had contributed was forgotten meanwhile, their words are not brought back."""
    contributors = [new_account() for _ in range(3)]
    action = "Offer a heated towel"
    for contributor in contributors:
        await service.network.CapturePattern(
            capture(topic, action, account=contributor, script=SCRIPT)
        )
    account = new_account()
    given = await ask(service, topic, account, action)
    assert given.enhanced_insight.network_enhanced
    for contributor in contributors:
        await service.admin.ForgetAccount(ForgetAccountRequest(account_id=contributor))
    answer = await service.network.ReportOutcome(report(account, given.enhancement_id))
    assert not answer.pattern_id
    stored = await service.value(
        "SELECT script FROM observations WHERE enhancement_id = $1::text::uuid",
        given.enhancement_id,
    )
    assert stored == ""


async def test_a_report_repeats_what_the_network_said(service: Service, topic: str) -> None:
    """Not what the pattern's first account had written."""
    await service.network.CapturePattern(capture(topic, "Offer a warm towel to the mayor"))
    for _ in range(3):
        await service.network.CapturePattern(capture(topic, "Offer a warm towel to the guest"))
    account = new_account()
    given = await ask(service, topic, account, "Offer a warm towel to the guest")
    await service.network.ReportOutcome(report(account, given.enhancement_id))
    reported = await service.value(
        "SELECT action FROM observations WHERE enhancement_id = $1::text::uuid",
        given.enhancement_id,
    )
    assert reported == "Offer a warm towel to the guest"


async def test_forgetting_the_account_forgets_its_reports(service: Service, topic: str) -> None:
    """The pattern is what it was before the report."""
    pattern_id = await teach(service, topic, ["++", "++", "+-"])
    account = new_account()
    given = await ask(service, topic, account)
    await service.network.ReportOutcome(report(account, given.enhancement_id, success=False))
    apart = await ask(service, f"{topic}_else", account)
    await service.network.ReportOutcome(report(account, apart.enhancement_id))
    forgotten = await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
    assert forgotten.observations_removed == 2
    known = (await service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))).pattern
    assert (known.evidence.occurrence_count, known.evidence.success_count) == (6, 5)
