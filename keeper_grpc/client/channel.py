"""The channel: how connections are made and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import grpc

from keeper_grpc.client.bearer import bearing
from keeper_grpc.client.blocking.bearer import BlockingBearer
from keeper_grpc.client.credentials import (
    Credentials,
    CredentialsUnusable,
    authorization,
    carries_tokens,
)
from keeper_grpc.client.proxies import direct_to_this_machine

Options: TypeAlias = Sequence[tuple[str, int | str]]

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

BlockingInterceptor: TypeAlias = (
    grpc.UnaryUnaryClientInterceptor
    | grpc.UnaryStreamClientInterceptor
    | grpc.StreamStreamClientInterceptor
)

_OPTIONS: Options = (
    # Calls are spread over all addresses of a name (dns:///...); gRPC's own default keeps to one of them.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    # Detects a server or a NAT entry that vanished silently: a watch may have no message for weeks.
    # The server permits a ping every 5 seconds, also without calls.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # gRPC waits up to two minutes between connection attempts, and fails every call meanwhile; a
    # restarted server should be found within seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


def open_channel(
    target: str,
    credentials: Credentials | grpc.ChannelCredentials | None,
    options: Options,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> grpc.aio.Channel:
    """A channel of the running event loop with our defaults, which `options` override. Raises CredentialsUnusable."""
    chosen = [*_OPTIONS, *direct_to_this_machine(target), *options]
    around = [*interceptors]
    if isinstance(credentials, Credentials):
        if credentials.token is not None:
            around += bearing(credentials.token)
        credentials = credentials.channel(target)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=chosen, interceptors=around)
    return grpc.aio.secure_channel(target, credentials, options=chosen, interceptors=around)


def open_blocking_channel(
    target: str,
    credentials: Credentials | grpc.ChannelCredentials | None,
    options: Options,
    interceptors: Sequence[BlockingInterceptor] = (),
) -> grpc.Channel:
    """The same for synchronous code."""
    chosen = [*_OPTIONS, *direct_to_this_machine(target), *options]
    around = [*interceptors]
    if isinstance(credentials, Credentials):
        if credentials.token is not None:
            around.append(BlockingBearer(credentials.token))
        credentials = credentials.channel(target)
    channel = (
        grpc.insecure_channel(target, options=chosen)
        if credentials is None
        else grpc.secure_channel(target, credentials, options=chosen)
    )
    return grpc.intercept_channel(channel, *around)


def with_token(
    metadata: Metadata,
    token: str,
    target: str,
    credentials: Credentials | grpc.ChannelCredentials | None,
) -> Metadata:
    """The metadata of a call that has a token of its own; as they are where it is empty.

    Raises CredentialsUnusable where anybody could read it on its way.
    """
    if not token:
        return metadata
    if not carries_tokens(target, credentials):
        raise CredentialsUnusable("a token is sent over TLS only, but to this machine")
    return (*metadata, authorization(token))
