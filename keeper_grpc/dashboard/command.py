"""Declares `keeper dashboard`. NiceGUI is imported only when the command runs."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from importlib.util import find_spec
from urllib.parse import urlsplit

from keeper_grpc.command.arguments import add_target, target, within

_STALE_AFTER = 30
"""Seconds: two of the server's heartbeats (KEEPER_STREAM_HEARTBEAT, 15 unless it says otherwise)."""


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_run)
    add_target(command)
    command.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    command.add_argument(
        "--port", type=within(int, 0, 65535), default=8080, help="0 picks a free one (%(default)s)"
    )
    command.add_argument(
        "--stale-after",
        type=within(float, 0.001, 86_400),  # a day: no stream is silent for longer
        default=_STALE_AFTER,
        metavar="SECONDS",
        help="silence after which the page says so: two of the server's heartbeats (%(default)s)",
    )
    command.add_argument(
        "--true-uplift",
        type=within(float, -1.0, 1.0),
        metavar="SHARE",
        help="the true uplift of advice where it is known, as in the demo: shown beside the measured one",
    )
    command.add_argument(
        "--currency",
        metavar="CODE",
        help="the currency of all accounts, as EUR: amounts are written in it; unset are plain numbers",
    )
    operating = command.add_argument_group("the operator's page")
    operating.add_argument(
        "--metrics",
        type=_metrics_url,
        action="append",
        default=[],
        metavar="URL",
        help="where a process of the server exports its metrics, as http://127.0.0.1:9464/metrics; once for each",
    )
    operating.add_argument(
        "--admin-target",
        type=target,
        help="where AdminService has a port of its own (KEEPER_ADMIN_ADDRESS); unset is --target",
    )
    operating.add_argument(
        "--operator-token-header",
        type=_header,
        metavar="NAME",
        help="the header in which a proxy sends its visitor's token, which then needs not be typed",
    )
    operating.add_argument(
        "--operate-without-token",
        action="store_true",
        help="let everybody who sees the page operate a server that asks nobody who calls: on your own machine only",
    )


def _run(parsed: argparse.Namespace) -> int:
    if find_spec("nicegui") is None:
        return _failed("the page needs NiceGUI: pip install 'keeper-grpc[dashboard]'")
    from keeper_grpc.connecting import credentials_of  # noqa: PLC0415 - loads gRPC
    from keeper_grpc.dashboard.look.money import known_currency  # noqa: PLC0415 - as above
    from keeper_grpc.dashboard.serve import Upstream, serve  # noqa: PLC0415 - needs the extra
    from keeper_grpc.dashboard.shown import Shown  # noqa: PLC0415 - as above

    if parsed.currency is not None and not known_currency(parsed.currency):
        return _failed(f"{parsed.currency!r} is not the code of a currency, as EUR")

    upstream = Upstream(
        parsed.target,
        credentials_of(parsed),
        parsed.admin_target or parsed.target,
        parsed.metrics,
    )
    shown = Shown(
        stale_after=parsed.stale_after,
        truth=parsed.true_uplift,
        operate_without_token=parsed.operate_without_token,
        operator_token_header=parsed.operator_token_header,
        currency=parsed.currency,
    )
    try:
        asyncio.run(serve(upstream, parsed.host, parsed.port, shown))
    except OSError as error:
        return _failed(f"cannot listen on {parsed.host}:{parsed.port}: {error.strerror}")
    return 0


def _metrics_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address, as http://127.0.0.1:9464/metrics"
        )
    return text


def _header(text: str) -> str:
    # A token of HTTP's (RFC 9110).
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a header")
    return text


def _failed(reason: str) -> int:
    print(f"keeper dashboard: {reason}", file=sys.stderr)
    return 1
