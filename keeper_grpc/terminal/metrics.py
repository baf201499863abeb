"""`keeper metrics`: what the network is worth."""

from __future__ import annotations

import argparse

from keeper_grpc.client import KeeperClient
from keeper_grpc.terminal.arguments import add_category, add_window
from keeper_grpc.terminal.client_command import declare_client_command
from keeper_grpc.terminal.output.as_json import document, report_json
from keeper_grpc.terminal.output.report import full
from keeper_grpc.terminal.output.screen import Screen


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    declare_client_command(command, _metrics)
    add_window(command)
    add_category(command)


async def _metrics(client: KeeperClient, parsed: argparse.Namespace) -> None:
    report = await client.network_metrics(window=parsed.window, business_category=parsed.category)
    if parsed.json:
        print(document(report_json(report)))
        return
    screen = Screen()
    screen.print(full(report, parsed.category, screen.width))
