from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from grpc import StatusCode, aio

from keeper_grpc.domain.metrics.uplift import Arm
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import RegisterAccountRequest
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.metrics.uplift import PostgresUplift
from tests import program
from tests.e2e.waiting import SOON
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import ask, report, teach
from tests.rpc.requests import capture, new_account
from tests.rpc.service import PSEUDONYM_KEYS, Service, openai, running

HOLDOUT = network_service_pb2.EnhanceInsightResponse.NO_MATCH_REASON_HOLDOUT


@pytest.fixture(scope="module")
async def service(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """A service that leaves half of the questions without advice."""
    async with running(database_url, holdout_share=0.5, **openai(embeddings.base_url)) as started:
        yield started


async def test_uplift_counts_reports_of_both_arms(
    service: Service, topic: str, database_url: str
) -> None:
    """Advised accounts that succeed and held-out ones that fail are an uplift of one."""
    await teach(service, topic, ["++", "++", "++"])
    advised = held_out = 0
    for _ in range(12):
        account = new_account()
        answer = await ask(service, topic, account)
        told = answer.no_match_reason != HOLDOUT
        advised, held_out = advised + told, held_out + (not told)
        await service.network.ReportOutcome(report(account, answer.enhancement_id, success=told))
    # A question that nobody could answer belongs to no arm.
    account = new_account()
    unanswered = await ask(service, f"{topic}_other", account, "Something else entirely")
    await service.network.ReportOutcome(report(account, unanswered.enhancement_id))

    pool = await Database.open(
        database_url, pool_size=4, acquire_timeout=SOON, statement_timeout=SOON
    )
    try:
        measured = await PostgresUplift(pool).uplift()
    finally:
        await pool.close()

    assert advised
    assert held_out
    assert list(measured) == [("spa", topic), ("", "")]
    for found in measured.values():
        assert (found.advised_questions, found.held_out_questions) == (advised, held_out)
        assert found.experiment.advised == Arm(advised, advised)
        assert found.experiment.held_out == Arm(held_out, 0)
        assert found.experiment.difference == 1
        assert found.experiment.owners == advised + held_out


async def test_the_proof_of_value_is_in_the_report(service: Service, topic: str) -> None:
    """Both arms, all outcomes as assigned, and an interval that excludes zero once it is sure."""
    category = "tea_house"
    await teach(service, topic, ["++++", "++++", "++++", "++++"], category=category)
    counted = {True: [0, 0], False: [0, 0]}
    for number in range(72):
        account = new_account()
        answer = await ask(service, topic, account, category=category)
        held_out = answer.no_match_reason == HOLDOUT
        # Most with advice succeed, few without.
        success = (number % 10 == 0) == held_out
        counted[held_out][0] += 1
        counted[held_out][1] += success
        await service.network.ReportOutcome(report(account, answer.enhancement_id, success=success))

    told = await service.network.GetNetworkMetrics(
        network_service_pb2.GetNetworkMetricsRequest(business_category=category)
    )

    shown = told.uplift
    assert [shown.advised_count, shown.advised_success_count] == counted[False]
    assert [shown.held_out_count, shown.held_out_success_count] == counted[True]
    assert shown.owner_count == 72
    assert shown.difference.interval.lower > 0
    assert shown.difference.value > 0.6
    assert shown.successes_brought.value == pytest.approx(
        shown.difference.value * shown.advised_count
    )


async def test_an_experiment_of_fewer_than_k_owners_is_not_told(
    service: Service, topic: str
) -> None:
    """One chain's many locations are one owner: what is held out there is its own."""
    category = "ski_school"
    await teach(service, topic, ["++++", "++++", "++++"], category=category)
    chain = [new_account() for _ in range(16)]
    for account in chain:
        await service.admin.RegisterAccount(
            RegisterAccountRequest(account_id=account, owner_id="chain", business_category=category)
        )
    held_out = 0
    for account in chain:
        answer = await ask(service, topic, account, category=category)
        held_out += answer.no_match_reason == HOLDOUT
        await service.network.ReportOutcome(report(account, answer.enhancement_id))
    assert 0 < held_out < len(chain)

    told = await service.network.GetNetworkMetrics(
        network_service_pb2.GetNetworkMetricsRequest(business_category=category)
    )
    assert not told.withheld
    assert not told.HasField("uplift")


async def test_what_was_done_instead_counts_as_it_was_assigned(
    service: Service, topic: str
) -> None:
    """An account that does not follow its advice captures what it did: evidence of that, and of the advice's arm."""
    category = "book_shop"
    pattern = await teach(service, topic, ["++++", "++++", "++++"], category=category)
    before = await service.network.GetPattern(
        network_service_pb2.GetPatternRequest(pattern_id=pattern)
    )
    failed = {True: 0, False: 0}
    for _ in range(24):
        account = new_account()
        answer = await ask(service, topic, account, category=category)
        failed[answer.no_match_reason == HOLDOUT] += 1
        own = capture(
            topic, "Ring the doorbell twice", account=account, category=category, success=False
        )
        own.enhancement_id = answer.enhancement_id
        await service.network.CapturePattern(own)
        assert (await service.network.CapturePattern(own)).replayed

    told = await service.network.GetNetworkMetrics(
        network_service_pb2.GetNetworkMetricsRequest(business_category=category)
    )
    assert (told.uplift.advised_count, told.uplift.held_out_count) == (failed[False], failed[True])
    assert told.uplift.advised_success_count == told.uplift.held_out_success_count == 0
    # None of it is evidence of the advice.
    after = await service.network.GetPattern(
        network_service_pb2.GetPatternRequest(pattern_id=pattern)
    )
    assert after.pattern.evidence == before.pattern.evidence


async def test_an_enhancement_has_one_outcome_by_whichever_call(
    service: Service, topic: str
) -> None:
    """Reported and captured, in either order, the second is refused; so is another account's, or another type's."""
    await teach(service, topic, ["++", "++", "++"])
    account = new_account()
    first, second = [await ask(service, topic, account) for _ in range(2)]
    own = capture(topic, "Ring the doorbell twice", account=account)
    own.enhancement_id = first.enhancement_id
    await service.network.CapturePattern(own)
    with pytest.raises(aio.AioRpcError) as refused:
        await service.network.ReportOutcome(report(account, first.enhancement_id))
    assert refused.value.code() is StatusCode.ALREADY_EXISTS

    await service.network.ReportOutcome(report(account, second.enhancement_id))
    own = capture(topic, "Ring the doorbell twice", account=account)
    own.enhancement_id = second.enhancement_id
    with pytest.raises(aio.AioRpcError) as refused:
        await service.network.CapturePattern(own)
    assert refused.value.code() is StatusCode.ALREADY_EXISTS

    third = await ask(service, topic, account)
    for who, kind in ((new_account(), topic), (account, f"{topic}_other")):
        own = capture(kind, "Ring the doorbell twice", account=who)
        own.enhancement_id = third.enhancement_id
        with pytest.raises(aio.AioRpcError) as refused:
            await service.network.CapturePattern(own)
        assert refused.value.code() is StatusCode.NOT_FOUND


async def test_the_command_says_what_the_interval_is_made_of(
    service: Service, topic: str, database_url: str
) -> None:
    """`keeper uplift` beside the server: each row, all together, and how the interval may be read."""
    await teach(service, topic, ["++++", "++++", "++++"], category="surf_school")
    for number in range(12):
        account = new_account()
        answer = await ask(service, topic, account, category="surf_school")
        if number:
            await service.network.ReportOutcome(report(account, answer.enhancement_id))

    command = await asyncio.to_thread(
        program.run,
        ["uplift"],
        env=os.environ
        | {
            "KEEPER_DATABASE_URL": database_url,
            "KEEPER_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
            "COLUMNS": "200",
        },
    )

    assert command.returncode == 0
    lines = command.stdout.splitlines()
    row = next(line for line in lines if "surf_school" in line)
    assert " 11 " in row  # owners with an outcome, of 12 that asked
    assert "+0.0 points" in row
    assert any(line.lstrip("│ ").startswith("all") for line in lines)
    assert any("intention to treat" in line for line in lines)
