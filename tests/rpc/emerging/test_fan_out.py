from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import StreamEmergingPatternsRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from tests.e2e.waiting import SOON
from tests.integration.emerging.emerging_events import tell
from tests.integration.emerging.feed import emerged
from tests.rpc.service import Service

SUBSCRIBERS, CHANGES = 100, 20


async def test_every_subscriber_gets_every_change_once_in_order(
    service: Service, topic: str
) -> None:
    """Whether it subscribed before the changes or during them, and with any filter."""
    changes = emerged(topic, CHANGES)
    expected = [str(made.emerging_pattern_id) for _, made in changes]
    requests = [
        StreamEmergingPatternsRequest(pattern_type=topic, min_accounts=number % 3)
        for number in range(SUBSCRIBERS)
    ]
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(f"127.0.0.1:{service.app.port}")
            )
            for _ in range(4)
        ]
        early, late = requests[: SUBSCRIBERS // 2], requests[SUBSCRIBERS // 2 :]
        readers = [
            asyncio.ensure_future(_received(channels[number % 4], request))
            for number, request in enumerate(early)
        ]
        for position, change in enumerate(changes):
            await tell(service.database, change)
            if position == CHANGES // 2:
                readers += [
                    asyncio.ensure_future(_received(channels[number % 4], request))
                    for number, request in enumerate(late)
                ]
        for received in await asyncio.gather(*readers):
            snapshot, live = received
            assert sorted([*snapshot, *live]) == sorted(expected)
            assert live == expected[len(snapshot) :]


async def _received(
    channel: grpc.aio.Channel, request: StreamEmergingPatternsRequest
) -> tuple[list[str], list[str]]:
    """The members of the snapshot, and the changes after it, until all have come."""
    stream: Any = NetworkLearningServiceStub(channel).StreamEmergingPatterns(request)
    snapshot: list[str] = []
    live: list[str] = []
    complete = False
    async with asyncio.timeout(SOON):
        while not complete or len(snapshot) + len(live) < CHANGES:
            message = await stream.read()
            match message.WhichOneof("event"):
                case "emerging_pattern":
                    into = live if complete else snapshot
                    into.append(message.emerging_pattern.emerging_pattern_id)
                case "snapshot_complete":
                    complete = True
    stream.cancel()
    return snapshot, live
