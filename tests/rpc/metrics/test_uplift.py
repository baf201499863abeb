from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from keeper_grpc.domain.metrics.uplift import Arm
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.metrics.uplift import PostgresUplift
from tests.e2e.waiting import SOON
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import ask, report, teach
from tests.rpc.requests import new_account
from tests.rpc.service import Service, openai, running

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
    assert list(measured) == [("spa", topic)]
    assert measured["spa", topic].advised == Arm(advised, advised)
    assert measured["spa", topic].held_out == Arm(held_out, 0)
    assert measured["spa", topic].difference == 1
