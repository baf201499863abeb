"""The gRPC server: ports, keepalive, health, reflection, drain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from keeper_grpc.admission.gate import Gate
from keeper_grpc.domain.access.identity import Identity
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import (
    add_AdminServiceServicer_to_server,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
    add_NetworkLearningServiceServicer_to_server,
)
from keeper_grpc.rpc import accepting
from keeper_grpc.rpc.early_refusal import EarlyRefusal
from keeper_grpc.rpc.interceptors.admission import Admission, Durations
from keeper_grpc.rpc.interceptors.authentication import Authentication
from keeper_grpc.rpc.interceptors.authorization import Authorization
from keeper_grpc.rpc.interceptors.chain import Chain, Handler
from keeper_grpc.rpc.interceptors.deadline import Deadline
from keeper_grpc.rpc.interceptors.encoded import encoded
from keeper_grpc.rpc.interceptors.end import EndListener, TellEnd
from keeper_grpc.rpc.interceptors.identity_limits import IdentityLimits
from keeper_grpc.rpc.interceptors.in_flight import InFlight
from keeper_grpc.rpc.interceptors.log import log_end
from keeper_grpc.rpc.interceptors.reading import COMPRESSION, read_requests
from keeper_grpc.rpc.interceptors.request_id import RequestId
from keeper_grpc.rpc.interceptors.trace import Trace, note_end
from keeper_grpc.rpc.interceptors.unreadable import MAX_RECEIVED_BYTES
from keeper_grpc.rpc.interceptors.validation import Validation
from keeper_grpc.rpc.reflection import enable_reflection
from keeper_grpc.rpc.refused_calls import RefusedCalls
from keeper_grpc.rpc.servicer import Admin, NetworkLearning
from keeper_grpc.rpc.unaccepted import Unaccepted
from keeper_grpc.spans import Spans

log = structlog.get_logger()

OUR_SERVICES = (
    network_service_pb2.DESCRIPTOR.services_by_name["NetworkLearningService"],
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
)
SERVICES = tuple(service.full_name for service in OUR_SERVICES)

LAST_GRACE = 0.1
"""Seconds between the last handler's return and the close of its connection, to send its response."""

_OPTIONS = (
    # Go clients ping every 10 seconds by default, also without calls; gRPC's own limit here is one
    # ping in 300 seconds, answered by closing the connection (too_many_pings).
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Detects clients that vanished without closing: a stream's subscriber may be silent for weeks.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    *COMPRESSION,
)


class _Registered:
    """Takes what the generated code adds to a server: the handlers by path."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The same handlers in another wrapping."""

    def add_registered_method_handlers(self, service: str, methods: dict[str, Handler]) -> None:
        """Keep the handlers of a service."""
        self.handlers |= {f"/{service}/{name}": handler for name, handler in methods.items()}


