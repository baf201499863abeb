"""What the bundled model makes of texts that people write: no stand-in, no chosen vectors."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
)
from tests.rpc.requests import capture, question
from tests.rpc.service import Service, running

CONDITIONS = {"days_since_visit": 45, "service": "massage"}


@pytest.fixture(scope="module")
async def service(database_url: str) -> AsyncIterator[Service]:
    """A service as it starts without a key: with the bundled model."""
    async with running(database_url) as started:
        yield started


async def pattern_of(service: Service, topic: str, action: str) -> str:
    """The pattern that a capture of this action ends in."""
    stored = await service.capture(capture(topic, action, conditions=CONDITIONS))
    assert stored.disposition != "withheld"
    return stored.pattern_id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Call the guest and offer a slot with the usual therapist",
            "Phone the guest and offer an appointment with the usual therapist",
        ),
        (
            "Text clients a reminder the day before their appointment",
            "Send clients a text reminder the day before the appointment",
        ),
    ],
)
async def test_rewordings_become_one_pattern(
    service: Service, topic: str, one: str, other: str
) -> None:
    """The same move in other words adds to the same evidence."""
    assert await pattern_of(service, topic, one) == await pattern_of(service, topic, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Raise the price of Saturday massages by 10%",
            "Lower the price of Saturday massages by 10%",
        ),
        ("Add a late-cancel fee to full classes", "Remove the late-cancel fee for full classes"),
        ("Start charging a late-cancel fee", "Stop charging a late-cancel fee"),
        ("Text reminders to regular clients", "Stop the reminder texts for regular clients"),
        ("Reply to the review publicly", "Reply to the review privately"),
        ("Offer 20% off the next massage", "Offer 10% off the next massage"),
        ("Open an hour earlier on Saturdays", "Open an hour later on Saturdays"),
        ("Call the guest and offer a slot", "Repair the sauna heater and tell the members"),
    ],
)
async def test_opposites_and_strangers_stay_apart(
    service: Service, topic: str, one: str, other: str
) -> None:
    """What must never be counted together is not, however alike it sounds."""
    assert await pattern_of(service, topic, one) != await pattern_of(service, topic, other)


async def test_a_question_in_other_words_finds_the_answer(service: Service, topic: str) -> None:
    """With an action and without, a newcomer's insight meets what others did."""
    for _ in range(3):
        await pattern_of(service, topic, "Call the guest and offer a slot with the usual therapist")
    for action in ("Phone lapsed guests and offer them an appointment", ""):
        answer = await service.network.EnhanceInsight(
            question(topic, action, conditions={"days_since_visit": 50, "service": "massage"})
        )
        assert answer.enhanced_insight.suggested_approach.startswith("Call the guest")
    strange = await service.network.EnhanceInsight(
        question(topic, "Repair the rowing machine", conditions={"equipment": "rowing machine"})
    )
    assert strange.no_match_reason == EnhanceInsightResponse.NO_MATCH_REASON_NOTHING_SIMILAR
