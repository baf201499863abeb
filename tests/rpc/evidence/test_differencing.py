"""What an observer reads of one account in a pattern of which it knows all the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetPatternRequest
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from tests.rpc.feedback import TOWEL
from tests.rpc.requests import capture, new_account, new_topic
from tests.rpc.service import Service

MORNING = datetime(2026, 11, 2, 3, 4, 5, 678901, UTC)


async def observe(
    service: Service, topic: str, outcomes: str, revenue: float, occurred: datetime
) -> str:
    """Captures of a new account; the pattern's id."""
    account = new_account()
    for outcome in outcomes:
        request = capture(topic, TOWEL, account=account, success=outcome == "+")
        request.outcome.revenue_impact = revenue
        request.occurred_time.FromDatetime(occurred)
        stored = await service.capture(request)
    return stored.pattern_id


async def read(service: Service, outcomes: str, revenue: float, occurred: datetime) -> Pattern:
    """The pattern that a victim joins beside six of the observer's, chosen so that the median is the victim's."""
    topic = new_topic()
    for number in range(6):
        await observe(service, topic, "+++++", 1000.0 * (number % 2), MORNING - timedelta(days=30))
    pattern_id = await observe(service, topic, outcomes, revenue, occurred)
    found = await service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))
    return found.pattern


async def test_an_observer_reads_neither_volume_nor_cent_nor_hour(service: Service) -> None:
    """Thirty captures in the morning and six in the evening, of one rate and about one revenue, look the same."""
    heavy = await read(service, "++-" * 10, 123.45, MORNING)
    light = await read(service, "++-" * 2, 118.20, MORNING + timedelta(hours=15))
    assert heavy.evidence.mean_revenue_impact == 120.0
    assert heavy.evidence.occurrence_count == 35
    assert light.evidence == heavy.evidence
    assert light.last_validated_time == heavy.last_validated_time
    assert light.first_discovered_time == heavy.first_discovered_time
