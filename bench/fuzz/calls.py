"""Makes the calls, and counts how they end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from bench.fuzz.messages import Known, Messages
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2

HANG = 60.0
"""Seconds after which a call counts as hanging: twice the server's own limit on a call."""

MOST_KEPT = 500
"""The last ids of each kind that are kept from answers, to be asked about."""

ERA = 300
"""Calls in which the same accounts are named."""

DEFECTS = frozenset({"INTERNAL", "UNKNOWN", "HANG"})
"""Ends that no request may bring about."""

_QUESTIONS = "EnhanceInsights"
"""The stream that answers each of its messages, and goes on after one that it refuses. Any other is ended by such a one, so
that it gets a single message: what a client writes after the end of a call is an error of the client itself.
"""

A_QUESTION = "  a question"
"""In the place of an RPC: a question of a stream, which ends by itself."""

_OPEN = "OPEN"
"""A subscription that gave its first message and was then cancelled here."""

_WEIGHTS = {
    # Once forgotten or retired, nothing can be done with it any more.
    "ForgetAccount": 1,
    "RetirePattern": 1,
    "WithdrawScript": 2,
    # Of what others ask about there has to be something.
    "CapturePattern": 12,
    "EnhanceInsight": 8,
    "RegisterAccount": 6,
}
"""How often an RPC is called; 4 where none is said."""

_REQUEST_ID = "x-request-id"


