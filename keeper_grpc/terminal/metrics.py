"""`keeper metrics`: what the network is worth."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, timedelta

from keeper_grpc.client import KeeperClient
from keeper_grpc.terminal.arguments import add_category, add_dates, add_window
from keeper_grpc.terminal.client_command import declare_client_command
from keeper_grpc.terminal.output.as_json import document, report_json
from keeper_grpc.terminal.output.dates import dates_json, lines
from keeper_grpc.terminal.output.report import full
from keeper_grpc.terminal.output.screen import Screen


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    declare_client_command(command, _metrics)
    period = command.add_mutually_exclusive_group()
    add_window(period)
    add_dates(period)
    add_category(command)


async def _metrics(client: KeeperClient, parsed: argparse.Namespace) -> None:
    if parsed.dates:
        await _within(client, parsed, *parsed.dates)
        return
    report = await client.network_metrics(window=parsed.window, business_category=parsed.category)
    if parsed.json:
        print(document(report_json(report)))
        return
    screen = Screen()
    screen.print(full(report, parsed.category, screen.width))


async def _within(
    client: KeeperClient, parsed: argparse.Namespace, first: date, last: date
) -> None:
    # Of a window the day counts on which it began.
    window = max(datetime.now(UTC).date() - first, timedelta(seconds=1))
    report = await client.network_metrics(window=window, business_category=parsed.category)
    if parsed.json:
        print(document(dates_json(report, first, last)))
    else:
        print("\n".join(lines(report, parsed.category, first, last)))
