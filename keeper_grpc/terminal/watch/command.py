"""`keeper watch`: what is emerging and how the KPIs stand, as it changes."""

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
from keeper_grpc.terminal.client_command import add_client_command
from keeper_grpc.terminal.output.screen import Screen, nobody_reads
from keeper_grpc.terminal.watch.lines import JsonLines, Lines
from keeper_grpc.terminal.watch.live import Live


class _View(Protocol):
    """What shows the events."""

    def emerging(self, event: EmergingNews) -> None: ...

    def metrics(self, event: MetricsEvent) -> None: ...

    async def run(self) -> None:
        """Work beside the events, without end."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = add_client_command(
        commands, "watch", "follow emerging patterns and KPIs until Ctrl-C", _watch
    )
    add_window(command)
    add_category(command)


async def _watch(client: KeeperClient, parsed: argparse.Namespace) -> None:
    with _view(parsed) as view:
        emerging = client.watch_emerging(business_category=parsed.category)
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
            # Whichever came first ended the others.
            raise failed.exceptions[0] from None


def _view(parsed: argparse.Namespace) -> AbstractContextManager[_View]:
    screen = Screen()
    if parsed.json:
        return JsonLines(screen)
    if screen.redraws:
        return Live(screen, parsed.target, parsed.category)
    return Lines(screen)


async def _follow_emerging(events: AsyncGenerator[EmergingEvent], view: _View) -> None:
    """Whether the server can be reached, the metrics tell."""
    async with aclosing(events):
        async for event in events:
            if not isinstance(event, Alive | Interrupted):
                view.emerging(event)


async def _follow_metrics(events: AsyncGenerator[MetricsEvent], view: _View) -> None:
    """A server that was never there is an error; one that went away may come back."""
    seen = False
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Interrupted) and not seen:
                raise event.error
            seen = True
            view.metrics(event)
