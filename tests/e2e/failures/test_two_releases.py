"""The release before the newest migration and this one, side by side over one database, as in a rolling upgrade."""

from __future__ import annotations

import asyncio
import io
import subprocess
import tarfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import grpc
import pytest

from bench.chaos import proof
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import ReportOutcomeRequest
from keeper_grpc.storage.schema.migrate import packaged_migrations
from tests.conftest import PostgresServer
from tests.e2e.calls import Subscription, capture, emerge, network, question
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.server_process import PSEUDONYM_KEYS, REPOSITORY, environment
from tests.e2e.waiting import SOON, until

MIGRATIONS = "keeper_grpc/storage/schema/migrations"
ACTION, TYPE = "Offer a package of three massages", "churn_prevention"


def git(*arguments: str) -> bytes:
    """What git says of this repository. Skips the test where there is no git, or no history."""
    try:
        return subprocess.run(
            ["git", "-C", REPOSITORY, *arguments], check=True, capture_output=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no git history to take an earlier release from: {error}")


def migrations_of(commit: str) -> list[str]:
    """The migrations of a commit with the hashes of what they say, in their order."""
    return git("ls-tree", f"{commit}:{MIGRATIONS}").decode().splitlines()


def earlier_release() -> str:
    """The newest commit that lacks the newest migration and has the others as they are now."""
    if git("rev-parse", "--is-shallow-repository").strip() == b"true":
        pytest.skip("a shallow clone has no earlier release")
    now = migrations_of("HEAD")
    wanted = [one for one in now if one.split("\t")[1] != f"{packaged_migrations()[-1].name}.sql"]
    newest_files = git("log", "--format=%H", "--", MIGRATIONS).decode().split()
    for commit in newest_files:
        if migrations_of(commit) == wanted:
            # It came with the newest migration but one; the last commit before the next is as old as can be had.
            return commit
    pytest.skip("no commit has all migrations but the newest")


@pytest.fixture
def earlier(make_directory: MakeDirectory) -> Path:
    """A checkout of the earlier release."""
    commit, place = earlier_release(), make_directory()
    with tarfile.open(
        fileobj=io.BytesIO(git("archive", commit, "server.py", "keeper_grpc"))
    ) as tar:
        tar.extractall(place, filter="data")
    return place


@pytest.fixture
async def empty_database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A database that nobody has migrated."""
    async with postgres_server.database() as name:
        yield postgres_server.url(name)


async def learn(channel: grpc.aio.Channel, *accounts: str) -> list[str]:
    """Captures of one insight by these accounts: their request ids."""
    requests = [capture(account, ACTION) for account in accounts for _ in range(2)]
    for request in requests:
        await network(channel).CapturePattern(request)
    return [request.request_id for request in requests]


async def advised_and_reported(channel: grpc.aio.Channel, account: str) -> str:
    """Ask until the network advises, and report how that went: the request id."""
    asked = question(account, ACTION, insight_type=TYPE)
    async with asyncio.timeout(SOON):
        while True:
            answer = await network(channel).EnhanceInsight(asked)
            if answer.enhanced_insight.network_enhanced:
                break
    report = ReportOutcomeRequest(
        request_id=str(uuid.uuid4()),
        account_id=account,
        enhancement_id=answer.enhancement_id,
        outcome=Outcome(success=True, revenue_impact=40.0),
    )
    await network(channel).ReportOutcome(report)
    return report.request_id


@pytest.mark.timeout(600)
async def test_two_releases_serve_one_database(
    start_server: StartServer, earlier: Path, empty_database: str
) -> None:
    """The newer one migrates beside the older one, which goes on: both learn from both, advise, report and stream."""
    old = await start_server(database_url=empty_database, root=earlier)
    database = await asyncpg.connect(empty_database)
    try:
        version = "SELECT max(version) FROM schema_migrations"
        assert await database.fetchval(version) == len(packaged_migrations()) - 1
        async with old.channel() as before:
            stored = await learn(before, "a", "b")
            new = await start_server(database_url=empty_database)
            assert await database.fetchval(version) == len(packaged_migrations())
            async with new.channel() as after:
                stored += await learn(after, "c", "d") + await learn(before, "e")
                seen = Subscription(before), Subscription(after)
                await until(lambda: all(s.complete for s in seen), within=SOON, what="snapshots")
                for channel, account in ((before, "f"), (after, "g"), (before, "h"), (after, "i")):
                    stored.append(await advised_and_reported(channel, account))
                await emerge(before, "Text late guests on the way", insight_type="late_arrival")
                await emerge(after, "Offer gift cards at the desk", insight_type="gift_cards")
                await until(
                    lambda: all(
                        s.changes("late_arrival") and s.changes("gift_cards") for s in seen
                    ),
                    within=SOON,
                    what="subscribers of both see what either was asked",
                )
                retried = await network(after).CapturePattern(
                    capture("a", ACTION, request_id=stored[0])
                )
                assert retried.replayed, "each recognizes what the other has stored"
                for subscription in seen:
                    await subscription.close()
        for server in (old, new):
            assert not server.events("background_task_died")
            assert not server.events("call_failed")
        for server in (old, new):
            server.process.terminate()
            assert await server.ended() == 0
        rows = await database.fetch("SELECT request_id::text FROM outcome_requests")
        assert sorted(row["request_id"] for row in rows) == sorted(stored)
        # What both have counted is what the ledger says.
        counted = await proof.derived(database)
        assert not await proof.patterns(database)
        said = await proof.rebuild(
            environment(
                KEEPER_DATABASE_URL=empty_database,
                KEEPER_PSEUDONYM_KEYS=PSEUDONYM_KEYS,
                KEEPER_OPEN_ACCOUNTS="true",
                KEEPER_DATA_DIR=new.data_dir,
            )
        )
        assert said.startswith("rebuilt"), said
        assert "corrected" not in said
        assert not list(proof.corrected(counted, await proof.derived(database)))
    finally:
        await database.close()
