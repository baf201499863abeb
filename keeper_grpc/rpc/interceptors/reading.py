"""Lets what is no message of its type reach the service, which refuses it as any other bad request."""

from __future__ import annotations

import zlib
from typing import Any, Final

from google.protobuf.message import DecodeError

from keeper_grpc.rpc.interceptors.chain import Handler, remade
from keeper_grpc.rpc.interceptors.concern import OURS
from keeper_grpc.rpc.interceptors.unreadable import MAX_REQUEST_BYTES, TOO_LARGE, Unreadable

COMPRESSION: Final = (
    ("grpc.per_message_decompression", 0),
    ("grpc.compression_enabled_algorithms_bitset", 0b101),
)
"""Options of a server that leaves decompression to `read_requests`: identity and gzip are taken, and gRPC refuses others with
UNIMPLEMENTED. gRPC itself would end a call whose bytes are no gzip with INTERNAL, as for a defect, before anybody here sees
it."""

_GZIP: Final = b"\x1f\x8b"
"""How gzip begins, and no message does: a field of wire type 7, which there is none of."""

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


def read_requests(method: str, handler: Handler) -> Handler:
    """Make an `Unreadable` of what cannot be parsed, or is not to be.

    gRPC itself would answer UNKNOWN with the parser's words, or end a client's stream with INTERNAL and the
    other questions unanswered, and log a stack as for a defect. Validation refuses the one request of a
    call; the handler of a stream refuses each message of its own. Health and reflection are unpacked only.
    """
    parse = handler.request_deserializer
    ours = method.startswith(OURS)

    def read(data: bytes) -> Any:
        try:
            message = unpacked(data)
            if ours and len(message) > MAX_REQUEST_BYTES:
                return Unreadable(TOO_LARGE)
            return parse(message)
        except (DecodeError, zlib.error):
            if not ours:
                raise
            return Unreadable()

    return remade(handler, request_deserializer=read)


def unpacked(data: bytes) -> bytes:
    """A message without its gzip, if it has one, or so much of it that it is too large. Raises zlib.error."""
    if not data.startswith(_GZIP):
        return data
    inflating = zlib.decompressobj(_GZIP_WINDOW)
    message = inflating.decompress(data, MAX_REQUEST_BYTES + 1)
    if len(message) <= MAX_REQUEST_BYTES and (not inflating.eof or inflating.unused_data):
        raise zlib.error("not one whole gzip")
    return message
