"""Adds the token to every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grpc import aio

from keeper_grpc.client.credentials import authorization


def bearing(token: Callable[[], str]) -> Sequence[aio.ClientInterceptor]:
    """Interceptors that ask for the token at every call: it may be renewed in between.

    Not call credentials, which gRPC takes on TLS connections only: a server on this machine may have none.
    """

    def with_token(details: Any) -> Any:
        metadata = aio.Metadata(*(details.metadata or ()))
        name, value = authorization(token())
        metadata[name] = value
        return details._replace(metadata=metadata)

    class UnaryUnary(aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(
            self, continuation: Any, client_call_details: Any, request: Any
        ) -> Any:
            return await continuation(with_token(client_call_details), request)

    class UnaryStream(aio.UnaryStreamClientInterceptor):
        async def intercept_unary_stream(
            self, continuation: Any, client_call_details: Any, request: Any
        ) -> Any:
            return await continuation(with_token(client_call_details), request)

    class StreamUnary(aio.StreamUnaryClientInterceptor):
        async def intercept_stream_unary(
            self, continuation: Any, client_call_details: Any, request_iterator: Any
        ) -> Any:
            return await continuation(with_token(client_call_details), request_iterator)

    class StreamStream(aio.StreamStreamClientInterceptor):
        async def intercept_stream_stream(
            self, continuation: Any, client_call_details: Any, request_iterator: Any
        ) -> Any:
            return await continuation(with_token(client_call_details), request_iterator)

    return [UnaryUnary(), UnaryStream(), StreamUnary(), StreamStream()]
