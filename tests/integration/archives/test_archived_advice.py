"""What becomes of advice whose outcome is archived: who may still refer to it, and what waits."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GenerateTaskRequest
from keeper_grpc.operations.archive.parquet import Reader
from keeper_grpc.operations.archive.run import Archived, Archiving
from keeper_grpc.operations.archive.shelf import Shelf
from keeper_grpc.storage.archives.files import PostgresArchiveFiles
from keeper_grpc.storage.archives.leaving import look, take
from keeper_grpc.storage.archives.rows import COLUMNS, QUESTION
from keeper_grpc.storage.database import Database
from tests.integration.archives.history import (
    HALF_LIFE,
    SPAN,
    TOPIC,
    Calendar,
    age,
    counted,
    differences,
    execute,
    live,
)
from tests.integration.observations import opened
from tests.rpc.feedback import ask, react, report, teach
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account
from tests.rpc.service import running

NOW = datetime.now(UTC)
KEPT: dict[str, Any] = {"enhancement_retention": timedelta(days=10 * SPAN)}
"""Nothing is rolled up by itself."""


@pytest.fixture
async def accounts(database_of_its_own: str) -> Sequence[str]:
    """Those of a history with advice that may be archived."""
    calendar = Calendar()
    async with running(
        database_of_its_own, clock=calendar, evidence_half_life=HALF_LIFE, **KEPT
    ) as service:
        names = list(await live(service, random.Random(11), 100, calendar))  # noqa: S311 - a history, not a secret
    await age(database_of_its_own)
    return names


@pytest.fixture
async def lived(database_of_its_own: str, accounts: Sequence[str]) -> str:
    """The DSN of the database of that history."""
    return database_of_its_own


@pytest.fixture
async def database(lived: str) -> AsyncIterator[Database]:
    """A pool on it."""
    async with opened(lived) as pool:
        yield pool


async def archive(dsn: str, directory: Path, asked_before: datetime | None = None) -> Archived:
    """A run of the command, without its line of output."""
    async with opened(dsn) as database:
        return await Archiving(database, Shelf(directory), HALF_LIFE)(NOW, asked_before)


async def rows(dsn: str, sql: str) -> Sequence[Mapping[str, Any]]:
    """What a query finds."""
    connection = await asyncpg.connect(dsn)
    try:
        return [dict(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def files_of(dsn: str) -> Sequence[str]:
    """Their names."""
    return [row["name"] for row in await rows(dsn, "SELECT name FROM archive_files")]


async def test_a_question_leaves_with_its_outcome_and_its_reactions(
    lived: str, tmp_path: Path
) -> None:
    """They are in the files as the database had them, and nothing of them is left but sums."""
    asked = {row["id"] for row in await rows(lived, "SELECT id FROM enhancements")}
    reactions = await rows(lived, "SELECT enhancement_id, count(*) AS n FROM reactions GROUP BY 1")
    reacted = {row["enhancement_id"]: row["n"] for row in reactions}
    before = await execute(lived, "SELECT count(*) FROM observations")
    await archive(lived, tmp_path)
    left = {row["id"] for row in await rows(lived, "SELECT id FROM enhancements")}
    questions = []
    for file in await files_of(lived):
        with Reader(tmp_path / file) as reader:
            found = [row for number in range(reader.groups) for row in reader.group(number)]
        questions += [row[QUESTION] for row in found if row[QUESTION]]
        assert all("account_key" not in json.dumps(row[QUESTION]) for row in found)
    gone = {UUID(each["id"]): len(each["reactions"]) for each in questions}
    assert gone.keys() == asked - left
    assert len(gone) > 20
    assert gone == {question: reacted.get(question, 0) for question in gone}
    assert sum(gone.values()) > 5
    assert await execute(lived, "SELECT count(*) FROM observations") < before / 4


async def test_archived_advice_is_not_found_any_more(lived: str, tmp_path: Path) -> None:
    """As a question that was rolled up: whoever refers to it is told so, and nothing is counted."""
    async with running(lived, evidence_half_life=HALF_LIFE, **KEPT) as service:
        account, topic = new_account(), "towel_soak"
        await teach(service, topic, ["+++", "+++", "+++"])
        given = await ask(service, topic, account)
        await service.network.ReportReaction(react(account, given.enhancement_id, "DONE"))
        await service.network.ReportOutcome(report(account, given.enhancement_id))
        await execute(lived, "UPDATE accounts SET joined_time = now() - interval '9 days'")
        await execute(lived, "DELETE FROM outcome_requests")
        await execute(lived, "DELETE FROM reaction_requests")
        async with opened(lived) as database:
            later = datetime.now(UTC)
            await Archiving(database, Shelf(tmp_path), HALF_LIFE)(later)
        before = await counted(lived)
        instead = capture(topic, account=account)
        instead.enhancement_id = given.enhancement_id
        for call in (
            service.network.ReportOutcome(report(account, given.enhancement_id)),
            service.network.ReportReaction(react(account, given.enhancement_id, "DISMISSED")),
            service.network.GenerateTask(
                GenerateTaskRequest(account_id=account, enhancement_id=given.enhancement_id)
            ),
            service.network.CapturePattern(instead),
        ):
            status = await refusal(call)
            assert status.reason == "ENHANCEMENT_NOT_FOUND"
        assert differences(before, await counted(lived)) == []


async def test_a_young_question_stays_with_its_outcome(lived: str, tmp_path: Path) -> None:
    """While others could still be reported on, a task can be made of it and a reaction be told."""
    asked_before = NOW - timedelta(days=SPAN / 2)
    await archive(lived, tmp_path, asked_before)
    (times,) = await rows(
        lived,
        """
        SELECT min(e.created_at) AS first, count(*) AS n FROM enhancement_outcomes x
          JOIN enhancements e ON e.scope_id = x.scope_id AND e.id = x.enhancement_id
          JOIN observations o ON o.scope_id = x.scope_id AND o.id = x.observation_id
         WHERE o.occurred_time::date <> (SELECT joined_time::date FROM accounts a WHERE a.account_key = o.account_key)
           AND o.id NOT IN (SELECT observation_id FROM outcome_requests) AND o.compared IS DISTINCT FROM false
        """,
    )
    assert times["n"] > 5
    assert times["first"] >= asked_before


@pytest.mark.parametrize(
    "waiting",
    [
        "UPDATE reactions SET counted_time = NULL",
        "INSERT INTO reaction_requests SELECT account_key, gen_random_uuid(), '', recorded_time FROM reactions",
    ],
)
async def test_a_question_stays_while_a_reaction_may_be_asked_for(
    waiting: str, lived: str, tmp_path: Path
) -> None:
    """One that waits for others counts with them, and one whose request is known is recognized."""
    await execute(lived, waiting)
    reactions = await execute(lived, "SELECT count(*) FROM reactions")
    assert (await archive(lived, tmp_path)).observations > 0
    assert await execute(lived, "SELECT count(*) FROM reactions") == reactions


@pytest.mark.parametrize(
    "change",
    [
        """
        INSERT INTO reactions (scope_id, account_key, enhancement_id, reaction, recorded_time)
        SELECT scope_id, account_key, id, 'done', now() FROM enhancements WHERE id = $1
        """,
        "UPDATE enhancements SET pattern_id = NULL, advised_scope_id = NULL WHERE id = $1",
    ],
)
async def test_a_question_that_changes_while_it_is_written_stays(
    change: str, lived: str, database: Database
) -> None:
    """By a reaction, or because its pattern goes: the group is not taken, and nothing is counted twice."""
    async with look(database, NOW, name=True) as leaving:
        groups = [
            (due, group) for due in await leaving.due() async for group in leaving.groups(due)
        ]
    due, group, question = next(
        (due, group, question)
        for due, group in groups
        for row in group
        if (question := row[QUESTION]) and question["pattern_id"]
    )
    await execute(lived, change, UUID(question["id"]))
    file_id = UUID(int=1)
    await PostgresArchiveFiles(database).begin(file_id, "unwritten", due.month)
    before = await counted(lived)
    assert not await take(database, file_id, 0, group, HALF_LIFE)
    assert differences(before, await counted(lived)) == []
    assert await execute(lived, "SELECT count(*) FROM rolled_questions") == 0


async def test_reactions_after_the_archived_ones_count_in_the_same_steps(
    database_of_its_own: str, tmp_path: Path
) -> None:
    """Of eight the last three wait, wherever the first five are: no count tells what one account thought."""
    calendar, dsn, account = Calendar(), database_of_its_own, new_account()
    async with running(dsn, clock=calendar, counting_step=5, **KEPT) as service:
        await teach(service, TOPIC, ["+++++", "+++++", "+++++"])
        await teach(service, TOPIC, ["+"])
        calendar.now += timedelta(days=2)
        for number in range(8):
            given = await ask(service, TOPIC, account)
            await service.network.ReportReaction(react(account, given.enhancement_id, "SHOWN"))
            await service.network.ReportOutcome(report(account, given.enhancement_id))
            calendar.now += timedelta(days=1)
            if number == 4:
                for table in ("outcome_requests", "reaction_requests"):
                    await execute(dsn, f"DELETE FROM {table}")  # noqa: S608 - one of two names
                await execute(dsn, "UPDATE observations SET compared = NULL")
                await archive(dsn, tmp_path)
                assert await execute(dsn, "SELECT sum(reactions) FROM archived_reactions") >= 4
    assert await execute(dsn, "SELECT sum(reactions) FROM adopted_advice") == 5


async def test_nothing_is_left_of_the_archived_advice_of_a_forgotten_account(
    lived: str, accounts: Sequence[str], tmp_path: Path
) -> None:
    """No table of sums has a row of it."""
    await archive(lived, tmp_path)
    before = await holders(lived)
    async with running(lived, evidence_half_life=HALF_LIFE, **KEPT) as service:
        await service.admin.ForgetAccount(ForgetAccountRequest(account_id=accounts[0]))
    after = await holders(lived)
    (key,) = before["archive_subjects"] - after["archive_subjects"]
    assert key in before["rolled_questions"] & before["archived_parts"]
    assert [table for table, keys in after.items() if key in keys] == []


async def holders(dsn: str) -> Mapping[str, set[str]]:
    """The accounts that have rows in each table that is by account."""
    tables = await rows(
        dsn,
        """
        SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind = 'r' AND a.attname = 'account_key'
        """,
    )
    found = {}
    for table in (row["name"] for row in tables):
        keys = await rows(dsn, f"SELECT DISTINCT account_key FROM {table}")  # noqa: S608 - of the catalog
        found[table] = {row["account_key"] for row in keys}
    return found


def test_files_of_the_first_format_have_no_questions(tmp_path: Path) -> None:
    """They were written before outcomes of advice could leave, and are read as they are."""
    later = {"enhancement_id", "instead_of", "compared", QUESTION}
    path = tmp_path / "old.parquet"
    row = {column: None for column in COLUMNS if column not in later} | {"context": "{}"}
    pq.write_table(pa.Table.from_pylist([row | {"anonymization": "{}"}]), path)
    with Reader(path) as reader:
        (found,) = reader.group(0)
    assert found.keys() == COLUMNS.keys()
    assert {found[column] for column in later} == {None}
    assert found["context"] == {}
