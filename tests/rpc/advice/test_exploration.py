from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator

import pytest

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from keeper_grpc.one_shot.commands import rebuild
from keeper_grpc.settings import Settings
from tests import program
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import TOWEL, ask, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.requests import new_account
from tests.rpc.service import PSEUDONYM_KEYS, Service, openai, running

TEA = "Pour a cup of tea"
WELCOME, HELLO = "Welcome back, {name}", "Hello {name}"


@pytest.fixture(scope="module")
async def service(
    database_url: str, embeddings: OpenAIStandIn, geometry: Geometry
) -> AsyncIterator[Service]:
    """A service that explores wherever there is a choice, whatever it costs."""
    geometry.apart(TOWEL, TEA, cosine=0.8)
    async with running(
        database_url,
        script_exploration=1.0,
        pattern_exploration=1.0,
        exploration_loss=1.0,
        **openai(embeddings.base_url),
    ) as started:
        yield started


async def proven(service: Service, pattern_id: str) -> str:
    """The proven script of a published pattern."""
    answer = await service.network.GetPattern(
        network_service_pb2.GetPatternRequest(pattern_id=pattern_id)
    )
    return answer.pattern.proven_script


async def test_outcomes_of_drawn_scripts_are_counted_and_recounted(
    service: Service, topic: str, database_url: str
) -> None:
    """With the chance that each had; a rebuild from the ledger finds the same."""
    pattern_id = await teach(service, topic, ["++-"] * 3, script=WELCOME)
    assert await teach(service, topic, ["++-"] * 3, script=HELLO) == pattern_id
    for _ in range(24):
        account = new_account()
        given = await ask(service, topic, account, min_success_rate=0.1)
        works = given.enhanced_insight.proven_script == HELLO
        await service.network.ReportOutcome(report(account, given.enhancement_id, success=works))
    counts = await service.database.fetch(
        """
        SELECT s.template, sum(a.success_count)::float / sum(a.occurrence_count) AS rate,
               sum(a.drawn_trials)::int AS drawn
          FROM pattern_scripts s JOIN script_accounts a ON a.scope_id = s.scope_id AND a.script_id = s.id
         WHERE s.pattern_id = $1::text::uuid GROUP BY 1
        """,
        pattern_id,
    )
    found = {row["template"]: row for row in counts}
    assert min(found[WELCOME]["drawn"], found[HELLO]["drawn"]) >= 1
    assert found[WELCOME]["drawn"] + found[HELLO]["drawn"] <= 24
    assert await proven(service, pattern_id) == HELLO

    counted = "SELECT * FROM script_accounts ORDER BY script_id, account_key"
    before = await service.database.fetch(counted)
    await service.database.execute("UPDATE script_accounts SET drawn_weight = 0, drawn_excess = 9")
    await rebuild(
        Settings(database_url=database_url, pseudonym_keys=PSEUDONYM_KEYS, open_accounts=True)
    )
    for old, new in zip(before, await service.database.fetch(counted), strict=True):
        assert list(new.values())[2:] == pytest.approx(list(old.values())[2:])


async def test_the_choice_of_a_pattern_is_drawn_and_recorded(service: Service, topic: str) -> None:
    """Both are advised, each with the chance that is recorded, and an explanation says so of the second."""
    names = {}
    for action, outcomes in ((TOWEL, ["++-"] * 3), (TEA, ["+++"] * 3)):
        names[await teach(service, topic, outcomes, action)] = action
    told = []
    for _ in range(30):
        given = await ask(service, topic, new_account(), min_success_rate=0.3)
        told.append(given)
    advised = [given.enhanced_insight for given in told]
    assert {each.pattern_id for each in advised} == set(names)
    drawn = [each for each in advised if "drawn by chance" in each.explanation]
    assert 0 < len(drawn) < len(advised)
    rows = await service.database.fetch(
        """
        SELECT pattern_id::text, pattern_propensity, contenders, exploration_loss
          FROM enhancements WHERE pattern_type = $1
        """,
        topic,
    )
    for row in rows:
        contenders = json.loads(row["contenders"])
        assert set(contenders) == set(names)
        assert contenders[row["pattern_id"]][0] == pytest.approx(row["pattern_propensity"])
        assert sum(chance for chance, _ in contenders.values()) == pytest.approx(1)


async def test_asking_again_on_the_same_day_gives_the_same_answer(
    service: Service, topic: str
) -> None:
    """A retry is no new draw."""
    for script in (WELCOME, HELLO):
        await teach(service, topic, ["+", "+", "+"], script=script)
    for _ in range(4):
        account = new_account()
        answers = {
            (await ask(service, topic, account)).enhanced_insight.proven_script for _ in range(3)
        }
        assert len(answers) == 1


async def test_everyone_sees_what_exploring_was_expected_to_cost(
    service: Service, topic: str
) -> None:
    """The mean over the questions of k owners that were enhanced, as the ledger has it; of fewer it is withheld."""
    for action, outcomes in ((TOWEL, ["+++"] * 3), (TEA, ["++-"] * 3)):
        await teach(service, topic, outcomes, action, category="dojo")
    asked = network_service_pb2.GetNetworkMetricsRequest(business_category="dojo")
    curious = new_account()
    for account in [*[curious] * 12, new_account(), new_account()]:
        metrics = (await service.network.GetNetworkMetrics(asked)).metrics
        assert not metrics.exploration_loss.HasField("value")
        await ask(service, topic, account, category="dojo", min_success_rate=0.3)

    loss = (await service.network.GetNetworkMetrics(asked)).metrics.exploration_loss
    expected = "SELECT avg(exploration_loss) FROM enhancements WHERE pattern_type = $1"
    assert loss.sample_size == 14
    assert loss.value == pytest.approx(await service.value(expected, topic))
    assert loss.value != 0


async def test_the_operator_sees_what_was_learned_and_what_it_cost(
    service: Service, topic: str, database_url: str
) -> None:
    """`keeper explore` beside the server: each script's rate by three estimates, and the expected loss."""
    for script in (WELCOME, HELLO):
        await teach(service, topic, ["++-", "++-", "++-"], script=script, category="surf_school")
    for number in range(24):
        account = new_account()
        given = await ask(service, topic, account, category="surf_school", min_success_rate=0.1)
        await service.network.ReportOutcome(
            report(account, given.enhancement_id, success=number % 2 == 0)
        )

    command = await asyncio.to_thread(
        program.run,
        ["explore"],
        env=os.environ
        | {
            "KEEPER_DATABASE_URL": database_url,
            "KEEPER_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
            "COLUMNS": "200",
        },
    )

    assert command.returncode == 0
    lines = command.stdout.splitlines()
    start = next(place for place, line in enumerate(lines) if "surf_school" in line)
    rows = [
        next(line for line in lines[start : start + 3] if script in line)
        for script in (WELCOME, HELLO)
    ]
    counted = [re.search(r"│ +(\d+) of 24 +│ +(\d+) +│ +\d+% ", row) for row in rows]
    assert all(counted)
    assert sum(int(found[1]) for found in counted if found) == 24
    assert sum("* " in row for row in rows) == 1
    assert "points of success on the average" in command.stdout
