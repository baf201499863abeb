"""The connection of a synchronous client, opened when it is first used."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from keeper_grpc.client.channel import (
    BlockingInterceptor,
    Metadata,
    Options,
    open_blocking_channel,
    with_token,
)
from keeper_grpc.client.credentials import Credentials
from keeper_grpc.client.errors import from_blocking_call
from keeper_grpc.client.retries import Retries, may_retry
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceStub
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

Request_contra = TypeVar("Request_contra", bound=Message, contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)


class Method(Protocol[Request_contra, Response_co]):
    """A unary method of a stub."""

    def __call__(
        self, request: Request_contra, /, *, timeout: float, metadata: Metadata
    ) -> Response_co: ...


class Clock(Protocol):
    """Time as the retries see it."""

    def time(self) -> float:
        """Seconds, from any beginning."""
        ...

    def sleep_for(self, duration: float, /) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock, which nobody sets back."""

    def time(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep_for(self, duration: float, /) -> None:
        """Wait."""
        time.sleep(duration)


class Connection:
    """A channel of this process, shared by its threads.

    It is opened by the first call, so that a client may be made before a server forks its workers (gunicorn, Celery):
    a gRPC channel does not survive a fork. After one, the child's first call opens another.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float,
        retries: Retries,
        credentials: Credentials | grpc.ChannelCredentials | None,
        options: Options,
        metadata: Metadata,
        interceptors: Sequence[BlockingInterceptor],
        channel: grpc.Channel | None,
        clock: Clock,
    ) -> None:
        self._target = target
        self._timeout = timeout
        self.retries = retries
        self.clock = clock
        self._credentials = credentials
        self._options = options
        self.metadata = metadata
        self._interceptors = interceptors
        self._lock = threading.Lock()
        self._opened = None if channel is None else _opened(channel)

    @property
    def network(self) -> NetworkLearningServiceStub:
        """The calls of NetworkLearningService."""
        return self._open().network

    @property
    def admin(self) -> AdminServiceStub:
        """The calls of AdminService."""
        return self._open().admin

    def call(
        self,
        method: Method[Request_contra, Response_co],
        request: Request_contra,
        *,
        token: str = "",
    ) -> Response_co:
        """Make a unary call, with retries, within the timeout. `token` is the bearer token of this call alone.

        Raises KeeperClientError, or CredentialsUnusable where anybody could read the token on its way.
        """
        metadata = with_token(self.metadata, token, self._target, self._credentials)
        deadline = self.clock.time() + self._timeout
        failures = 0
        while True:
            left = max(0.0, deadline - self.clock.time())
            try:
                return method(request, timeout=left, metadata=metadata)
            except grpc.RpcError as broken:
                error = from_blocking_call(broken)
                failures += 1
                delay = self.retries.delay(failures, error)
                # Nothing is gained by waiting for an attempt that has no time left.
                late = self.clock.time() + delay >= deadline
                if late or failures >= self.retries.attempts or not may_retry(error):
                    raise error from broken
            self.clock.sleep_for(delay)

    def close(self) -> None:
        """End the connection, and with it every call and watch; a later call opens it anew."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None and opened.process == os.getpid():
            opened.channel.close()

    def _open(self) -> _Opened:
        with self._lock:
            if self._opened is None or self._opened.process != os.getpid():
                self._opened = _opened(
                    open_blocking_channel(
                        self._target, self._credentials, self._options, self._interceptors
                    )
                )
            return self._opened


@dataclass(frozen=True, slots=True)
class _Opened:
    """A channel with its stubs, and the process in which it lives."""

    process: int
    channel: grpc.Channel
    network: NetworkLearningServiceStub
    admin: AdminServiceStub


def _opened(channel: grpc.Channel) -> _Opened:
    return _Opened(
        os.getpid(), channel, NetworkLearningServiceStub(channel), AdminServiceStub(channel)
    )
