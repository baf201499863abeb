"""`keeper health`: whether a server serves, for probes of containers and supervisors."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from keeper_grpc.settings import Settings
from keeper_grpc.subcommand import add_command


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = add_command(
        commands, "health", "ask a server whether it serves: exit code 0, or 1", _health
    )
    command.add_argument("--target", help="the server; unset is KEEPER_PORT of this machine")
    command.add_argument(
        "--service", default="", help="one service of it, by its full name; unset is all of it"
    )
    command.add_argument(
        "--timeout", type=float, default=3.0, metavar="SECONDS", help="(%(default)s)"
    )


def _health(parsed: argparse.Namespace) -> int:
    import grpc  # noqa: PLC0415 - loaded by the commands that ask a server only
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415 - as above

    target = parsed.target or f"127.0.0.1:{Settings.from_environment().port}"
    with grpc.insecure_channel(target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its stub file does not type the calls
        try:
            answer = stub.Check(
                health_pb2.HealthCheckRequest(service=parsed.service), timeout=parsed.timeout
            )
        except grpc.RpcError as error:
            print(f"keeper: {target}: {error.code().name}", file=sys.stderr)
            return 1
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        print(f"keeper: {target}: {status}", file=sys.stderr)
        return 1
    print(status)
    return 0
