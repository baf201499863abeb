from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import NoReturn

import pytest

from keeper_grpc.domain.errors import (
    KeeperError,
    ShuttingDown,
    StorageUnavailable,
    StreamMaxAge,
    SubscriberTooSlow,
)
from keeper_grpc.usecases.stream_lifetime import (
    AGE_JITTER,
    OpenStreams,
    StreamLifetime,
    StreamTiming,
)

SHORT = timedelta(milliseconds=20)


def open_streams(
    *,
    heartbeat: timedelta = timedelta(hours=1),
    max_age: timedelta = timedelta(hours=1),
    stall: timedelta = timedelta(hours=1),
) -> OpenStreams:
    """A feed's streams, of which nothing ends soon unless a test says so."""
    timing = StreamTiming(heartbeat=heartbeat, max_age=max_age, stall=stall)
    return OpenStreams(timing, Random(1), "come again")  # noqa: S311 - a test's, always the same


async def silent() -> NoReturn:
    """A feed that has nothing to say."""
    while True:
        await asyncio.Event().wait()


async def stuck(stream: StreamLifetime) -> NoReturn:
    """A feed whose reader takes nothing."""
    with stream.sending():
        await silent()


async def served(
    streams: OpenStreams,
    telling: Callable[[StreamLifetime], asyncio.Future[NoReturn]] | None = None,
) -> None:
    """One stream from its beginning to its end."""
    async with asyncio.timeout(20):
        with streams.opened() as stream:
            await stream.run(telling(stream) if telling else silent())


async def test_streams_of_one_moment_do_not_all_end_at_one_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ages differ by the jitter, around the greatest age that is set."""
    ages: list[float] = []
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def noted(delay: float, *arguments: object) -> asyncio.TimerHandle:
        ages.append(delay)
        return later(delay, *arguments)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(loop, "call_later", noted)
    streams = open_streams(max_age=timedelta(seconds=1000))
    for _ in range(100):
        with streams.opened():
            pass
    assert len(set(ages)) == 100
    assert min(ages) >= 1000 * (1 - AGE_JITTER)
    assert max(ages) <= 1000 * (1 + AGE_JITTER)
    assert min(ages) < 900
    assert max(ages) > 1100


async def test_a_stream_ends_at_its_age() -> None:
    """Though its feed would go on."""
    with pytest.raises(StreamMaxAge):
        await served(open_streams(max_age=SHORT))


async def test_a_message_that_is_not_taken_ends_the_stream_and_is_counted() -> None:
    """The reader that holds up its feed cannot hold up the end."""
    streams = open_streams(stall=SHORT)
    with pytest.raises(SubscriberTooSlow, match="fell behind the stream; come again"):
        await served(streams, lambda stream: asyncio.ensure_future(stuck(stream)))
    assert (len(streams), streams.cut_offs) == (0, 1)


async def test_silence_is_no_stall() -> None:
    """A feed that sends nothing for longer than a message may wait goes on."""
    streams = open_streams(stall=SHORT, max_age=10 * SHORT)
    with pytest.raises(StreamMaxAge):
        await served(streams)
    assert streams.cut_offs == 0


async def test_drain_ends_the_open_streams_and_those_to_come() -> None:
    """Each with what its reader is to do."""
    streams = open_streams()
    stream = asyncio.ensure_future(served(streams))
    await asyncio.sleep(0)
    assert len(streams) == 1
    streams.drain()
    for ending in (stream, asyncio.ensure_future(served(streams))):
        with pytest.raises(ShuttingDown, match="shutting down; come again"):
            await ending
    assert len(streams) == 0


async def test_the_first_error_ends_the_stream_and_nothing_is_sent_after_it() -> None:
    """A second one changes nothing."""
    first: KeeperError = StorageUnavailable("the history was replaced")
    with open_streams().opened() as stream:
        stream.end(first)
        stream.end(StreamMaxAge())
        with pytest.raises(StorageUnavailable, match="replaced"), stream.sending():
            pytest.fail("nothing is sent after the end")
        with pytest.raises(StorageUnavailable, match="replaced"):
            await stream.run(silent())


async def test_heartbeats_come_while_work_takes_long_and_do_not_disturb_it() -> None:
    """One after each silence, until the work is done; then its outcome."""
    beats = 0
    enough = asyncio.Event()

    async def beat() -> None:
        nonlocal beats
        with stream.sending():
            beats += 1
        if beats == 3:
            enough.set()

    async def work() -> str:
        await enough.wait()
        return "done"

    with open_streams(heartbeat=SHORT).opened() as stream:
        async with asyncio.timeout(20):
            assert await stream.waiting(work(), beat) == "done"
    assert beats == 3


async def test_work_without_a_caller_is_cancelled() -> None:
    """The work of a stream that ends meanwhile, before the stream is gone."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def beat() -> None:
        pytest.fail("nothing was silent for so long")

    with open_streams().opened() as stream:
        waiting = asyncio.ensure_future(stream.waiting(work(), beat))
        await begun.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert ended.is_set()
