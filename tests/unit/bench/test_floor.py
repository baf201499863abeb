"""The bare service answers what the service answers, and ghz gets what it can read."""

from __future__ import annotations

import asyncio

import grpc
from google.protobuf.internal.decoder import _DecodeVarint32 as read_varint  # type: ignore[attr-defined]  # not in the stubs

from bench.calls.floor import builder, handlers
from bench.calls.requests import Requests, wire
from keeper_grpc.gen.keeper.network.v1 import insight_pb2, pattern_pb2
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.rpc.convert import insights


def reply() -> network.EnhanceInsightResponse:
    """A reply with every kind of field: messages, lists, maps, enums, a Struct."""
    question = Requests(1).questions(1)[0]
    return network.EnhanceInsightResponse(
        enhancement_id="an id",
        enhanced_insight=pattern_pb2.EnhancedInsight(
            insight=question.insight, network_enhanced=True, confidence=0.5
        ),
        no_match_reason=network.EnhanceInsightResponse.NO_MATCH_REASON_HOLDOUT,
        anonymization=insight_pb2.AnonymizationReport(
            masked={"email": 2, "phone": 1},
            dropped=[
                insight_pb2.DroppedField(field="script", reason="TEXT_TOO_LONG"),
                insight_pb2.DroppedField(field="action"),
            ],
        ),
    )


def test_a_reply_is_built_again_from_plain_values() -> None:
    """Each time a new message, equal to the first one."""
    build = builder(reply())
    assert build() == reply()
    assert build() is not build()
    assert builder(network.EnhanceInsightResponse())() == network.EnhanceInsightResponse()


async def test_the_bare_service_answers_over_a_channel() -> None:
    """A client cannot tell it from the service."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers({"EnhanceInsight": reply().SerializeToString()}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = NetworkLearningServiceStub(channel)
        question = Requests(1).questions(1)[0]
        answers = await asyncio.gather(*(stub.EnhanceInsight(question) for _ in range(3)))
    await server.stop(None)
    assert answers == [reply()] * 3


def test_messages_are_written_with_their_lengths() -> None:
    """As ghz reads several messages of one file, also those longer than 127 bytes."""
    captures = Requests(2).captures(20)
    data, at, read = wire(captures), 0, []
    while at < len(data):
        length, at = read_varint(data, at)
        read.append(network.CapturePatternRequest.FromString(data[at : at + length]))
        at += length
    assert read == captures


def test_new_words_come_once() -> None:
    """Neither twice in a run nor in another one of another seed, also once they are anonymized."""
    anonymizer = Anonymizer.default()
    asked = [
        insights.question(each)
        for seed in (1, 2, 49)
        for each in Requests(seed).questions(200, new=True)
    ]
    kept = [anonymizer.anonymize(each.insight, each.identifiers).insight.action for each in asked]
    assert len(set(kept)) == len(asked)
