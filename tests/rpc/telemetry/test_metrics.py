from __future__ import annotations

import asyncio
import re
from typing import Any

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    StreamEmergingPatternsRequest,
    StreamNetworkMetricsRequest,
)
from tests.e2e.waiting import POLL, SOON
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.accounts import test_canaries as canaries
from tests.rpc.service import openai, running
from tests.rpc.telemetry.exported import documented
from tests.rpc.telemetry.label_values import VALUES
from tests.rpc.telemetry.scraped import Scraped, scrape

ENHANCE = "NetworkLearningService/EnhanceInsight"


async def test_the_page_lists_what_is_exported(scraped: Scraped) -> None:
    """Every metric with its type and labels, and none that is not there."""
    exported = scraped.exported
    found = {}
    for name, kind in exported.types.items():
        series = f"{name}_count" if kind == "histogram" else name
        found[name] = (kind, exported.labels(series))
    assert found.pop("target_info")[1] >= {"service_name", "service_version"}
    assert found == documented()


async def test_the_numbers_are_those_of_the_traffic(scraped: Scraped) -> None:
    """Each kind of thing is counted once, by what it was."""
    value = scraped.exported.value
    calls = "keeper_rpc_duration_seconds_count"
    assert value(calls, method="NetworkLearningService/CapturePattern", code="OK") == 4
    assert value(calls, method=ENHANCE, code="OK") == 2
    assert value(calls, method=ENHANCE, code="UNAVAILABLE") == 1
    assert value("keeper_captures_total", disposition="created") == 1
    assert value("keeper_captures_total", disposition="merged") == 2
    assert value("keeper_captures_total", disposition="replayed") == 1
    assert value("keeper_scripts_stopped_total", reason="secret") == 1
    assert value("keeper_enhancements_total", result="enhanced") == 2
    assert value("keeper_enhancements_total", result="no_patterns") == 1
    # Of each that was enhanced, and nothing was drawn.
    assert value("keeper_exploration_loss_count") == 2
    assert value("keeper_exploration_loss_sum") == 0
    assert value("keeper_reactions_total", reaction="shown") == 1
    assert value("keeper_rpc_question_duration_seconds_count", code="OK") == 1
    streams = "keeper_rpc_streams_ended_total"
    assert value(streams, method="NetworkLearningService/EnhanceInsights", code="OK") == 1
    assert value(streams, code="CANCELLED") == 1
    assert value("keeper_anonymizer_drops_total", reason="FORBIDDEN_KEY") == 2
    assert value("keeper_embedding_attempts_failed_total", reason="openai_key_refused") == 1
    assert value("keeper_embedding_duration_seconds_count", result="unavailable") == 1
    # "ready", sentence and action, one new topic, and the text that was refused.
    assert value("keeper_embedding_texts_total", source="model") == 5
    assert value("keeper_embedding_texts_total", source="memory") > 0
    assert value("keeper_memory_lookups_total", memory="accounts", result="hit") > 0
    assert value("keeper_memory_lookups_total", memory="insights", result="hit") > 0
    searches = {
        source: value("keeper_searches_total", source=source)
        for source in ("memory", "database", "index")
    }
    assert searches["memory"] + searches["database"] > 0
    assert searches["index"] == 0
    admitted = "keeper_admission_admitted_total"
    assert value(admitted, kind="question") == 3
    assert value(admitted, kind="stream_question") == 1
    assert value(admitted, kind="write") == 5
    assert value(admitted, kind="report") == 8
    assert value("keeper_admission_wait_seconds_count", kind="report") > 0
    assert value("keeper_admission_shed_total") == 0
    assert value("keeper_admission_limit") >= 1
    assert value("keeper_writer_wait_seconds_count", writer="scopes") > 0
    assert value("keeper_published_lag") < SOON
    assert value("keeper_database_connections_limit") == 8
    assert value("keeper_detector_leader") == 1
    assert value("keeper_detector_step_age") < SOON
    assert value("keeper_replica_configured") == value("keeper_replica_used") == 0
    assert value("keeper_ready") == 1


async def test_the_detectors_last_step_is_seen(scraped: Scraped) -> None:
    """When it ended and what it took, once there was one."""
    async with asyncio.timeout(SOON):
        while True:
            found = await scrape(scraped.service)
            if found.value("keeper_detector_steps_total"):
                break
            await asyncio.sleep(POLL)
    assert found.value("keeper_detector_step_duration") > 0
    assert 0 < found.value("keeper_detector_step_age") < SOON


async def test_probes_are_not_counted(scraped: Scraped) -> None:
    """Health checks would drown the calls."""
    methods = {
        labels["method"]
        for labels, _ in scraped.exported.series["keeper_rpc_duration_seconds_count"]
    }
    assert methods == {
        f"NetworkLearningService/{name}"
        for name in ("CapturePattern", "EnhanceInsight", "ReportReaction", "GetNetworkMetrics")
    }


async def test_labels_have_values_of_our_own_making(scraped: Scraped) -> None:
    """A caller cannot make a series: each value is one that this program or its operator wrote."""
    for name, series in scraped.exported.series.items():
        if name == "target_info":
            continue
        for labels, _ in series:
            for label, value in labels.items():
                assert label == "le" or value in VALUES[label], (name, label, value)


async def test_nothing_identifying_is_exported(scraped: Scraped) -> None:
    """Neither texts nor accounts nor their pseudonyms, whatever is called with them."""
    await canaries.call_everything(scraped.service)
    text = (await scrape(scraped.service)).text
    keys = [
        row[0] for row in await scraped.service.database.fetch("SELECT account_key FROM accounts")
    ]
    assert canaries.found(text) == []
    assert "keeper_anonymizer_drops_total" in text
    secrets = [*scraped.accounts, *keys, scraped.topic]
    assert [secret for secret in secrets if secret in text] == []
    # A word of its own: the table embedding_space is no line of business.
    assert not re.search(r"\bspa\b", text)


async def test_two_services_of_one_process_count_apart(
    scraped: Scraped, database_url: str, embeddings: OpenAIStandIn
) -> None:
    """Nothing is registered for the process as a whole: a second service begins at zero."""
    settings = openai(embeddings.base_url)
    async with running(database_url, metrics_port=0, **settings) as other:
        exported = await scrape(other)
    assert exported.value("keeper_captures_total") == 0
    assert exported.value("keeper_detector_leader") == 0  # the first one leads
    assert (await scrape(scraped.service)).value("keeper_captures_total") >= 4


async def test_subscribers_and_calls_in_flight_are_seen(scraped: Scraped) -> None:
    """A stream counts while it is open, whichever it is."""
    before = (await scrape(scraped.service)).value("keeper_rpc_in_flight")
    network = scraped.service.network
    streams: list[Any] = [
        network.StreamEmergingPatterns(StreamEmergingPatternsRequest()),
        network.StreamNetworkMetrics(StreamNetworkMetricsRequest()),
        network.StreamNetworkMetrics(StreamNetworkMetricsRequest()),
    ]
    for stream in streams:
        await stream.read()
    now = await scrape(scraped.service)
    for stream in streams:
        stream.cancel()
    assert now.value("keeper_feed_subscribers", stream="emerging_patterns") == 1
    assert now.value("keeper_feed_subscribers", stream="network_metrics") == 2
    assert now.value("keeper_rpc_in_flight") == before + 3
