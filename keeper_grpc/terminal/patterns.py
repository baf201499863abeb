"""`keeper patterns`: the published patterns, by lower bound."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import aclosing

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from keeper_grpc.client import KeeperClient
from keeper_grpc.client.orders import ORDERS, in_order
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from keeper_grpc.terminal.arguments import add_category, positive, share
from keeper_grpc.terminal.client_command import declare_client_command
from keeper_grpc.terminal.output.as_json import line, pattern_json
from keeper_grpc.terminal.output.evidence import accounts, at_least, cases, known, success
from keeper_grpc.terminal.output.plain import plain
from keeper_grpc.terminal.output.screen import Screen

_TABLE_WIDTH = 130
"""Fewest columns at which an id (36 characters) leaves enough room for the action."""

_LARGEST_PAGE = 500
"""The API's own bound."""

MOST_SORTED = 2_000
"""Patterns that are read to be sorted, as many as the dashboard's page reads."""


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    declare_client_command(command, _patterns)
    command.add_argument("--type", default="", help="only this type")
    add_category(command)
    command.add_argument(
        "--search",
        default="",
        metavar="WORDS",
        help="only those whose action and type have each of these words",
    )
    command.add_argument(
        "--min-success-rate",
        type=share,
        default=0.0,
        metavar="RATE",
        help="only those that worked at least this often: 0.6 or 60%%",
    )
    command.add_argument(
        "--sort",
        choices=tuple(ORDERS),
        default="surest",
        help=f"which come first, of the {MOST_SORTED:,} surest (%(default)s)",
    )
    command.add_argument(
        "--limit", type=positive, default=50, metavar="N", help="list at most so many (%(default)s)"
    )


async def _patterns(client: KeeperClient, parsed: argparse.Namespace) -> None:
    found: list[Pattern] = []
    more = False
    order = ORDERS[parsed.sort]
    most = parsed.limit if order is None else max(MOST_SORTED, parsed.limit)
    listing = client.list_patterns(
        pattern_type=parsed.type,
        business_category=parsed.category,
        min_success_rate=parsed.min_success_rate,
        search=parsed.search,
        page_size=min(most + 1, _LARGEST_PAGE),
    )
    async with aclosing(listing):
        async for pattern in listing:
            more = len(found) == most
            if more:
                break
            found.append(pattern)
    more = more or len(found) > parsed.limit
    shown = in_order(found, parsed.sort)[: parsed.limit]
    if parsed.json:
        for pattern in shown:
            print(line(pattern_json(pattern)))
    else:
        screen = Screen()
        screen.print(listed(shown, screen.width))
    if more:
        print(f"keeper: there are more; --limit {parsed.limit} stopped the list", file=sys.stderr)


def listed(patterns: Sequence[Pattern], width: int) -> RenderableType:
    """Print the patterns as a table, or as a few lines each on a narrow screen."""
    if not patterns:
        return Text("no published pattern matches")
    if width < _TABLE_WIDTH:
        return Group(*(_entry(pattern) for pattern in patterns))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("id", no_wrap=True)
    for name in ("success", "at least", "cases", "accounts"):
        table.add_column(name, justify="right")
    for name in ("type", "category", "action"):
        table.add_column(name)
    for pattern in patterns:
        evidence = pattern.evidence
        table.add_row(
            plain(pattern.pattern_id),
            _success(pattern),
            at_least(evidence),
            cases(evidence),
            accounts(evidence),
            plain(pattern.pattern_type),
            plain(pattern.business_category),
            plain(pattern.action),
        )
    return table


def _success(pattern: Pattern) -> str:
    """The success rate, and whether it is of the past."""
    rate = success(pattern.evidence)
    if pattern.crossed_guardrails:
        return f"{rate} (harmful)"
    return f"{rate} (fading)" if pattern.state == Pattern.STATE_FADING else rate


def _entry(pattern: Pattern) -> RenderableType:
    evidence = pattern.evidence
    numbers = _success(pattern)
    if known(evidence):
        numbers += (
            f", at least {at_least(evidence)}, {cases(evidence)} cases,"
            f" {accounts(evidence)} accounts"
        )
    scope = plain(f"{pattern.pattern_type}, {pattern.business_category}")
    return Group(
        Text(plain(pattern.pattern_id), style="bold"),
        Padding(Text(f"{scope}: {numbers}\n{plain(pattern.action)}"), (0, 0, 0, 2)),
    )