@dataclass(frozen=True, slots=True)
class Guards:
    """What decides who may call: who it is, how much it asks, and for whom it speaks."""

    authentication: Authentication
    limits: IdentityLimits
    authorization: Authorization


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the server listens, as gRPC takes addresses.

    admin: of AdminService alone, which is not at `address` then; None leaves it there. credentials: makes those of one
    port; None without TLS. shared: with the other workers of one server.
    """

    address: str
    admin: str | None = None
    credentials: Callable[[], grpc.ServerCredentials | None] = lambda: None
    shared: bool = False


class Server:
    """The server of one process. `ready` returns whether its parts can answer now.

    `gate` admits calls, which take no longer than `durations` says; `unaccepted` counts those that have not come that far.
    `on_end` is called at the end of each call; `spans` makes spans in the callers' traces. `reflection`: "off" serves
    none; who may use it otherwise is the guards' business.
    """

    def __init__(
        self,
        *,
        network: NetworkLearning,
        admin: Admin,
        ready: Callable[[], Awaitable[bool]],
        guards: Guards,
        ports: Ports,
        reflection: Literal["operate", "open", "off"],
        gate: Gate,
        unaccepted: Unaccepted,
        durations: Durations,
        readiness_interval: float,
        on_end: EndListener,
        spans: Spans,
    ) -> None:
        self._in_flight = InFlight()
        self._guards = guards
        self._on_end = on_end
        self._spans = spans
        self._admission = Admission(gate, durations)
        self._unaccepted = unaccepted
        self._durations = durations
        self._validation = Validation(warm_up=_one_of_each())
        self._ports = ports
        self._reflection = reflection
        self._health = health.aio.HealthServicer()
        self._ready = ready
        self._readiness_interval = readiness_interval
        self._watch: asyncio.Task[None] | None = None
        self._is_ready = False
        self._refused_calls = RefusedCalls()
        self._early_refusal = EarlyRefusal(
            gate,
            guards.authentication,
            guards.limits,
            taken_up=unaccepted.taken_up,
            on_refusal=self._note_refusal,
        )
        chain = self._chain()
        main, self.port = self._listening(ports.address, chain)
        self._servers = [main]
        registered = _Registered()
        targets: tuple[Any, ...] = (main, registered)
        for target in targets:
            add_NetworkLearningServiceServicer_to_server(network, target)
            health_pb2_grpc.add_HealthServicer_to_server(self._health, target)
            if ports.admin is None:
                add_AdminServiceServicer_to_server(admin, target)
        ours: tuple[Any, ...] = OUR_SERVICES
        self.admin_port = self.port
        if ports.admin is not None:
            ours = OUR_SERVICES[:1]
            beside, self.admin_port = self._listening(ports.admin, self._chain())
            self._servers.append(beside)
            add_AdminServiceServicer_to_server(admin, beside)
            health_pb2_grpc.add_HealthServicer_to_server(self._health, beside)
            self._describe(beside, SERVICES[1:])
        self._describe(main, [service.full_name for service in ours])
        self.services: tuple[Any, ...] = (*ours, health_pb2.DESCRIPTOR.services_by_name["Health"])
        self.handlers = {
            method: chain.enclosed(method, handler)
            for method, handler in registered.handlers.items()
        }
        """By path, the handlers of `services` within the interceptor, for a server of another protocol."""

    def _chain(self) -> Chain:
        """One for each server: it remembers what it has made of a method's handler."""
        return Chain(
            [
                self._in_flight,
                *([Trace(self._spans)] if self._spans.on else []),
                RequestId(),
                TellEnd(log_end, self._on_end, *([note_end] if self._spans.on else [])),
                self._guards.authentication,
                self._guards.limits,
                # Before validation, so that a refusal costs little.
                self._admission,
                self._validation,
                self._guards.authorization,
            ],
            [read_requests, encoded(f"/{SERVICES[0]}/StreamEmergingPatterns")],
            Deadline(self._durations),
            self._unaccepted.taken_up,
        )

    def _listening(self, address: str, chain: Chain) -> tuple[grpc.aio.Server, int]:
        """A server without services at one address, and its port. Raises RuntimeError when the address is taken."""
        # Without workers that share it, a port is one server's: with SO_REUSEPORT a second one would silently
        # get half of the connections.
        options = (*_OPTIONS, ("grpc.so_reuseport", int(self._ports.shared)))
        server = self._unaccepted.of(
            lambda: accepting.server([chain], options, self._early_refusal)
        )
        credentials = self._ports.credentials()
        if credentials is None:
            return server, server.add_insecure_port(address)
        return server, server.add_secure_port(address, credentials)

    def _describe(self, server: grpc.aio.Server, services: Sequence[str]) -> None:
        """Add reflection of these services, which are the ones that the server has, and of health."""
        if self._reflection != "off":
            enable_reflection((*services, health.SERVICE_NAME), server)

    @property
    def is_ready(self) -> bool:
        """The serving status last set."""
        return self._is_ready

    @property
    def calls_in_flight(self) -> int:
        """Calls and streams that have not ended, health watches aside."""
        return self._in_flight.count

    async def start(self) -> None:
        """Begin to answer. Health says NOT_SERVING until the parts are ready."""
        await self._report(ready=await self._ready())
        for server in self._servers:
            await server.start()
        self._watch = asyncio.create_task(self._watch_readiness())

    async def announce_drain(self) -> None:
        """Set health to NOT_SERVING; calls are still answered."""
        if self._watch is not None:
            self._watch.cancel()
        self._is_ready = False
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Refuse new calls, and let those in flight finish for at most `grace` seconds.

        A stream that only watches health would hold the server for the whole grace (it never
        ends), so the grace is cut short when nothing else is in flight.
        """
        stopping = asyncio.gather(*(server.stop(grace) for server in self._servers))
        idle = asyncio.ensure_future(self._in_flight.idle())
        await asyncio.wait((stopping, idle), return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        await asyncio.gather(*(server.stop(LAST_GRACE) for server in self._servers))
        await stopping
        self._refused_calls.log()

    def _note_refusal(self, method: str, code: str, identity: Identity) -> None:
        self._refused_calls.count(method, code, identity)
        self._on_end(method, code, streaming=False, seconds=0.0)

    async def _watch_readiness(self) -> None:
        was = True
        while True:
            await asyncio.sleep(self._readiness_interval)
            ready = await self._ready()
            if ready != was:
                log.warning("readiness_changed", ready=ready)
                was = ready
            await self._report(ready=ready)

    async def _report(self, *, ready: bool) -> None:
        self._is_ready = ready
        serving = health_pb2.HealthCheckResponse.SERVING
        status = serving if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", *SERVICES):
            await self._health.set(service, status)


def _one_of_each() -> list[Any]:
    """An empty request of every method."""
    messages: list[Any] = []
    for file in (network_service_pb2, admin_service_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            messages.extend(getattr(file, method.input_type.name)() for method in service.methods)
    return messages