def methods() -> list[MethodDescriptor]:
    """Every RPC of both services."""
    files = (network_service_pb2, admin_service_pb2)
    return [
        method
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


WEIGHTS = [_WEIGHTS.get(method.name, 4) for method in methods()]


@dataclass
class Tally:
    """How calls ended, by RPC and code, and which ones must not have ended so."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """Calls that ended, each stream of questions as one."""
        return sum(number for (rpc, _), number in self.ends.items() if rpc != A_QUESTION)

    def count(self, number: int, rpc: str, code: str, complaint: str = "") -> None:
        """Count the end of one call; a complaint says what is wrong with its error."""
        self.ends[rpc, code] += 1
        if code in DEFECTS or complaint:
            self.wrong.append(f"call {number}: {rpc} {code} {complaint}".rstrip())

    def rows(self) -> Iterator[str]:
        """The table: a line an RPC, a column a code."""
        codes = sorted({code for _, code in self.ends})
        width = max(len(rpc) for rpc, _ in self.ends)
        yield " ".join([" " * width, *(f"{code:>19}" for code in codes)])
        for rpc in sorted({rpc for rpc, _ in self.ends}):
            cells = (f"{self.ends[rpc, code] or '':>19}" for code in codes)
            yield " ".join([f"{rpc:{width}}", *cells])
        totals = (
            f"{sum(n for (_, each), n in self.ends.items() if each == code):>19,}" for code in codes
        )
        yield " ".join([f"{'all':{width}}", *totals])


class Fuzz:
    """Calls of one seed: call `number` is the same in every run, but for the ids that answers gave."""

    def __init__(self, channel: grpc.aio.Channel, seed: int) -> None:
        self._channel = channel
        self._seed = seed
        self._known = Known()
        self.tally = Tally()

    async def run(self, numbers: Iterable[int], at_once: int) -> None:
        """Make these calls, so many at a time."""
        waiting = iter(numbers)

        async def caller() -> None:
            for number in waiting:
                await self._call(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(caller())

    async def _call(self, number: int) -> None:
        rng = Random(f"{self._seed}/{number}")  # noqa: S311 - to be repeated, no secret
        method = rng.choices(methods(), WEIGHTS)[0]
        messages = Messages(rng, self._known, number // ERA)
        kind = method.input_type
        count = rng.randint(1, 6) if method.name == _QUESTIONS else 1
        requests = [messages.request(kind) for _ in range(count)]
        options: dict[str, Any] = {"metadata": _metadata(rng), "compression": _compression(rng)}
        path = f"/{method.containing_service.full_name}/{method.name}"
        code, complaint = "HANG", ""
        try:
            async with asyncio.timeout(HANG):
                code = await self._end(method, path, requests, options)
        except grpc.aio.AioRpcError as error:
            code, complaint = (
                error.code().name,
                _complaint(error, streaming=method.server_streaming),
            )
        except TimeoutError:
            pass
        self.tally.count(number, f"{method.containing_service.name}/{method.name}", code, complaint)

    async def _end(
        self, method: MethodDescriptor, path: str, requests: list[bytes], options: dict[str, Any]
    ) -> str:
        """The code of a call that ends well. Raises AioRpcError for any other."""
        if not method.server_streaming:
            call: Any = self._channel.unary_unary(path)
            self._learn(method, requests[0], await call(requests[0], **options))
            return "OK"
        if method.name != _QUESTIONS:
            subscribe: Any = self._channel.stream_stream(path)
            subscription = subscribe(_each(requests), **options)
            # What a stream answers with stands before its end, and not in the error itself.
            given = dict(await subscription.initial_metadata() or ())
            first = await subscription.read()
            subscription.cancel()
            if _REQUEST_ID not in given:
                raise AssertionError(f"{path}: no {_REQUEST_ID}")
            return "OK" if first is grpc.aio.EOF else _OPEN
        ask: Any = self._channel.stream_stream(path)
        asked = ask(_each(requests), **options)
        answers = [GetMessageClass(method.output_type).FromString(each) async for each in asked]
        for answer in answers:
            self._count_answer(answer)
        return "OK" if len(answers) == len(requests) else "HANG"

    def _count_answer(self, answer: Any) -> None:
        error: Status = answer.error
        code = next(each.name for each in grpc.StatusCode if each.value[0] == error.code)
        named = error.code == 0 or _reason(error)
        self.tally.count(-1, A_QUESTION, code, "" if named else "no ErrorInfo")

    def _learn(self, method: MethodDescriptor, request: bytes, answer: bytes) -> None:
        """Keep what an answer names, so that later calls ask about what is there."""
        told: Any = GetMessageClass(method.output_type).FromString(answer)
        asked: Any = GetMessageClass(method.input_type).FromString(request)
        patterns, enhancements = self._known.patterns, self._known.enhancements
        match method.name:
            case "CapturePattern" if told.pattern_id:
                patterns.append(told.pattern_id)
            case "ListPatterns":
                patterns.extend(each.pattern_id for each in told.patterns)
            case "EnhanceInsight":
                enhancements.append((asked.account_id, told.enhancement_id))
        del patterns[:-MOST_KEPT], enhancements[:-MOST_KEPT]


async def _each(requests: list[bytes]) -> AsyncIterator[bytes]:
    for request in requests:
        yield request


def _metadata(rng: Random) -> tuple[tuple[str, str | bytes], ...]:
    """Mostly none; else strange ones, several of one key, or many bytes of them."""
    match rng.randrange(12):
        case 0:
            return (("x-request-id", "\\" * rng.randint(0, 300)), ("x-request-id", "b" * 32))
        case 1:
            return (("traceparent", rng.choice(("00-0-0-0", "ff" * 40, ""))), ("tracestate", "=,="))
        case 2:
            return (("x-any-bin", rng.randbytes(rng.randint(0, 900))), ("user-agent", "fuzz"))
        case 3:
            return tuple((f"x-many-{number}", "v" * 60) for number in range(60))
        case 4:
            return (("authorization", "Bearer " + "." * rng.randint(0, 500)),) * 2
        case _:
            return ()


def _compression(rng: Random) -> grpc.Compression:
    # Of deflate gRPC itself says that it is UNIMPLEMENTED, before the service sees the call.
    return rng.choice((grpc.Compression.NoCompression,) * 8 + (grpc.Compression.Gzip,) * 2)


def _complaint(error: grpc.aio.AioRpcError, *, streaming: bool) -> str:
    """What an error of ours lacks. gRPC itself answers for what never reaches the service."""
    trailers = dict(error.trailing_metadata() or ())
    details = trailers.get("grpc-status-details-bin", b"")
    if "larger than max" in (error.details() or ""):
        return ""  # beyond what gRPC itself lets in
    lacking = []
    if not _reason(Status.FromString(details if isinstance(details, bytes) else b"")):
        lacking.append("no ErrorInfo")
    if not streaming and _REQUEST_ID not in trailers:
        lacking.append(f"no {_REQUEST_ID}")
    return ", ".join([*lacking, repr(error.details())]) if lacking else ""


def _reason(status: Status) -> str:
    info = ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""
