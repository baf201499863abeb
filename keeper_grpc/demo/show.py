"""The demo's output, as plain text that needs no terminal."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from keeper_grpc.client.basis import basis_in_words
from keeper_grpc.demo.captures import Played, Scope
from keeper_grpc.demo.scan import Scan
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import EnhanceInsightResponse
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence, Pattern

_PIPED_WIDTH = 100
"""Columns without a terminal: fits a log viewer and this project's tables."""

_INDENT = 2

_NOTHING = "-"


class Show:
    """Prints the story to stdout."""

    def __init__(self) -> None:
        # Texts from outside: rich must not interpret brackets and colons in them.
        self._console = Console(
            markup=False,
            emoji=False,
            highlight=False,
            width=None if sys.stdout.isatty() else _PIPED_WIDTH,
        )

    def heading(self, text: str) -> None:
        """Begin a step."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def line(self, text: str) -> None:
        """One finding of the step."""
        self._console.print(Padding(Text(text), (0, 0, 0, _INDENT)))

    def failure(self, reason: str, log: Path) -> None:
        """Say on stderr why the demo ends here, and where the server's log is."""
        first, *rest = reason.splitlines()
        print(f"keeper demo: failed: {first}", *rest, sep="\n", file=sys.stderr)
        print(f"keeper demo: the server's log is {log}", file=sys.stderr)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """A progress bar; call what it yields after each of `total` things."""
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self._console) as progress:
            task = progress.add_task(what, total=total)
            yield lambda: progress.advance(task)

    def patterns(self, played: Played, published: Mapping[str, Pattern]) -> None:
        """How many captures were made and how many patterns are published, by category and type."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
        by_scope: dict[Scope, list[Pattern]] = defaultdict(list)
        for pattern in published.values():
            by_scope[pattern.business_category, pattern.pattern_type].append(pattern)
        rows = []
        for scope in sorted(played.captures):
            shown = by_scope[scope]
            counts = (played.captures[scope], len(played.accounts[scope]), len(shown))
            rows.append((*scope, *map(str, counts), _mean_success(shown)))
        for name, footer in (
            ("category", "all"),
            ("type", ""),
            ("captures", str(played.total)),
            ("accounts", str(len(set().union(*played.accounts.values())))),
            ("published", str(len(published))),
            ("mean success", _mean_success(published.values())),
        ):
            table.add_column(name, footer, justify="left" if name in _WORDS else "right")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def enhancement(
        self, base: float, before: EnhanceInsightResponse, after: EnhanceInsightResponse
    ) -> None:
        """The same insight before and after the network learned."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        table.add_column("before", ratio=1)
        table.add_column("after", ratio=3)
        for name, old, new in zip(
            _FIELDS, _answers(base, before), _answers(base, after), strict=True
        ):
            table.add_row(Text(name), Text(old), Text(new))
        self._console.print(table)

    def emerging(self, pattern: EmergingPattern) -> None:
        """One change, as it came over the stream."""
        change = EmergingPattern.Change.Name(pattern.change).removeprefix("CHANGE_")
        self.line(
            f"stream: {change:<7} {pattern.pattern_type}/{', '.join(pattern.business_categories)}"
            f"  {pattern.account_count} accounts, {pattern.sighting_count} sightings,"
            f" similarity {pattern.mean_similarity:.2f}"
        )
        self.line(f'{pattern.label}: "{pattern.common_pattern}"')

    def scan(self, scan: Scan, identifiers: int, log_lines: int) -> None:
        """What was searched for identifiers, and every place where one was found."""
        self.line(
            f"{identifiers} identifiers searched in {scan.columns} columns of {scan.tables} tables"
            f" ({scan.values:,} values) and {log_lines} log lines: {len(scan.hits)} found"
        )
        for place in sorted({hit.place for hit in scan.hits}):
            self.line(f"  found in {place}: {sum(hit.place == place for hit in scan.hits)}")


_WORDS = ("category", "type")

_FIELDS = (
    "confidence",
    "suggested approach",
    "expected success",
    "proven script",
    "network context",
    "evidence",
    "explanation",
)


def _answers(base: float, response: EnhanceInsightResponse) -> tuple[str, ...]:
    """One text for each of _FIELDS."""
    enhanced = response.enhanced_insight
    if enhanced.HasField("authored_advice"):
        return (
            f"{base:.2f}",
            enhanced.suggested_approach,
            _NOTHING,
            _NOTHING,
            enhanced.network_context,
            _NOTHING,
            enhanced.explanation,
        )
    if not enhanced.network_enhanced:
        reason = EnhanceInsightResponse.NoMatchReason.Name(response.no_match_reason)
        why = f"not enhanced: {reason.removeprefix('NO_MATCH_REASON_')}"
        return (f"{base:.2f}", *[_NOTHING] * (len(_FIELDS) - 2), why)
    return (
        f"{enhanced.confidence:.2f} (x {enhanced.confidence / base:.2f})",
        enhanced.suggested_approach,
        f"{enhanced.expected_success_rate:.0%}, {basis_in_words(enhanced.basis)}",
        enhanced.proven_script or _NOTHING,
        enhanced.network_context,
        _evidence(enhanced.evidence),
        enhanced.explanation,
    )


def _evidence(evidence: Evidence) -> str:
    return (
        f"{evidence.success_count} of {evidence.occurrence_count} cases of"
        f" {evidence.account_count} accounts, lower bound {evidence.lower_bound:.0%},"
        f" similarity {evidence.similarity:.2f}"
    )


def _mean_success(patterns: Collection[Pattern]) -> str:
    trials = sum(pattern.evidence.occurrence_count for pattern in patterns)
    if not trials:
        return _NOTHING
    return f"{sum(pattern.evidence.success_count for pattern in patterns) / trials:.0%}"
