"""`keeper watch`: emerging patterns and KPIs, live."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing
from typing import Protocol

from keeper_grpc.client import (
    Alive,
    EmergingEvent,
    EmergingNews,
    Interrupted,
    KeeperClient,
    MetricsEvent,
)
from keeper_grpc.terminal.arguments import add_category, add_window
from keeper_grpc.terminal.client_command import declare_client_command
from keeper_grpc.terminal.output.screen import Screen, nobody_reads
from keeper_grpc.terminal.watch.lines import JsonLines, Lines
from keeper_grpc.terminal.watch.live import Live


class _View(Protocol):
    """Shows events."""

    def emerging(self, event: EmergingNews) -> None: ...

    def metrics(self, event: MetricsEvent) -> None: ...

    async def run(self) -> None:
        """Run beside the events until cancelled."""


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    declare_client_command(command, _watch)
    add_window(command)
    add_category(command)
    command.add_argument("--type", default="", help="only emerging patterns of this type")


async def _watch(client: KeeperClient, parsed: argparse.Namespace) -> None:
    with _view(parsed) as view:
        emerging = client.watch_emerging(
            pattern_type=parsed.type, business_category=parsed.category
        )
        metrics = client.watch_network_metrics(
            window=parsed.window, business_category=parsed.category
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_follow_emerging(emerging, view))
                group.create_task(_follow_metrics(metrics, view))
                group.create_task(nobody_reads())
                group.create_task(view.run())
        except BaseExceptionGroup as failed:
            # The first task that ended has cancelled the others.
            raise failed.exceptions[0] from None


def _view(parsed: argparse.Namespace) -> AbstractContextManager[_View]:
    screen = Screen()
    if parsed.json:
        return JsonLines(screen)
    if screen.redraws:
        return Live(screen, parsed.target, parsed.category)
    return Lines(screen)


async def _follow_emerging(events: AsyncGenerator[EmergingEvent], view: _View) -> None:
    """Follow the metrics, which also show whether the server can be reached."""
    async with aclosing(events):
        async for event in events:
            if not isinstance(event, Alive | Interrupted):
                view.emerging(event)


async def _follow_metrics(events: AsyncGenerator[MetricsEvent], view: _View) -> None:
    """Fail if the server was never reached; wait if it was reached before."""
    seen = False
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Interrupted) and not seen:
                raise event.error
            seen = True
            view.metrics(event)
