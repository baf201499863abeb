"""A bare service: parses the same requests, and builds and sends the same replies, and does nothing else.

    python -m bench.calls.floor ANSWERS PORT

ANSWERS is a pickle of a reply's bytes by full method. Each call builds its reply from plain values, as the service's
handlers do: handing out a message that is there already would leave out work that no service can. The event loop is
asyncio's own, and there are no interceptors.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2

SERVICE = network_service_pb2.DESCRIPTOR.services_by_name["NetworkLearningService"]


def types_of(method: str) -> tuple[type[Message], type[Message]]:
    """The message classes of a method's requests and replies."""
    found = SERVICE.methods_by_name[method]
    return (
        getattr(network_service_pb2, found.input_type.name),
        getattr(network_service_pb2, found.output_type.name),
    )


Build = Callable[[], Message]


def builder(message: Message) -> Build:
    """Makes equal messages from plain values, field by field."""
    kind = type(message)
    values: dict[str, Any] = {}
    parts: dict[str, Build] = {}
    lists: dict[str, list[Build]] = {}
    maps: dict[str, dict[Any, Build]] = {}
    for field, value in message.ListFields():
        if field.message_type is None:
            values[field.name] = list(value) if field.is_repeated else value
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE:
                maps[field.name] = {key: builder(value[key]) for key in value}
            else:
                values[field.name] = dict(value)
        elif field.is_repeated:
            lists[field.name] = [builder(each) for each in value]
        else:
            parts[field.name] = builder(value)

    def build() -> Message:
        made = kind(
            **values,
            **{name: part() for name, part in parts.items()},
            **{name: [each() for each in many] for name, many in lists.items()},
        )
        for name, entries in maps.items():
            target = getattr(made, name)
            for key, entry in entries.items():
                target[key].CopyFrom(entry())
        return made

    return build


def handlers(answers: dict[str, bytes]) -> grpc.GenericRpcHandler:
    """A handler for each method that has an answer."""
    made = {}
    for method, answer in answers.items():
        asked, answered = types_of(method)
        build = builder(answered.FromString(answer))

        def handler(build: Build = build) -> Callable[[Message, Any], Awaitable[Message]]:
            async def handle(_: Message, __: Any) -> Message:
                return build()

            return handle

        made[method] = grpc.unary_unary_rpc_method_handler(
            handler(),
            request_deserializer=asked.FromString,
            response_serializer=answered.SerializeToString,
        )
    return grpc.method_handlers_generic_handler(SERVICE.full_name, made)


async def serve(answers: dict[str, bytes], port: int) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
    server.add_generic_rpc_handlers((handlers(answers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("serving", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(pickle.loads(Path(sys.argv[1]).read_bytes()), int(sys.argv[2])))  # noqa: S301 - our own
