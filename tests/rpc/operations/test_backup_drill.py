"""The drill of docs/operations.md: what a network answered before its database was lost, it answers after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    GetPatternRequest,
    GetPatternResponse,
    ListPatternsRequest,
)
from keeper_grpc.one_shot.commands import rebuild
from keeper_grpc.operations.backup.put_back import put_back
from keeper_grpc.operations.backup.take import take_backup
from keeper_grpc.settings import Settings
from tests.conftest import PostgresServer
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import PSEUDONYM_KEYS, Service, running

LOCAL: dict[str, Any] = {"embedder": "local"}
"""The model of a restored network must be the one that it had."""


async def answers(
    service: Service, topic: str
) -> tuple[GetPatternResponse, EnhanceInsightResponse]:
    """What it says of its one pattern, and to a newcomer, less the id that is made for each question."""
    (pattern,) = (await service.network.ListPatterns(ListPatternsRequest())).patterns
    found = await service.network.GetPattern(GetPatternRequest(pattern_id=pattern.pattern_id))
    advice = await service.network.EnhanceInsight(question(topic, account="a-newcomer"))
    assert advice.enhanced_insight.network_enhanced
    advice.ClearField("enhancement_id")
    return found, advice


@pytest.mark.one_server("`keeper backup` and `keeper restore` refuse a cluster")
async def test_a_network_answers_the_same_after_backup_loss_and_restore(
    postgres_server: PostgresServer, template_database: str, topic: str, tmp_path: Path
) -> None:
    """Backed up while it serves, put into an empty database: the same pattern and advice, and nothing to recount."""
    accounts = [new_account() for _ in range(4)]
    first = capture(topic, account=accounts[0])
    async with (
        postgres_server.database(f"TEMPLATE {template_database}") as lost,
        running(postgres_server.url(lost), **LOCAL) as service,
    ):
        await service.network.CapturePattern(first)
        for account in accounts * 3:
            await service.network.CapturePattern(capture(topic, account=account))
        before = await answers(service, topic)
        kept = await take_backup(postgres_server.url(lost), tmp_path / "backup")
    assert kept.pseudonym_key_ids == ("test",)
    assert kept.rows["observations"] == 13

    async with postgres_server.database() as empty:
        dsn = postgres_server.url(empty)
        assert await put_back(dsn, tmp_path / "backup", overwrite=False) == kept
        recounted = await rebuild(
            Settings(database_url=dsn, pseudonym_keys=PSEUDONYM_KEYS, counting_step=1, **LOCAL)
        )
        assert (recounted.observations, recounted.corrected) == (13, 0)
        async with running(dsn, **LOCAL) as service:
            assert await answers(service, topic) == before
            retried = await service.network.CapturePattern(first)
            assert retried.replayed
