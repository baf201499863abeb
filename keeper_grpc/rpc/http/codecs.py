"""How messages are written over HTTP: binary, and JSON as protobuf defines it.

As over gRPC, a message that is larger than the limit is not parsed: an Unreadable stands in its place.
"""

from __future__ import annotations

from typing import Any, TypeVar

from connectrpc.codec import Codec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from keeper_grpc.rpc.interceptors.unreadable import TOO_LARGE, Unreadable
from keeper_grpc.rpc.status import FieldViolation

MessageT = TypeVar("MessageT", bound=Message)

DEPTH = 64
"""Nested objects of a JSON body at most. The deepest conditions that are taken have eight levels."""


class Binary(Codec[Message, Any]):
    """protobuf's own encoding, of messages of `limit` bytes at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def name(self) -> str:
        return "proto"

    def encode(self, message: Message) -> bytes:
        return message.SerializeToString()

    def decode(self, data: bytes | bytearray, message_class: type[MessageT]) -> Any:
        """The message, or an Unreadable, which validation refuses."""
        if len(data) > self._limit:
            return Unreadable(TOO_LARGE)
        try:
            return message_class.FromString(bytes(data))
        except DecodeError:
            return Unreadable()


class Json(Codec[Message, Any]):
    """protobuf's JSON, of `limit` bytes at most. Unknown fields are ignored, as in binary: a newer client may send some."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def name(self) -> str:
        return "json"

    def encode(self, message: Message) -> bytes:
        return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()

    def decode(self, data: bytes | bytearray, message_class: type[MessageT]) -> Any:
        """The message, or an Unreadable that says what the parser objected to."""
        if len(data) > self._limit:
            return Unreadable(TOO_LARGE)
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
