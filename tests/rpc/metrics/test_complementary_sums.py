"""Network metrics as seen by a reader who subtracts what is shown from the whole."""

from __future__ import annotations

import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsRequest,
    GetNetworkMetricsResponse,
)
from tests.rpc.feedback import TOWEL, ask, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.requests import new_account, new_topic
from tests.rpc.service import Service


@pytest.fixture(scope="module", autouse=True)
def same_direction(geometry: Geometry) -> None:
    """The towel is alike in any line of business, so that florists get the bakeries' advice."""
    geometry.together(TOWEL)


async def metrics(service: Service, category: str = "") -> GetNetworkMetricsResponse:
    """The report of a line of business, or of the whole network."""
    return await service.network.GetNetworkMetrics(
        GetNetworkMetricsRequest(business_category=category)
    )


async def advised(service: Service, topic: str, category: str, revenue: float) -> None:
    """A new account is advised, and reports what that brought."""
    account = new_account()
    given = await ask(service, topic, account, category=category)
    assert given.enhanced_insight.network_enhanced
    await service.network.ReportOutcome(
        report(account, given.enhancement_id, revenue_impact=revenue)
    )


def counts(told: GetNetworkMetricsResponse) -> tuple[int, ...]:
    """Everything in a report that adds up over lines of business."""
    days = told.days
    return (
        round(told.metrics.revenue_generated_network.value * 100),
        told.metrics.revenue_generated_network.sample_size,
        round(told.metrics.total_success_applications.value),
        told.metrics.total_success_applications.sample_size,
        round(told.metrics.patterns_discovered.value),
        told.metrics.enhanced_rate.sample_size,
        told.metrics.time_to_insight.sample_size,
        sum(day.observation_count for day in days),
        sum(day.question_count for day in days),
        sum(day.enhanced_count for day in days),
        sum(day.advised_count for day in days),
        sum(day.patterns_discovered for day in days),
    )


async def remainder(service: Service) -> tuple[int, ...]:
    """The whole network less every line of business that has a report."""
    whole = await metrics(service)
    left = counts(whole)
    for category in whole.business_categories:
        shown = counts(await metrics(service, category))
        left = tuple(all_of_it - part for all_of_it, part in zip(left, shown, strict=True))
    return left


async def test_the_whole_less_what_is_shown_is_not_a_withheld_metric(service: Service) -> None:
    """Two of five barbers, who have a report, tell what advice brought: it is in no difference."""
    topic = new_topic()
    await teach(service, topic, ["++++++++"] * 5, category="tailor")
    await teach(service, topic, ["+"] * 3, category="barber")
    for _ in range(3):
        await advised(service, topic, "tailor", 10.0)
    before = await remainder(service)
    for _ in range(2):
        await advised(service, topic, "barber", 123.45)
    told = await metrics(service, "barber")
    assert not told.withheld
    assert not told.metrics.revenue_generated_network.HasField("value")
    after = await remainder(service)
    # What the two captured by reporting is in the barbers' own report; nothing else is anywhere.
    assert after == before

    await advised(service, topic, "barber", 100.0)
    assert (await metrics(service, "barber")).metrics.revenue_generated_network.value == 340
    assert await remainder(service) == before


async def test_the_whole_less_what_is_shown_is_not_a_withheld_line_of_business(
    service: Service,
) -> None:
    """Two florists are in no difference; with a dentist, three owners in two lines, all of them are in it."""
    topic = new_topic()
    await teach(service, topic, ["++++++++"] * 5, category="bakery")
    for _ in range(3):
        await advised(service, topic, "bakery", 10.0)
    nothing = await remainder(service)
    assert not any(nothing)

    for _ in range(2):
        await advised(service, topic, "florist", 123.45)
    assert (await metrics(service, "florist")).withheld
    assert await remainder(service) == nothing

    await advised(service, topic, "dentist", 100.0)
    assert (await metrics(service, "dentist")).withheld
    revenue, measured, *_ = await remainder(service)
    assert (revenue, measured) == (34_000, 3)
