from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from tests.rpc.service import Service

OURS = ("keeper.network.v1.NetworkLearningService", "keeper.network.v1.AdminService")
REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
BUF = Path(sys.executable).with_name("buf")


async def ask(service: Service, version: str, *requests: dict[str, Any]) -> list[Any]:
    """The answers of one version's reflection, over one stream. Both versions are the same messages."""
    call = service.channel.stream_stream(
        f"/{version}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = [reflection_pb2.ServerReflectionRequest(**request) for request in requests]
    return [answer async for answer in call(iter(asked))]


def pool_of(files: Iterable[bytes]) -> descriptor_pool.DescriptorPool:
    """A pool that knows these files and nothing else; a tool that has no protos makes one."""
    pool = descriptor_pool.DescriptorPool()
    pending = [descriptor_pb2.FileDescriptorProto.FromString(file) for file in files]
    while pending:
        known = [file for file in pending if not missing(pool, file)]
        assert known, "a file lacks what it imports"
        for file in known:
            pool.Add(file)
        pending = [file for file in pending if file not in known]
    return pool


def missing(
    pool: descriptor_pool.DescriptorPool, file: descriptor_pb2.FileDescriptorProto
) -> list[str]:
    """What a file imports that the pool does not know yet."""

    def known(name: str) -> bool:
        try:
            pool.FindFileByName(name)
        except KeyError:
            return False
        return True

    return [name for name in file.dependency if not known(name)]


@pytest.mark.parametrize("version", REFLECTION)
async def test_reflection_lists_every_service(service: Service, version: str) -> None:
    """A tool like grpcurl needs no proto files, whichever version of reflection it knows."""
    (answer,) = await ask(service, version, {"list_services": ""})
    listed = {item.name for item in answer.list_services_response.service}
    assert listed == {*OURS, *REFLECTION, "grpc.health.v1.Health"}


@pytest.mark.parametrize("version", REFLECTION)
async def test_every_listed_service_is_described_with_all_it_imports(
    service: Service, version: str
) -> None:
    """From the answers alone a client can build the messages of each method of each service."""
    (listing,) = await ask(service, version, {"list_services": ""})
    for item in listing.list_services_response.service:
        (answer,) = await ask(service, version, {"file_containing_symbol": item.name})
        pool = pool_of(answer.file_descriptor_response.file_descriptor_proto)
        for method in pool.FindServiceByName(item.name).methods:
            assert message_factory.GetMessageClass(method.input_type)() is not None
            assert message_factory.GetMessageClass(method.output_type)() is not None


async def test_the_messages_of_v1_are_those_that_v1_describes(service: Service) -> None:
    """A client that builds v1's messages from its own description reads the answers with them."""
    v1 = REFLECTION[0]
    symbol = {"file_containing_symbol": v1}
    (described,) = await ask(service, v1, symbol)
    pool = pool_of(described.file_descriptor_response.file_descriptor_proto)
    assert pool.FindServiceByName(v1).file.name == "grpc/reflection/v1/reflection.proto"
    made = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("grpc.reflection.v1.ServerReflectionResponse")
    )
    again: Any = made.FromString(described.SerializeToString())
    assert again.original_request.file_containing_symbol == v1
    assert list(again.file_descriptor_response.file_descriptor_proto) == list(
        described.file_descriptor_response.file_descriptor_proto
    )


@pytest.mark.parametrize("version", REFLECTION)
async def test_a_stranger_is_not_found_and_the_stream_goes_on(
    service: Service, version: str
) -> None:
    """An unknown symbol or file is an answer, after which the next question is answered."""
    unknown, file, nothing, known = await ask(
        service,
        version,
        {"file_containing_symbol": "keeper.Nothing"},
        {"file_by_filename": "nothing.proto"},
        {},
        {"file_by_filename": network_service_pb2.DESCRIPTOR.name},
    )
    assert [each.error_response.error_code for each in (unknown, file, nothing)] == [5, 5, 3]
    assert known.file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
async def test_a_tool_that_knows_one_version_can_call(service: Service, protocol: str) -> None:
    """Buf reads the descriptors of a method by one version of reflection only, and calls it."""
    process = await asyncio.create_subprocess_exec(
        BUF,
        "curl",
        "--protocol=grpc",
        "--http2-prior-knowledge",
        f"--reflect-protocol={protocol}",
        "--data={}",
        f"http://127.0.0.1:{service.app.port}/{OURS[0]}/ListPatterns",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert json.loads(answer) == {}
