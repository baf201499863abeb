"""The connection of an asynchronous client, opened when it is first used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from keeper_grpc.client.channel import Metadata, Options, open_channel, with_token
from keeper_grpc.client.credentials import Credentials
from keeper_grpc.client.retries import Retries, retried
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceStub
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

if TYPE_CHECKING:  # types of the stub files only
    from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

Request_contra = TypeVar("Request_contra", bound=Message, contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)


class Method(Protocol[Request_contra, Response_co]):
    """A unary method of a stub."""

    def __call__(
        self, request: Request_contra, /, *, timeout: float, metadata: Metadata
    ) -> Awaitable[Response_co]: ...


class Connection:
    """A channel of the running event loop.

    It is opened by the first call, so that a client may be made where no loop runs yet, at a module's level for
    example. With another loop (a second `asyncio.run`) comes another channel: a channel lives in one loop.
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
        interceptors: Sequence[grpc.aio.ClientInterceptor],
    ) -> None:
        self._target = target
        self._timeout = timeout
        self.retries = retries
        self._credentials = credentials
        self._options = options
        self.metadata = metadata
        self._interceptors = interceptors
        self._opened: _Opened | None = None

    @property
    def network(self) -> NetworkLearningServiceAsyncStub:
        """The calls of NetworkLearningService."""
        return self._open().network

    @property
    def admin(self) -> AdminServiceAsyncStub:
        """The calls of AdminService."""
        return self._open().admin

    async def call(
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
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        return await retried(
            lambda: method(request, timeout=max(0.0, deadline - loop.time()), metadata=metadata),
            self.retries,
            deadline,
        )

    async def aclose(self) -> None:
        """End the connection, and with it every call and watch; a later call opens it anew."""
        opened, self._opened = self._opened, None
        # That of a loop which has ended ended with it.
        if opened is not None and opened.loop is asyncio.get_running_loop():
            await opened.channel.close()

    def _open(self) -> _Opened:
        loop = asyncio.get_running_loop()
        if self._opened is None or self._opened.loop is not loop:
            channel = open_channel(
                self._target, self._credentials, self._options, self._interceptors
            )
            self._opened = _Opened(
                loop, channel, NetworkLearningServiceStub(channel), AdminServiceStub(channel)
            )
        return self._opened


@dataclass(frozen=True, slots=True)
class _Opened:
    """A channel with its stubs, and the loop in which it lives."""

    loop: asyncio.AbstractEventLoop
    channel: grpc.aio.Channel
    network: NetworkLearningServiceAsyncStub
    admin: AdminServiceAsyncStub
