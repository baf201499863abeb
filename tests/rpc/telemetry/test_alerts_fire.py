"""Every alert fires on what a service exports in the fault that it is for, and none does without a fault."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from keeper_grpc.privacy.anonymizer import Anonymizer
from tests.conftest import EmbeddedPostgresFactory
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.service import openai, running
from tests.rpc.telemetry.exported import Exported
from tests.rpc.telemetry.faults import OPENING, Faults
from tests.rpc.telemetry.promtool import PROMTOOL, Faulted, check
from tests.rpc.telemetry.scraped import scrape
from tests.rpc.telemetry.test_alerts_and_dashboard import RULES, rules

pytestmark = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus has it"
)


@pytest.mark.timeout(600)  # twenty faults in a row
async def test_every_alert_fires_in_its_fault_and_none_without(
    embedded_postgres_factory: EmbeddedPostgresFactory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """On what a real service exports, one fault after the other, by Prometheus' own evaluation of the rules."""
    made: list[Anonymizer] = []
    default = Anonymizer.default

    def remembered(*arguments: object, **options: object) -> Anonymizer:
        made.append(default(*arguments, **options))  # type: ignore[arg-type]  # passed on as they came
        return made[-1]

    monkeypatch.setattr(Anonymizer, "default", remembered)
    postgres = await embedded_postgres_factory()
    settings = {
        "stream_buffer": 5,
        "metrics_port": 0,
        "drain_grace": timedelta(seconds=1),
        # A question without a model is a call that fails.
        "enhance_without_embedder": False,
        "openai_circuit_failures": OPENING,
        "openai_circuit_pause": timedelta(milliseconds=1),
    }
    async with (
        OpenAIStandIn() as embeddings,
        running(
            postgres.dsn, **openai(embeddings.base_url, openai_concurrency=1_000, **settings)
        ) as service,
    ):
        faults = Faults(service, postgres, embeddings, made[-1], [])
        # What an operator has seen before the first fault.
        await faults.ask()
        await faults.case("no fault", (), faults.nothing)
        await faults.case("a defect", ["KeeperDefect"], faults.defect)
        await faults.case("a slow model", ["KeeperEnhanceSlow"], faults.slow_model)
        await faults.case("too many questions", ["KeeperOverloaded"], faults.too_many_questions)
        await faults.case("waiting writes", ["KeeperWritersBehind"], faults.waiting_writes)
        await faults.case("few connections", ["KeeperPoolExhausted"], faults.few_connections)
        await faults.case(
            "a failing model", ["KeeperEmbeddingFails", "KeeperCallsFail"], faults.failing_model
        )
        await faults.case(
            "an open circuit",
            ["KeeperEmbeddingCircuitOpen", "KeeperEmbeddingFails", "KeeperCallsFail"],
            faults.open_circuit,
        )
        await faults.case("locked vectors", ["KeeperEmbeddingStoreFails"], faults.locked_vectors)
        await faults.case("a broken layer", ["KeeperAnonymizerBroken"], faults.broken_layer)
        # The key is not tried again for half a minute: what follows needs no model.
        await faults.case("a refused key", ["KeeperEmbeddingNeedsAHuman"], faults.refused_key)
        await faults.case("stuck readers", ["KeeperSubscribersCutOff"], faults.stuck_readers)
        await faults.case("a stuck step", ["KeeperDetectorStuck"], faults.stuck_step)
        await faults.case("failing steps", ["KeeperDetectorFails"], faults.failing_steps)
        await faults.case("a stolen lead", ["KeeperNoLeader"], faults.stolen_lead)
        await faults.case(
            "a read-only database", ["KeeperNotReady", "KeeperNobodyServes"], faults.read_only
        )
        serving = await scrape(service)
        faults.cases.append(Faulted("no process", serving, None, ["KeeperNobodyServes"]))
        await faults.case(
            "no database",
            ["KeeperNotReady", "KeeperCallsFail", "KeeperQuestionsFail"],
            faults.no_database,
        )
    assert {alert for case in faults.cases for alert in case.alerts} == {
        rule["alert"] for rule in rules()
    }
    assert await check(RULES, faults.cases, tmp_path) == ""


async def test_a_fault_that_should_fire_and_does_not_is_named(tmp_path: Path) -> None:
    """The test above rests on it: promtool's complaint says which alert is missing."""
    ready = Exported.read("keeper_ready 1\n")
    quiet = Faulted("quiet", ready, ready, ["KeeperNotReady"])
    assert "KeeperNotReady" in await check(RULES, [quiet], tmp_path)
