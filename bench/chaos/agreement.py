"""Whether all servers say the same, once nothing happens any more: what each holds in memory is one database's."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from itertools import zip_longest
from random import Random
from typing import TYPE_CHECKING

from google.protobuf.message import Message

from bench.chaos.requests import Words
from bench.chaos.servers import Server
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    ListPatternsRequest,
    PreviewInsightRequest,
    PreviewInsightResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

if TYPE_CHECKING:  # types of the stub files only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

QUESTIONS = 100
"""Questions that every server is asked."""
TURNS = 10
"""Looks, a second apart, within which servers must have come to say the same."""

CLOSE = 1e-5
_NUMBER = re.compile(r"(?<![\w-])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w-])")


async def disagreements(servers: Sequence[Server], seed: int) -> Sequence[str]:
    """What servers say differently about the same, whatever time they are given."""
    words = Words(Random(f"{seed} agreement"))  # noqa: S311 - a seed has to give the same again
    questions = [PreviewInsightRequest(insight=words.question().insight) for _ in range(QUESTIONS)]
    differ: list[str] = []
    for _ in range(TURNS):
        told = [await _told(server, questions) for server in servers]
        differ = [
            f"{servers[0].name} and {server.name} differ: {mine} and {theirs}"
            for server, other in zip(servers[1:], told[1:], strict=True)
            for mine, theirs in zip_longest(told[0], other, fillvalue="")
            if not same(mine, theirs)
        ]
        if not differ:
            break
        await asyncio.sleep(1)
    return differ[:5]


async def _told(server: Server, questions: Sequence[PreviewInsightRequest]) -> Sequence[str]:
    """The answers to the questions, and all patterns."""
    async with server.channel() as channel:
        stub: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(channel)
        told = [_text(await stub.PreviewInsight(question, timeout=60)) for question in questions]
        request = ListPatternsRequest(page_size=50)
        while True:
            page = await stub.ListPatterns(request, timeout=60)
            told += map(_text, page.patterns)
            if not page.next_page_token:
                return told
            request.page_token = page.next_page_token


def _text(message: Message) -> str:
    """The message; what is listed by similarity in one order, whatever its last digits are."""
    if isinstance(message, PreviewInsightResponse):
        message.candidates.sort(key=lambda candidate: candidate.pattern_id)
    return str(message)


def same(one: str, other: str) -> bool:
    """Whether two messages differ in no more than the last digits, which depend on the order of sums of vectors."""
    numbers = [[float(each) for each in _NUMBER.findall(text)] for text in (one, other)]
    return _NUMBER.sub("", one) == _NUMBER.sub("", other) and all(
        math.isclose(mine, theirs, rel_tol=1e-12, abs_tol=CLOSE)
        for mine, theirs in zip(*numbers, strict=True)
    )
