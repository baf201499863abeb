"""How messages are written over HTTP: binary, and JSON as protobuf defines it."""

from __future__ import annotations

from typing import Any, TypeVar

from connectrpc.codec import Codec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from keeper_grpc.rpc.interceptors.unreadable import Unreadable
from keeper_grpc.rpc.status import FieldViolation

MessageT = TypeVar("MessageT", bound=Message)

DEPTH = 64
"""Nested objects of a JSON body at most. The deepest conditions that are taken have eight levels."""


class Binary(Codec[Message, Any]):
    """protobuf's own encoding."""

    def name(self) -> str:
        return "proto"

    def encode(self, message: Message) -> bytes:
        return message.SerializeToString()

    def decode(self, data: bytes | bytearray, message_class: type[MessageT]) -> Any:
        """The message, or an Unreadable, which validation refuses."""
        try:
            return message_class.FromString(bytes(data))
        except DecodeError:
            return Unreadable()


class Json(Codec[Message, Any]):
    """protobuf's JSON. Unknown fields are ignored, as in binary: a newer client may send some."""

    def name(self) -> str:
        return "json"

    def encode(self, message: Message) -> bytes:
        return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()

    def decode(self, data: bytes | bytearray, message_class: type[MessageT]) -> Any:
        """The message, or an Unreadable that says what the parser objected to."""
        message = message_class()
        try:
            text = bytes(data).decode()
            json_format.Parse(text, message, ignore_unknown_fields=True, max_recursion_depth=DEPTH)
            # A lone surrogate (\ud800) is taken by the parser, and no string of protobuf.
            message.SerializeToString()
        except (json_format.ParseError, ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, json_format.ParseError) else "not UTF-8"
            return Unreadable(FieldViolation("", f"the body is no JSON of this request: {reason}"))
        return message
