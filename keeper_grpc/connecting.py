"""With what a command connects to a server, from its arguments and the environment."""

from __future__ import annotations

import argparse
import os

from keeper_grpc.client.credentials import Credentials, CredentialsUnusable, token_of
from keeper_grpc.client.proxies import proxy_of
from keeper_grpc.operator_error import OperatorError


def proxy_on_the_way(target: str) -> str:
    """For a message that a server was not reached: the proxy that gRPC asked, in parentheses; empty without one."""
    proxy = proxy_of(target, os.environ)
    return f" ({proxy})" if proxy else ""


class CannotConnect(OperatorError):
    """The options of a connection do not go together, or a file of theirs cannot be read."""


def credentials_of(parsed: argparse.Namespace, target: str | None = None) -> Credentials:
    """What `command.arguments.add_credentials` was given, for `target`, or the one of `--target`.

    Raises CannotConnect for what would make every call fail.
    """
    try:
        credentials = Credentials(
            parsed.tls,
            parsed.tls_ca,
            parsed.tls_certificate,
            parsed.tls_key,
            token_of(os.environ, parsed.token_file),
        )
        credentials.channel(target or parsed.target)
    except CredentialsUnusable as error:
        raise CannotConnect(str(error)) from None
    return credentials
