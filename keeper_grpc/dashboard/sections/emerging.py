"""Emerging patterns, live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from keeper_grpc.dashboard.filters import words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Cell, Column, Row, Table
from keeper_grpc.dashboard.look.masks import plainly
from keeper_grpc.dashboard.look.money import money
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.sections.notice import Notice
from keeper_grpc.dashboard.upstream.feed import EmergingFeed
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern

_SHOWN = 8
"""Rows shown; the others are counted in one line."""

_STEADY = 0.1
"""A growth rate nearer to zero than this is shown as steady."""


class Emerging:
    """A table of current emerging patterns, discoveries first and routine last. `say` announces news to screen readers."""

    def __init__(
        self, say: Callable[[str], None], *, category: str = "", most: int | None = _SHOWN
    ) -> None:
        """`most`: rows shown; None shows all. `category` is the one whose page has all of them."""
        self._say = say
        self._most = most
        self._known: set[str] | None = None
        self._arrived: dict[str, datetime] = {}
        self._notice = Notice("The list of what is emerging")
        self._table = Table(
            "Emerging patterns, discoveries first",
            [
                Column("What is seen", "wide"),
                Column("Line of business"),
                Column("Trend", "whole"),
                Column("Accounts", "number"),
                Column("Sightings", "number"),
                Column("Potential value", "number"),
                Column("Last seen", "number whole"),
            ],
            "Nothing is emerging now. What three or more accounts begin to see appears here.",
        )
        address = f"emerging?category={category}" if category else "emerging"
        self._more = Text("a", "", "more", href=address)

    def show(self, feed: EmergingFeed) -> None:
        """Show the feed's emerging patterns."""
        self._notice.show(feed.problem, known=feed.complete or self._known is not None)
        if not feed.complete:
            return  # what comes in a snapshot is no news
        latest = sorted(feed.patterns.values(), key=_order, reverse=True)[: self._most]
        shown = [*latest, *reversed(feed.gone)]
        ids = {pattern.emerging_pattern_id for pattern in (*feed.patterns.values(), *feed.gone)}
        news = [
            pattern
            for pattern in latest
            if self._known is not None and pattern.emerging_pattern_id not in self._known
        ]
        # Both hold current patterns only, so they do not grow over weeks.
        self._known = ids
        self._arrived = {name: when for name, when in self._arrived.items() if name in ids} | {
            pattern.emerging_pattern_id: datetime.now(UTC) for pattern in news
        }
        self._table.show(
            _row(pattern, self._arrived.get(pattern.emerging_pattern_id)) for pattern in shown
        )
        more = len(feed.patterns) - len(latest)
        self._more.set_visibility(more > 0)
        self._more.text = f"See all: {figures.count(more, 'other is', 'others are')} emerging"
        if news:
            self._say(_news(news))


def _order(pattern: EmergingPattern) -> tuple[float, int]:
    """By novelty in tenths, so that of what is as new the latest comes first."""
    return round(pattern.novelty, 1), pattern.last_seen_time.ToNanoseconds()


def _news(arrived: Sequence[EmergingPattern]) -> str:
    if len(arrived) > 1:
        return f"{len(arrived)} new emerging patterns"
    return f"New emerging pattern: {title(arrived[0])}"


def title(pattern: EmergingPattern) -> str:
    """The title of an emerging pattern. An old change has no label, and its insights may share no words."""
    return plainly(pattern.label or pattern.common_pattern) or "Insights that share no words"


def _row(pattern: EmergingPattern, arrived: datetime | None) -> Row:
    known = pattern.promoted_pattern_id or pattern.fading_pattern_id
    return Row(
        pattern.emerging_pattern_id,
        [
            Cell(
                title(pattern),
                # A label begins with the type.
                plainly(pattern.common_pattern) if pattern.label else words(pattern.pattern_type),
                f"patterns/{known}" if known else f"emerging/{pattern.emerging_pattern_id}",
            ),
            Cell(", ".join(map(words, pattern.business_categories))),
            _state(pattern, arrived),
            Cell(f"{pattern.account_count:,}"),
            Cell(f"{pattern.sighting_count:,}"),
            Cell(money(pattern.total_potential_value)),
            Cell(figures.moment(pattern.last_seen_time)),
        ],
        "arrived" if arrived else "",
    )


def _state(pattern: EmergingPattern, arrived: datetime | None) -> Cell:
    if pattern.change == EmergingPattern.CHANGE_PROMOTED:
        return Cell("\N{CHECK MARK} Became a pattern")
    if pattern.change == EmergingPattern.CHANGE_FADED:
        return Cell("\N{EN DASH} Faded")
    novelty = f"novelty {figures.share(pattern.novelty)}"
    if pattern.fading_pattern_id:
        novelty = "its pattern is fading"
    note = f"new at {figures.clock(arrived)}" if arrived else novelty
    if pattern.growth_rate > _STEADY:
        return Cell("\N{UPWARDS ARROW} Growing", note)
    if pattern.growth_rate < -_STEADY:
        return Cell("\N{DOWNWARDS ARROW} Shrinking", note)
    return Cell("\N{RIGHTWARDS ARROW} Steady", note)
