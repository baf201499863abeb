"""The best patterns with their evidence."""

from __future__ import annotations

from collections.abc import Sequence

from keeper_grpc.dashboard.filters import words
from keeper_grpc.dashboard.listing import Listing, Sought
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Cell, Column, Row, Table
from keeper_grpc.dashboard.look.masks import plainly
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.sections.notice import Notice
from keeper_grpc.dashboard.upstream.feed import Fetched
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence, Pattern

_SHOWN = 10


class PatternTable:
    """A table of patterns with their evidence, in the order in which they come."""

    def __init__(self, caption: str, empty: str) -> None:
        self._notice = Notice("The list of patterns")
        self._table = Table(
            caption,
            [
                Column("Pattern", "wide"),
                Column("Line of business"),
                Column("Success rate", "number"),
                Column("Cases", "number"),
                Column("Accounts", "number"),
                Column("Last observed", "number whole"),
            ],
            empty,
        )

    def show_problem(self, feed: Fetched[Sequence[Pattern]]) -> None:
        """Say why the list cannot be read, where it cannot."""
        self._notice.show(feed.problem, known=feed.value is not None)

    def show(self, patterns: Sequence[Pattern]) -> None:
        """Show exactly these."""
        self._table.show(map(_row, patterns))


class TopPatterns:
    """The best of the patterns with evidence, in the network's ranking order, and the way to all of them."""

    def __init__(self, category: str) -> None:
        self._table = PatternTable(
            "Top patterns, the best lower bound first",
            "No pattern has enough evidence to be shown yet.",
        )
        self._all = Text(
            "a", "See all patterns", "more", href=f"patterns{Listing(Sought(category)).query}"
        )

    def show(self, feed: Fetched[Sequence[Pattern]]) -> None:
        """Show the best of the patterns that were read."""
        self._table.show_problem(feed)
        if feed.value is not None:
            proven = [pattern for pattern in feed.value if pattern.evidence.occurrence_count]
            self._table.show(proven[:_SHOWN])


def _row(pattern: Pattern) -> Row:
    evidence = pattern.evidence
    return Row(
        pattern.pattern_id,
        [
            Cell(
                plainly(pattern.action),
                words(pattern.pattern_type),
                f"patterns/{pattern.pattern_id}",
            ),
            Cell(words(pattern.business_category)),
            Cell(figures.share(evidence.success_rate), _warning(pattern) or at_least(evidence))
            if evidence.occurrence_count
            else Cell("Untested", "an author's advice"),
            Cell(f"{evidence.occurrence_count:,}"),
            Cell(f"{evidence.account_count:,}"),
            Cell(figures.day(pattern.last_validated_time)),
        ],
    )


def _warning(pattern: Pattern) -> str:
    """Why it is not advised, in a word or two; empty for a pattern that is."""
    return "harmful, not advised" if pattern.crossed_guardrails else fading(pattern)


def fading(pattern: Pattern) -> str:
    """A warning that the success rate is of the past; empty for a pattern that works as it did."""
    return "\N{DOWNWARDS ARROW} fading" if pattern.state == Pattern.STATE_FADING else ""


def at_least(evidence: Evidence) -> str:
    """The lower bound, which ranking uses: the true rate is at least this with 95% certainty."""
    return f"at least {figures.share(evidence.lower_bound)}"
