"""Emerging patterns, as a table or as lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table

from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.terminal.output.plain import plain

_ALL_COLUMNS = 100
"""Fewest columns for a table with all numbers; narrower ones show the most important numbers."""


def by_interest(patterns: Iterable[EmergingPattern]) -> list[EmergingPattern]:
    """Sorted by accounts, then by growth, both descending."""
    return sorted(patterns, key=lambda p: (-p.account_count, -p.growth_rate, p.emerging_pattern_id))


def emerging_table(patterns: Sequence[EmergingPattern], width: int) -> Table:
    """One line each, cut to the width."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)
    narrow = width < _ALL_COLUMNS
    numbers = ("accounts", "growth") if narrow else ("accounts", "sightings", "growth", "novelty")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    if not narrow:
        table.add_column("type", no_wrap=True, max_width=20)
        table.add_column("seen in", no_wrap=True, max_width=16)
    table.add_column("emerging pattern", no_wrap=True, ratio=1)
    for pattern in patterns:
        cells = {
            "accounts": f"{pattern.account_count:,}",
            "sightings": f"{pattern.sighting_count:,}",
            "growth": f"{pattern.growth_rate:+.2f}",
            "novelty": f"{pattern.novelty:.2f}",
        }
        scope = [] if narrow else [plain(pattern.pattern_type), _seen_in(pattern)]
        table.add_row(*(cells[name] for name in numbers), *scope, _what(pattern))
    return table


def change_line(pattern: EmergingPattern) -> str:
    """A change of an emerging pattern, in one line."""
    became = f" as {plain(pattern.promoted_pattern_id)}" if pattern.promoted_pattern_id else ""
    if pattern.fading_pattern_id:
        became = f" beside {plain(pattern.fading_pattern_id)}, which fades,"
    return (
        f"{change_name(pattern)}{became} {plain(pattern.pattern_type)} ({_seen_in(pattern)}):"
        f" {pattern.account_count:,} accounts, {pattern.sighting_count:,} sightings,"
        f" growth {pattern.growth_rate:+.2f}, novelty {pattern.novelty:.2f}:"
        f" {_what(pattern)}"
    )


def change_name(pattern: EmergingPattern) -> str:
    """NEW, UPDATED, PROMOTED, FADED, also of a change that this program does not know yet."""
    known = pattern.change in EmergingPattern.Change.values()
    return (
        EmergingPattern.Change.Name(pattern.change).removeprefix("CHANGE_")
        if known
        else f"CHANGE {pattern.change}"
    )


def _what(pattern: EmergingPattern) -> str:
    """The title of an emerging pattern. An old change has no label, and its insights may share no words."""
    return plain(pattern.label or pattern.common_pattern) or "insights that share no words"


def _seen_in(pattern: EmergingPattern) -> str:
    return plain(", ".join(pattern.business_categories))
