"""A database whose old observations are archived goes on as its twin, in which they stayed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    ForgetAccountRequest,
    RegisterAccountRequest,
    UpdateAccountRequest,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetAccountValueRequest,
    GetNetworkMetricsRequest,
    GetPatternRequest,
)
from keeper_grpc.one_shot.commands import rebuild
from keeper_grpc.operations.archive.run import Archived, Archiving
from keeper_grpc.operations.archive.shelf import Shelf
from keeper_grpc.storage.models.merging import merge_pattern
from tests.conftest import PostgresServer
from tests.integration.archives.history import (
    HALF_LIFE,
    SPAN,
    age,
    counted,
    differences,
    execute,
    live,
)
from tests.integration.evidence.test_rebuild import settings
from tests.integration.observations import opened
from tests.rpc.service import Service, running


async def archive(dsn: str, directory: Path, before: datetime) -> Archived:
    """A run of the command, without its line of output."""
    async with opened(dsn) as database:
        return await Archiving(database, Shelf(directory), HALF_LIFE)(before)


async def go_on(service: Service, accounts: Mapping[str, str], step: int) -> list[str]:
    """What changes old evidence: an account is forgotten, others move and join earlier; what is said of it then."""
    forgotten, moved, _, _, _, registered, asked, _ = accounts
    await service.admin.ForgetAccount(ForgetAccountRequest(account_id=forgotten))
    for category in ("salon", accounts[moved]) if step == 1 else ("salon",):
        await service.admin.UpdateAccount(
            UpdateAccountRequest(account_id=moved, business_category=category)
        )
    joined = RegisterAccountRequest(account_id=registered, business_category=accounts[registered])
    joined.joined_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    await service.admin.RegisterAccount(joined)
    window = Duration(seconds=2 * SPAN * 86_400)
    value = await service.network.GetAccountValue(
        GetAccountValueRequest(account_id=asked, window=window)
    )
    measured = await service.network.GetNetworkMetrics(GetNetworkMetricsRequest(window=window))
    answers = [str(each) for each in (value.advice, value.uplift, value.given, measured.metrics)]
    for row in await service.database.fetch("SELECT id FROM network_patterns ORDER BY id"):
        try:
            told = await service.network.GetPattern(
                GetPatternRequest(pattern_id=str(row["id"]), include_history=True)
            )
        except grpc.aio.AioRpcError as error:
            answers.append(error.code().name)
        else:
            answers.append(str([told.history, told.facts, told.scripts]))
    return answers


async def merge(dsn: str, step: int) -> None:
    """Merge two patterns of the largest scope, as a move to another embedding model may."""
    counting = Counting(PublicationRule(3), HALF_LIFE, step)
    async with opened(dsn) as database, database.transaction() as connection:
        ((scope_id, (gone, stays)),) = await connection.fetch(
            """
            SELECT scope_id, (array_agg(id ORDER BY id))[1:2] FROM network_patterns
             GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
            """
        )
        await merge_pattern(connection, PatternKey(scope_id, gone), stays, counting)


@pytest.mark.timeout(900)  # a service three times, and a history
@pytest.mark.parametrize(("seed", "step"), [(1, 1), (2, 5)])
async def test_an_archived_ledger_counts_as_the_whole_one(
    seed: int, step: int, database_of_its_own: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """After any history, whatever happens to its accounts later, and after a rebuild from both."""
    draw = random.Random(seed)  # noqa: S311 - a history, not a secret
    async with running(
        database_of_its_own, evidence_half_life=HALF_LIFE, counting_step=step, holdout_share=0.2
    ) as service:
        accounts = await live(service, draw, 70)
    await age(database_of_its_own)
    whole = await counted(database_of_its_own)
    name = urlsplit(database_of_its_own).path.removeprefix("/")
    async with postgres_server.database(f"TEMPLATE {name}") as twin_name:
        twin = postgres_server.url(twin_name)
        done = 0
        for days in sorted(draw.sample(range(30, 390), 2), reverse=True):
            before = datetime.now(UTC) - timedelta(days=days)
            done += (await archive(database_of_its_own, tmp_path, before)).observations
            assert differences(whole, await counted(database_of_its_own)) == []
        assert done > 10
        assert await execute(database_of_its_own, "SELECT rebuild_measures()") == 0
        answers = {}
        for dsn in (database_of_its_own, twin):
            async with running(
                dsn, evidence_half_life=HALF_LIFE, counting_step=step, holdout_share=0.2
            ) as service:
                answers[dsn] = await go_on(service, accounts, step)
        assert answers[database_of_its_own] == answers[twin]
        assert "trial_count" in answers[twin][-1] or any("start" in each for each in answers[twin])
        for dsn in (database_of_its_own, twin):
            await merge(dsn, step)
        one, other = await counted(database_of_its_own), await counted(twin)
        assert differences(one, other) == []
        chosen = {"evidence_half_life": HALF_LIFE, "counting_step": step}
        for archives in (None, tmp_path):
            result = await rebuild(settings(database_of_its_own, **chosen), archives)
            assert result.corrected == 0
            assert differences(other, await counted(database_of_its_own)) == []
        changed = chosen | {"evidence_half_life": timedelta(days=30)}
        await rebuild(settings(database_of_its_own, **changed), tmp_path)
        await rebuild(settings(twin, **changed))
        assert differences(await counted(twin), await counted(database_of_its_own)) == []
