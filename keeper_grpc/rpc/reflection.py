"""Server reflection: grpc.reflection.v1, and v1alpha for older tools.

grpcio-reflection has v1alpha only. v1 is the same protocol under its final name: the same messages with
the same field numbers. So one servicer answers both, and the descriptors of v1, which a tool may ask
for, are those of v1alpha renamed.
"""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection as v1alpha
from grpc_reflection.v1alpha import reflection_pb2

_V1ALPHA, _V1 = "grpc.reflection.v1alpha", "grpc.reflection.v1"
_SERVICE = "ServerReflection"
_FILE = "grpc/reflection/v1/reflection.proto"

SERVICE_NAMES = (f"{_V1}.{_SERVICE}", f"{_V1ALPHA}.{_SERVICE}")


def enable_reflection(services: Iterable[str], server: grpc.aio.Server) -> None:
    """Serve the descriptors of `services` (full names), and of reflection itself."""
    _describe_v1()
    servicer = v1alpha.aio.ReflectionServicer((*services, *SERVICE_NAMES))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(name, methods) for name in SERVICE_NAMES]
    )


def _describe_v1() -> None:
    """Add v1's file to the pool of descriptors that reflection reads, once in a process."""
    pool = descriptor_pool.Default()
    try:
        pool.FindFileByName(_FILE)
    except KeyError:
        pool.AddSerializedFile(_v1().SerializeToString())


def _v1() -> FileDescriptorProto:
    """v1alpha's file, less its options: they name the packages of v1alpha's code."""
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = _FILE, _V1
    file.ClearField("options")
    for message in file.message_type:
        for field in message.field:
            if field.HasField("type_name"):
                field.type_name = _renamed(field.type_name)
    for service in file.service:
        for method in service.method:
            method.input_type = _renamed(method.input_type)
            method.output_type = _renamed(method.output_type)
    return file


def _renamed(type_name: str) -> str:
    return type_name.replace(f".{_V1ALPHA}.", f".{_V1}.")
