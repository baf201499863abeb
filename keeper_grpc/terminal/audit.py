"""`keeper audit`: what operators did, newest first."""

from __future__ import annotations

import argparse
import sys
from contextlib import aclosing

from keeper_grpc.client import KeeperClient
from keeper_grpc.client.withdrawal_reasons import reason_name
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import AuditEvent
from keeper_grpc.terminal.arguments import positive
from keeper_grpc.terminal.client_command import declare_client_command
from keeper_grpc.terminal.output.as_json import line, message_json
from keeper_grpc.terminal.output.plain import plain

_LARGEST_PAGE = 500
"""The API's own bound."""


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    declare_client_command(command, _audit)
    command.add_argument(
        "--limit", type=positive, default=50, metavar="N", help="list at most so many (%(default)s)"
    )


async def _audit(client: KeeperClient, parsed: argparse.Namespace) -> None:
    listed = 0
    events = client.audit_events(page_size=min(parsed.limit + 1, _LARGEST_PAGE))
    async with aclosing(events):
        async for event in events:
            if listed == parsed.limit:
                print(
                    f"keeper: there are more; --limit {parsed.limit} stopped the list",
                    file=sys.stderr,
                )
                return
            listed += 1
            print(line(message_json(event)) if parsed.json else _line(event))
    if not listed and not parsed.json:
        print("no operator did anything")


def _line(event: AuditEvent) -> str:
    parts = [
        event.event_time.ToDatetime().isoformat(sep=" ", timespec="seconds") + "Z",
        event.audit_event_id,
        event.action,
    ]
    if event.actor:
        parts.append(f"by {event.actor}")
    if event.pattern_id:
        parts.append(f"pattern {event.pattern_id}")
    if event.reason:
        parts.append(reason_name(event.reason))
    parts += [f"{name} {count:,}" for name, count in sorted(event.counts.items()) if count]
    return plain(" ".join(parts))
