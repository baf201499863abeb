from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc
import pytest

from tests.e2e.waiting import SOON
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.emerging.subscriber import Stream, ended, snapshot, subscribed
from tests.rpc.requests import capture
from tests.rpc.service import openai, running


async def test_a_stream_ends_at_its_age_and_goes_on_elsewhere(
    database_url: str, embeddings: OpenAIStandIn, topic: str
) -> None:
    """Each at a moment of its own, with a status that says to resume at once."""
    short = openai(embeddings.base_url, stream_max_age=timedelta(milliseconds=500))
    heartbeat = timedelta(milliseconds=20)
    long = openai(embeddings.base_url, stream_heartbeat=heartbeat)
    async with running(database_url, **long) as elsewhere:
        # Of a stream that lives until its snapshot is complete, however slow the machine is.
        async with subscribed(elsewhere, pattern_type=topic) as stream:
            _, complete = await snapshot(stream)
        async with running(database_url, **short) as service, AsyncExitStack() as stack:
            began = time.monotonic()
            streams = [
                await stack.enter_async_context(subscribed(service, pattern_type=topic))
                for _ in range(5)
            ]

            async def age_of(stream: Stream) -> float:
                ending = await ended(stream)
                assert ending.code is grpc.StatusCode.UNAVAILABLE
                assert ending.reason == "STREAM_MAX_AGE"
                assert ending.retry_seconds == 0
                return time.monotonic() - began

            ages = await asyncio.gather(*map(age_of, streams))
        assert min(ages) >= 0.4
        assert len({round(each, 3) for each in ages}) > 1
        resume = {"pattern_type": topic, "resume_token": complete.resume_token}
        async with subscribed(elsewhere, **resume) as resumed:
            async with asyncio.timeout(SOON):
                assert (await resumed.read()).WhichOneof("event") == "heartbeat"


async def test_a_drain_ends_every_stream_and_waits_for_no_grace(
    database_url: str, embeddings: OpenAIStandIn
) -> None:
    """Subscribers get SHUTTING_DOWN, which asks them to resume elsewhere, long before the grace is over."""
    settings = openai(embeddings.base_url, drain_grace=timedelta(seconds=10 * SOON))
    async with running(database_url, **settings) as leaving:
        streams = []
        async with AsyncExitStack() as stack:
            for _ in range(10):
                stream = await stack.enter_async_context(subscribed(leaving))
                await snapshot(stream)
                streams.append(stream)
            drain = asyncio.ensure_future(leaving.app.drain())
            endings = await asyncio.gather(*(ended(stream) for stream in streams))
            async with asyncio.timeout(SOON):
                await drain
        assert {(e.code, e.reason) for e in endings} == {
            (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        }
        assert all(ending.retry_seconds for ending in endings)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await leaving.network.CapturePattern(capture("pricing"))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
