"""What metrics and traces cost a server: its processor time for one EnhanceInsight.

    python -m bench.telemetry                  five rounds of 100 questions to each server
    python -m bench.telemetry --rounds 20      more of them

Servers that differ in nothing else share a database of 1,000 patterns and are asked in turn, question
after question, whose vectors are in the cache, as in an engine's hot loop. Counted is the processor
time of the server's process alone, so that a busy machine and the client do not matter; read the
ratio. A server that is not asked leads the detection.

    off                  neither port nor exporter
    metrics              KEEPER_METRICS_PORT, not scraped meanwhile
    traces, not sampled  an exporter, and callers that do not trace
    traces               an exporter, and every call in a trace of its caller's
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import grpc
import structlog
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from bench.calls.network import Network
from bench.calls.processes import Processes, directory, service
from bench.calls.requests import Requests
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightRequest,
    EnhanceInsightResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.schema.migrate import migrate

PATTERNS = 1_000
QUESTIONS = 100
"""Of a round: about half a second for each server, where nobody else uses the machine."""
SCRAPES = 50


@dataclass
class Asked:
    """A server, and the processor time that its questions took, in seconds."""

    name: str
    process: Processes
    call: grpc.aio.UnaryUnaryMultiCallable[EnhanceInsightRequest, EnhanceInsightResponse]
    metrics_port: int | None
    flags: str
    spent: list[float] = field(default_factory=list)

    async def scrapes(self) -> float:
        """Seconds of processor time for one scrape."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        before = self.process.seconds()
        for _ in range(SCRAPES):
            await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())
        return (self.process.seconds() - before) / SCRAPES

    async def round(self, questions: Sequence[EnhanceInsightRequest]) -> None:
        """Ask, and add up."""
        before = self.process.seconds()
        for question in questions:
            parent = f"00-{uuid4().hex}-{uuid4().hex[:16]}-{self.flags}"
            await self.call(question, metadata=(("traceparent", parent),))
        self.spent.append(self.process.seconds() - before)


@asynccontextmanager
async def collector() -> AsyncIterator[str]:
    """The address of one that takes everything and keeps nothing."""

    async def take_spans(*_: object) -> object:
        return traces.ExportTraceServiceResponse()

    async def take_metrics(*_: object) -> object:
        return metrics.ExportMetricsServiceResponse()

    package = "opentelemetry.proto.collector"
    taken = grpc.unary_unary_rpc_method_handler
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                f"{package}.trace.v1.TraceService",
                {"Export": taken(take_spans, response_serializer=_serialize)},
            ),
            grpc.method_handlers_generic_handler(
                f"{package}.metrics.v1.MetricsService",
                {"Export": taken(take_metrics, response_serializer=_serialize)},
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"http://127.0.0.1:{port}"
    await server.stop(None)


def _serialize(message: object) -> bytes:
    return bytes(message.SerializeToString())  # type: ignore[attr-defined]  # a protobuf message


@contextmanager
def running(dsn: str, place: Path, name: str, **settings: str) -> Iterator[Asked]:
    """A server with these settings."""
    own = place / name
    own.mkdir()
    with service(dsn, own, 1, settings) as process:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{process.port}")
        metrics_port = settings.get("KEEPER_METRICS_PORT")
        yield Asked(
            name=name,
            process=process,
            call=NetworkLearningServiceStub(channel).EnhanceInsight,
            metrics_port=int(metrics_port) if metrics_port else None,
            flags="01" if name == "traces" else "00",
        )


async def main(rounds: int, metrics_port: int) -> None:
    """Measure, and print a table."""
    async with AsyncExitStack() as stack:
        place = stack.enter_context(directory())
        postgres = await stack.enter_async_context(EmbeddedPostgres(place / "data"))
        endpoint = await stack.enter_async_context(collector())
        await migrate(postgres.dsn)
        await Network(postgres.dsn).grow(PATTERNS)
        export = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        _, *servers = [
            stack.enter_context(running(postgres.dsn, place, name, **settings))
            for name, settings in (
                ("leader", {}),
                ("off", {}),
                ("metrics", {"KEEPER_METRICS_PORT": str(metrics_port)}),
                ("traces, not sampled", {**export, "OTEL_METRICS_EXPORTER": "none"}),
                ("traces", {**export, "OTEL_METRICS_EXPORTER": "none"}),
            )
        ]
        questions = Requests(1).questions(QUESTIONS)
        for number in range(rounds + 1):
            for server in servers:
                await server.round(questions)
                if not number:
                    server.spent.clear()  # the caches were empty
        off = sum(servers[0].spent)
        print(f"{'':<20} {'cpu ms a call':>14} {'of off':>7}")
        for server in servers:
            spent = sum(server.spent)
            print(
                f"{server.name:<20} {spent / rounds / QUESTIONS * 1000:>14.2f} {spent / off:>7.2f}"
            )
        print(f"a scrape: {await servers[1].scrapes() * 1000:.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--metrics-port", type=int, default=19464, help="a free one")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(main(arguments.rounds, arguments.metrics_port))
