"""`keeper health`: whether a server serves, for probes of containers and supervisors."""

from __future__ import annotations

import argparse
import ipaddress
import re
import sys
from typing import Any

from keeper_grpc.command.arguments import add_credentials, target, within
from keeper_grpc.settings import Settings


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_health)
    command.add_argument(
        "--target", type=target, help="the server; unset is where KEEPER_HOST and KEEPER_PORT say"
    )
    add_credentials(command)
    command.add_argument(
        "--service",
        type=_service,
        default="",
        help="one service of it, by its full name; unset is all of it",
    )
    command.add_argument(
        "--timeout",
        type=within(float, 0.001, 3_600.0),
        default=3,
        metavar="SECONDS",
        help="how long to wait for its answer (%(default)s)",
    )


def _service(text: str) -> str:
    # The name of a service in protobuf; an empty default comes here too.
    if not re.fullmatch(r"[A-Za-z0-9_.]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a service")
    return text


def own_address(settings: Settings) -> str:
    """The address of a server with these settings, on its own machine."""
    try:
        host = ipaddress.ip_address(settings.host.strip("[]"))
    except ValueError:
        return settings.address
    if host.is_unspecified:
        # A server that listens on every address is asked on the one that needs no network.
        loopback = "127.0.0.1" if host.version == 4 else "::1"  # noqa: PLR2004 - IPv4
        return settings.model_copy(update={"host": loopback}).address
    return settings.address


def _health(parsed: argparse.Namespace) -> int:
    import grpc  # noqa: PLC0415 - loaded by the commands that ask a server only
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415 - as above

    from keeper_grpc.connecting import credentials_of, proxy_on_the_way  # noqa: PLC0415 - as above
    from keeper_grpc.own_tls import way_to, way_to_own_server  # noqa: PLC0415 - as above

    if parsed.target:
        address = parsed.target
        way = way_to(address, credentials_of(parsed, address))
    else:
        settings = Settings.from_environment()
        address = own_address(settings)
        way = way_to_own_server(settings, credentials_of(parsed, address), address)
    with (
        grpc.insecure_channel(address, options=way.options)
        if way.credentials is None
        else grpc.secure_channel(address, way.credentials, options=way.options)
    ) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its stub file does not type the calls
        try:
            answer = stub.Check(
                health_pb2.HealthCheckRequest(service=parsed.service), timeout=parsed.timeout
            )
        except grpc.RpcError as error:
            unreachable = error.code() is grpc.StatusCode.UNAVAILABLE
            proxy = proxy_on_the_way(address) if unreachable else ""
            print(f"keeper: {address}{proxy}: {error.code().name}", file=sys.stderr)
            return 1
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        print(f"keeper: {address}: {status}", file=sys.stderr)
        return 1
    print(status)
    return 0
