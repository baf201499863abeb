"""The HTTP server of one process, where the settings ask for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_grpc.composition.access import Access
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.rpc.interceptors.unreadable import MAX_REQUEST_BYTES
from keeper_grpc.rpc.server import Server
from keeper_grpc.settings import Settings

if TYPE_CHECKING:  # the extra may be missing
    from keeper_grpc.rpc.http.server import HttpServer


class HttpUnusable(OperatorError):
    """The HTTP port cannot be opened."""


def make_http(
    settings: Settings, server: Server, access: Access, *, shares_port: bool
) -> HttpServer | None:
    """The HTTP server of the gRPC server's handlers, bound and not yet started; None where none is wanted.

    Raises HttpUnusable.
    """
    if settings.http_address is None:
        return None
    try:
        # Only who asks for it needs the extra.
        from keeper_grpc.rpc.http import server as http  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise HttpUnusable(
            f"KEEPER_HTTP_ADDRESS needs the package {missing.name}: pip install 'keeper-grpc[http]'"
        ) from missing
    try:
        return http.HttpServer(
            server.services,
            server.handlers,
            address=settings.http_address,
            shares_port=shares_port,
            tls=access.http_context(),
            origins=settings.http_origins,
            max_request_bytes=MAX_REQUEST_BYTES,
            max_call_duration=settings.max_call_duration.total_seconds(),
            stall=settings.stream_stall.total_seconds(),
        )
    except OSError as error:
        raise HttpUnusable(
            "cannot listen: the address is taken, or is not this machine's: set KEEPER_HTTP_ADDRESS"
        ) from error
