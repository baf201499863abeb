"""HTTP as it is on the wire: what a browser or curl sends, and what it gets back."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

NETWORK = "/keeper.network.v1.NetworkLearningService/"

END_OF_STREAM = 0b10
"""The flag of Connect's last frame, which holds the status."""

TRAILERS = 0b10000000
"""The flag of gRPC-Web's last frame."""


@dataclass(frozen=True)
class Answer:
    """A response, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Exchange:
    """One request that was sent, and its response as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def head(self) -> tuple[int, Mapping[str, str]]:
        """Status and headers."""
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = [line.split(": ", 1) for line in lines[1:] if line]
        return int(lines[0].split()[1]), {name.lower(): value for name, value in pairs}

    async def chunk(self) -> bytes:
        """The next chunk of a body in chunks; empty at its end."""
        size = int(await self._reader.readline(), 16)
        data = await self._reader.readexactly(size)
        await self._reader.readline()
        return data

    async def frames(self) -> AsyncIterator[tuple[int, bytes]]:
        """The flags and content of each frame of a stream."""
        data = b""
        while chunk := await self.chunk():
            data += chunk
            while len(data) >= 5 and len(data) >= 5 + struct.unpack(">I", data[1:5])[0]:
                size = struct.unpack(">I", data[1:5])[0]
                yield data[0], data[5 : 5 + size]
                data = data[5 + size :]
        assert not data, "the last frame was cut off"

    async def answer(self) -> Answer:
        """The whole response."""
        status, headers = await self.head()
        if "content-length" in headers:
            body = await self._reader.readexactly(int(headers["content-length"]))
        elif "transfer-encoding" in headers:
            body = b"".join([chunk async for chunk in self._chunks()])
        else:
            body = b""
        return Answer(status, headers, body)

    async def _chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self.chunk():
            yield chunk


@asynccontextmanager
async def sent(
    port: int,
    path: str,
    body: bytes,
    *,
    method: str = "POST",
    length: int | None = None,
    **headers: str,
) -> AsyncIterator[Exchange]:
    """Send a request on a connection of its own. Underscores of `headers` are hyphens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = {
            "host": f"127.0.0.1:{port}",
            "content-length": str(len(body) if length is None else length),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        yield Exchange(reader, writer)
    finally:
        writer.close()


async def post(port: int, path: str, body: object, **headers: str) -> Answer:
    """POST JSON as curl does; bytes go as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named: dict[str, Any] = {"content_type": "application/json"} | headers
    async with sent(port, path, data, **named) as exchange:
        return await exchange.answer()


def framed(content: bytes, flags: int = 0) -> bytes:
    """A frame of Connect's streams and of gRPC-Web."""
    return struct.pack(">BI", flags, len(content)) + content
