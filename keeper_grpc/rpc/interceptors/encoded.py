"""Lets a handler return messages that it has serialized itself."""

from __future__ import annotations

from keeper_grpc.rpc.interceptors.chain import Handler, Reshape, remade


def encoded(method: str) -> Reshape:
    """Disables serialization for one server-streaming method, whose handler returns bytes.

    The generated code would serialize every response for every caller. `method` is its full name, as in the
    call's path.
    """

    def without_serializer(called: str, handler: Handler) -> Handler:
        return remade(handler, response_serializer=None) if called == method else handler

    return without_serializer
