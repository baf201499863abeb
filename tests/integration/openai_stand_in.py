"""A local HTTP server that speaks OpenAI's embeddings API and misbehaves on request.

    async with OpenAIStandIn() as server:
        server.then(Status(429, {"Retry-After": "1"}), Fault.DISCONNECT)   # afterwards: good answers
        embedder = OpenAIEmbedder(api_key="k", base_url=server.base_url)

It runs in the test's event loop and listens on a free port of 127.0.0.1, so another process can
call it too while the test awaits something.
"""

from __future__ import annotations

import asyncio
import base64
import enum
import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np

WIDTH = 1536


class Fault(enum.Enum):
    """Failures that no HTTP status expresses."""

    HANG = "the request is read and never answered"
    DRIP = "status 200 and then one byte after the other, without end"
    DISCONNECT = "the connection is closed without an answer"
    MALFORMED = "status 200 and half a JSON document"
    NOT_JSON = "status 200 and a web page"
    TOO_FEW = "the last vector is missing"
    TOO_MANY = "there is one vector more than texts"
    SAME_INDEX = "every vector claims to be the first"
    NARROW = "vectors of 8 dimensions"
    NAN = "a component is NaN"
    LONG = "vectors of length 2"
    SHUFFLED = "a good answer, listed backwards: `index` tells the order"


@dataclass(frozen=True)
class Status:
    """An error answer with this HTTP status, headers and OpenAI error code."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None


Step = Fault | Status


def hashed_vector(text: str, width: int = WIDTH) -> list[float]:
    """A unit vector that depends on `text` alone; of two texts nearly orthogonal ones."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(width)
    return [float(component) for component in vector / np.linalg.norm(vector)]


class OpenAIStandIn:
    """The server: `then` plans the next answers, `bodies`, `headers` and `targets` hold every request's.

    embed: text to vector; another test may pass a real model's. After `hold`, requests are read and
    kept waiting until `release`; `most_open` is the highest number of requests open at once.
    """

    def __init__(self, embed: Callable[[str], Sequence[float]] = hashed_vector) -> None:
        self._embed = embed
        self._plan: deque[Step] = deque()
        self._gate = asyncio.Event()
        self._gate.set()
        self._never = asyncio.Event()
        self._arrived = asyncio.Condition()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._open = 0
        self.most_open = 0
        self.bodies: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self.targets: list[str] = []
        self.headers: list[dict[str, str]] = []

    @property
    def base_url(self) -> str:
        assert self._server is not None, "not started"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def azure_url(self) -> str:
        """The address of the resource, as Azure's portal names it."""
        return self.base_url.removesuffix("/v1")

    @property
    def texts(self) -> list[str]:
        """Every text received, in order."""
        return [text for body in self.bodies for text in body["input"]]

    def then(self, *steps: Step) -> None:
        """Plans the answers to the next requests; after the last step all answers are good."""
        self._plan.extend(steps)

    def hold(self) -> None:
        self._gate.clear()

    def release(self) -> None:
        self._gate.set()

    async def received(self, count: int) -> None:
        """Waits until `count` requests have come."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.bodies) >= count)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None, "not started"
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection with its keep-alive requests, until either side has enough."""
        try:
            while await self._exchange(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away: that is its right
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Reads one request and answers it by plan. False ends the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request_line, *lines = head.split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        _, target, _ = request_line.split(" ")
        if not target.startswith(("/v1/embeddings", "/openai/deployments/")):
            writer.write(_response(404, b"{}"))
            return True
        asked = json.loads(body)
        self.targets.append(target)
        # Taken on arrival, so that steps and `bodies` have the same order.
        step = self._plan.popleft() if self._plan else None
        async with self._arrived:
            self.bodies.append(asked)
            self.authorizations.append(headers.get("authorization", ""))
            self.headers.append(headers)
            self._arrived.notify_all()
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            await self._gate.wait()
            if step is Fault.HANG:
                await self._never.wait()
            if step is Fault.DRIP:
                await _drip(writer)
        finally:
            self._open -= 1
        if step is Fault.DISCONNECT:
            return False
        writer.write(self._answer(asked, step))
        return True

    def _answer(self, asked: dict[str, Any], step: Step | None) -> bytes:
        match step:
            case Status(status=status, headers=headers, code=code):
                # As the real service does, the error quotes the key and the input.
                message = f"refused: {asked['input']!r} with {self.authorizations[-1]}"
                error = {"message": message, "type": "error", "param": None, "code": code}
                return _response(status, json.dumps({"error": error}).encode(), headers)
            case Fault.MALFORMED:
                return _response(200, b'{"object": "list", "data": [')
            case Fault.NOT_JSON:
                return _response(200, b"<html>welcome</html>", {"Content-Type": "text/html"})
        return _response(200, json.dumps(self._embeddings(asked, step)).encode())

    def _embeddings(self, asked: dict[str, Any], step: Step | None) -> dict[str, Any]:
        vectors = [_shortened(self._embed(text), asked) for text in asked["input"]]
        indexes = list(range(len(vectors)))
        match step:
            case Fault.TOO_FEW:
                vectors.pop()
            case Fault.TOO_MANY:
                vectors.append(vectors[-1])
                indexes.append(len(indexes))
            case Fault.SAME_INDEX:
                indexes = [0] * len(vectors)
            case Fault.NARROW:
                vectors = [[1.0] + [0.0] * 7 for _ in vectors]
            case Fault.NAN:
                vectors[0][0] = float("nan")
            case Fault.LONG:
                vectors = [[2 * component for component in vector] for vector in vectors]
        data = [
            {"object": "embedding", "index": index, "embedding": _encoded(vector, asked)}
            for index, vector in zip(indexes, vectors, strict=False)
        ]
        if step is Fault.SHUFFLED:
            data.reverse()
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return {"object": "list", "data": data, "model": asked["model"], "usage": usage}


async def _drip(writer: asyncio.StreamWriter) -> None:
    """Ends when the client hangs up."""
    writer.write(b"HTTP/1.1 200 Planned\r\nContent-Type: application/json\r\n")
    writer.write(b"Content-Length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


def _shortened(vector: Sequence[float], asked: Mapping[str, Any]) -> list[float]:
    """As text-embedding-3 does it: the first `dimensions`, of unit length."""
    if "dimensions" not in asked:
        return list(vector)
    kept = np.asarray(vector[: asked["dimensions"]])
    return [float(component) for component in kept / np.linalg.norm(kept)]


def _encoded(vector: Sequence[float], asked: Mapping[str, Any]) -> str | list[float]:
    if asked.get("encoding_format") == "base64":
        return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
    return list(vector)


def _response(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    fields.update(headers or {})
    lines = [f"HTTP/1.1 {status} Planned", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
