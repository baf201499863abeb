"""The least of HTTP/2 that a call takes, for what no gRPC client sends: frames and headers as the test writes them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY, _RST = 0x0, 0x1, 0x4, 0x6, 0x7, 0x3
_ACK, _END_STREAM, _END_HEADERS = 0x1, 0x1, 0x4
_SECONDS = 30.0


async def call(port: int, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> str:
    """Call a method with the bytes of its DATA frame, message prefix included; gives the grpc-status of the end.

    Empty for a call that ended without one, by a reset or the end of the connection.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": f"127.0.0.1:{port}",
        "content-type": "application/grpc",
        "te": "trailers",
        **(headers or {}),
    }
    writer.write(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
    writer.write(
        _frame(
            _HEADERS, _END_HEADERS, 1, b"".join(map(_literal, *zip(*fields.items(), strict=True)))
        )
    )
    writer.write(_frame(_DATA, _END_STREAM, 1, body))
    try:
        async with asyncio.timeout(_SECONDS):
            return await _status(reader, writer)
    finally:
        writer.close()


def message(body: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """A message with its prefix, which may lie about its length."""
    return struct.pack(">BI", compressed, len(body) if length is None else length) + body


async def _status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    while True:
        try:
            head = await reader.readexactly(9)
            size, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
            payload = await reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return ""
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            writer.write(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RST, _GOAWAY):
            return ""
        elif kind == _HEADERS and b"grpc-status" in payload:
            # gRPC's core writes this name and its value as they are, each behind its length.
            rest = payload.partition(b"grpc-status")[2]
            return rest[1 : 1 + rest[0]].decode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _literal(name: str, value: str) -> bytes:
    """A header as HPACK writes it without its tables. Name and value are shorter than 127 bytes."""
    return b"".join(
        (b"\x00", len(name).to_bytes(1), name.encode(), len(value).to_bytes(1), value.encode())
    )
