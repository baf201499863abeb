from __future__ import annotations

from typing import Any

from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    PreviewInsightRequest,
    PreviewInsightResponse,
)
from tests.rpc.feedback import TOWEL, ask, teach
from tests.rpc.geometry import Geometry
from tests.rpc.requests import capture, insight, new_account
from tests.rpc.service import Service

Failed = EnhanceInsightResponse
POOL = "Show the guest the indoor pool"
TABLES = (
    *("accounts", "observations", "enhancements", "sightings", "embedding_cache", "word_accounts"),
    *("network_patterns", "measure_changes", "account_milestones", "experiment_outcomes"),
)


async def preview(
    service: Service, topic: str, action: str = TOWEL, **fields: Any
) -> PreviewInsightResponse:
    """PreviewInsight."""
    return await service.network.PreviewInsight(
        PreviewInsightRequest(insight=insight(topic, action, **fields))
    )


async def rows(service: Service) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table: await service.value(f"SELECT count(*) FROM {table}")  # noqa: S608 - names of the list above
        for table in TABLES
    }


async def test_a_preview_shows_what_is_found_and_how_it_ranks(
    service: Service, geometry: Geometry, topic: str
) -> None:
    """One candidate that would be applied, and one that fails too often, each with its numbers."""
    geometry.apart(TOWEL, POOL, cosine=0.9)
    good = await teach(service, topic, ["+++", "+++", "++-"])
    bad = await teach(service, topic, ["---", "--+", "---"], POOL)
    found = await preview(service, topic)
    assert found.enhanced_insight.network_enhanced
    assert found.enhanced_insight.suggested_approach == TOWEL
    first, second = found.candidates
    assert (first.pattern_id, first.action, first.failed) == (good, TOWEL, 0)
    assert first.score == found.enhanced_insight.factors.score
    assert first.expected_success_rate == found.enhanced_insight.expected_success_rate
    assert 0 < first.lower_bound < first.expected_success_rate
    assert second.pattern_id == bad
    assert second.failed == Failed.NO_MATCH_REASON_SUCCESS_RATE_TOO_LOW
    assert (second.score, second.transfer) == (0, 1)
    assert second.similarity < first.similarity


async def test_what_does_harm_here_is_no_fit_from_elsewhere(
    service: Service, geometry: Geometry, topic: str
) -> None:
    """The pattern of another line of business is shown as the answer treats it: refused, and so without a score."""
    geometry.together(TOWEL)
    elsewhere = await teach(service, topic, ["+++"] * 3)
    before = await preview(service, topic, category="gym")
    assert [(each.pattern_id, each.failed) for each in before.candidates] == [(elsewhere, 0)]
    assert before.candidates[0].score == before.enhanced_insight.factors.score
    for _ in range(5):
        account = new_account()
        for _ in range(2):
            harm = capture(topic, TOWEL, category="gym", account=account)
            harm.outcome.complained = True
            await service.network.CapturePattern(harm)
    found = await preview(service, topic, category="gym")
    assert found.no_match_reason == Failed.NO_MATCH_REASON_HARMFUL
    assert {each.failed for each in found.candidates} == {Failed.NO_MATCH_REASON_HARMFUL}
    assert elsewhere in {each.pattern_id for each in found.candidates}
    assert not any(each.score for each in found.candidates)


async def test_a_preview_stores_nothing(service: Service, topic: str) -> None:
    """No account, no question, no sighting, no vector of its words; the same text is embedded once more."""
    await teach(service, topic, ["+++"] * 3)
    before = await rows(service)
    for _ in range(2):
        await preview(service, topic, "Read the guest a poem about the river")
    assert await rows(service) == before


async def test_a_preview_shows_what_is_masked(service: Service, topic: str) -> None:
    """The insight as the network would read it, and what was taken out of it."""
    request = PreviewInsightRequest(
        insight=insight(topic, "Call Ottoline about the massage"),
        identifiers=Identifiers(customer_names=["Ottoline"]),
    )
    found = await service.network.PreviewInsight(request)
    assert "Ottoline" not in found.enhanced_insight.insight.action
    assert sum(found.anonymization.masked.values()) == 1


async def test_what_is_not_published_is_no_candidate(service: Service, topic: str) -> None:
    """Two owners are too few: the preview is that of an empty network."""
    await teach(service, topic, ["+++"] * 2)
    found = await preview(service, topic)
    assert not found.candidates
    assert found.no_match_reason == Failed.NO_MATCH_REASON_NO_PATTERNS


async def test_a_preview_answers_as_an_account_without_evidence_is_answered(
    service: Service, topic: str
) -> None:
    """The same pattern, rate and words as a newcomer's question gets."""
    await teach(service, topic, ["+++", "+++", "++-"])
    previewed = (await preview(service, topic)).enhanced_insight
    answered = (await ask(service, topic, new_account())).enhanced_insight
    assert previewed == answered
