"""A database whose old observations are archived goes on as its twin, in which they stayed."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    ForgetAccountRequest,
    RegisterAccountRequest,
    RetirePatternRequest,
    UpdateAccountRequest,
    WithdrawalReason,
    WithdrawScriptRequest,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetAccountValueRequest,
    GetNetworkMetricsRequest,
    GetPatternRequest,
)
from keeper_grpc.one_shot.commands import rebuild
from keeper_grpc.operations.archive.run import Archived, Archiving
from keeper_grpc.operations.archive.shelf import Shelf
from keeper_grpc.storage.advice.exploration import PostgresExploration
from keeper_grpc.storage.advice.transfers import read_transfers
from keeper_grpc.storage.metrics.uplift import PostgresUplift
from keeper_grpc.storage.models.merging import merge_pattern
from tests.conftest import PostgresServer
from tests.integration.archives.history import (
    HALF_LIFE,
    SPAN,
    Calendar,
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
    forgotten, moved, _, _, _, registered, _, _ = accounts
    await service.admin.ForgetAccount(ForgetAccountRequest(account_id=forgotten))
    await _withdraw(service)
    for category in ("salon", accounts[moved]) if step == 1 else ("salon",):
        await service.admin.UpdateAccount(
            UpdateAccountRequest(account_id=moved, business_category=category)
        )
    joined = RegisterAccountRequest(account_id=registered, business_category=accounts[registered])
    joined.joined_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    await service.admin.RegisterAccount(joined)
    return await answers_of(service, accounts)


async def _withdraw(service: Service) -> None:
    """Take back a pattern and a script of another one."""
    retired, worded = await service.database.fetch(
        "SELECT id FROM network_patterns ORDER BY id LIMIT 2"
    )
    await service.admin.RetirePattern(
        RetirePatternRequest(
            pattern_id=str(retired["id"]), reason=WithdrawalReason.WITHDRAWAL_REASON_OTHER
        )
    )
    script = await service.database.fetchval(
        "SELECT template FROM pattern_scripts WHERE pattern_id = $1 ORDER BY template LIMIT 1",
        worded["id"],
    )
    if script is not None:
        await service.admin.WithdrawScript(
            WithdrawScriptRequest(
                pattern_id=str(worded["id"]),
                script=script,
                reason=WithdrawalReason.WITHDRAWAL_REASON_OTHER,
            )
        )


async def answers_of(service: Service, accounts: Mapping[str, str]) -> list[str]:
    """Everything that is answered from what was counted."""
    answers = []
    for days in (2 * SPAN, SPAN // 2):
        window = Duration(seconds=days * 86_400)
        for account in accounts:
            value = await service.network.GetAccountValue(
                GetAccountValueRequest(account_id=account, window=window)
            )
            answers += [
                str(each) for each in (value.advice, value.uplift, value.given, value.peers)
            ]
        for category in ("", "spa", "gym"):
            measured = await service.network.GetNetworkMetrics(
                GetNetworkMetricsRequest(window=window, business_category=category)
            )
            answers += [str(measured.metrics), str(measured.kpis)]
    for row in await service.database.fetch("SELECT id FROM network_patterns ORDER BY id"):
        try:
            told = await service.network.GetPattern(
                GetPatternRequest(pattern_id=str(row["id"]), include_history=True)
            )
        except grpc.aio.AioRpcError as error:
            answers.append(error.code().name)
        else:
            answers.append(str([told.history, told.facts, told.scripts, told.adoption]))
    return [_rounded(each) for each in answers]


def _rounded(answer: str) -> str:
    """The order of a sum changes the last digits of floats."""
    return re.sub(r"-?\d+\.\d+(e-?\d+)?", lambda found: f"{float(found[0]):.9g}", answer)


async def told_to_operators(dsn: str) -> list[str]:
    """What `keeper uplift` and `keeper explore` say, and how well advice carries over between categories."""
    async with opened(dsn) as database:
        found = [
            repr(await PostgresUplift(database).uplift()),
            repr(await PostgresExploration(database, PublicationRule(3)).exploring()),
        ]
        async with database.connection() as connection:
            for row in await connection.fetch("SELECT * FROM scopes ORDER BY scope_id"):
                for model in await connection.fetch(
                    "SELECT DISTINCT embedding_model FROM observations"
                ):
                    scope = Scope(row["pattern_type"], row["business_category"], model[0])
                    shares = await read_transfers(connection, scope)
                    found.append(
                        repr({key: sorted(its.items()) for key, its in sorted(shares.items())})
                    )
    return [_rounded(each) for each in found]


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
    draw, calendar = random.Random(seed), Calendar()  # noqa: S311 - a history, not a secret
    chosen: dict[str, Any] = {"evidence_half_life": HALF_LIFE, "counting_step": step}
    # Nothing is rolled up by itself, at a moment that is not the same in both.
    served = chosen | {"holdout_share": 0.2, "enhancement_retention": timedelta(days=10 * SPAN)}
    explored = served | {"script_exploration": 0.5, "pattern_exploration": 0.5}
    async with running(database_of_its_own, clock=calendar, **explored) as service:
        accounts = await live(service, draw, 240, calendar)
    await age(database_of_its_own)
    whole, told = await counted(database_of_its_own), await told_to_operators(database_of_its_own)
    name = urlsplit(database_of_its_own).path.removeprefix("/")
    async with postgres_server.database(f"TEMPLATE {name}") as twin_name:
        twin = postgres_server.url(twin_name)
        done = 0
        for days in sorted(draw.sample(range(30, 390), 2), reverse=True):
            before = datetime.now(UTC) - timedelta(days=days)
            done += (await archive(database_of_its_own, tmp_path, before)).observations
            assert differences(whole, await counted(database_of_its_own)) == []
            assert await told_to_operators(database_of_its_own) == told
        assert done > 10
        assert await answered(twin) > await answered(database_of_its_own) + 10
        assert await execute(database_of_its_own, _REBUILD) == 0
        answers = {}
        for dsn in (database_of_its_own, twin):
            async with running(dsn, **served) as service:
                before_it = await answers_of(service, accounts)
                answers[dsn] = before_it + await go_on(service, accounts, step)
        assert answers[database_of_its_own] == answers[twin]
        assert "trial_count" in answers[twin][-1] or any("start" in each for each in answers[twin])
        for dsn in (database_of_its_own, twin):
            await merge(dsn, step)
        one, other = await counted(database_of_its_own), await counted(twin)
        assert differences(one, other) == []
        assert await told_to_operators(database_of_its_own) == await told_to_operators(twin)
        for archives in (None, tmp_path):
            result = await rebuild(settings(database_of_its_own, **chosen), archives)
            assert result.corrected == 0
            assert differences(other, await counted(database_of_its_own)) == []
        changed = chosen | {"evidence_half_life": timedelta(days=30)}
        await rebuild(settings(database_of_its_own, **changed), tmp_path)
        await rebuild(settings(twin, **changed))
        assert differences(await counted(twin), await counted(database_of_its_own)) == []


_REBUILD = "SELECT rebuild_measures() + rebuild_experiment() + rebuild_reactions()"


async def answered(dsn: str) -> int:
    """Questions in the ledger that have an outcome."""
    count: int = await execute(dsn, "SELECT count(*) FROM enhancement_outcomes")
    return count
