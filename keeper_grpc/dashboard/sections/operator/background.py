"""What the processes do by themselves: detection, the change feed, the replica, retention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from nicegui import html

from keeper_grpc.dashboard.filters import words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Cell, Column, Fact, Row, Table
from keeper_grpc.dashboard.sections.operator.processes import counted, seconds
from keeper_grpc.dashboard.upstream.processes import Process, Processes
from keeper_grpc.dashboard.upstream.scrape import Scrape, by_label

_STREAMS = {"emerging_patterns": "emerging patterns", "network_metrics": "metrics"}


class Background:
    """One fact for each thing that must go on, with what to look at."""

    def __init__(self) -> None:
        with html.dl().classes("card facts"):
            self._facts = {name: Fact(name, "Loading") for name in _FACTS}

    def show(self, processes: Processes) -> None:
        """Show the newest looks."""
        answering = processes.answering
        nothing = "no process is known" if processes.all else "no process is named"
        for name, fact in self._facts.items():
            fact.show(*(_FACTS[name](answering) if answering else (figures.NOTHING, nothing)))


def _scrapes(processes: Sequence[Process]) -> Sequence[tuple[Process, Scrape]]:
    return [(process, process.last) for process in processes if process.last is not None]


def _by_label(processes: Sequence[Process], name: str, label: str) -> dict[str, float]:
    return by_label(chain.from_iterable(last.each(name) for _, last in _scrapes(processes)), label)


def _leader(processes: Sequence[Process]) -> tuple[str, str]:
    leading = [
        (process, last)
        for process, last in _scrapes(processes)
        if last.value("keeper_detector_leader") == 1
    ]
    if not leading:
        return "None", "of the processes named here detects emerging patterns"
    process, last = leading[0]
    errors = last.value("keeper_detector_errors_total") or 0
    started_over = f"started over after {figures.count(errors, 'error', 'errors')}"
    return process.name, started_over if errors else "without an error since the start"


def _last_run(processes: Sequence[Process]) -> tuple[str, str]:
    for _, last in _scrapes(processes):
        if last.value("keeper_detector_leader") == 1:
            age = last.value("keeper_detector_step_age")
            took = last.value("keeper_detector_step_duration")
            steps = counted(last.value("keeper_detector_steps_total"))
            return f"{seconds(age)} ago", f"it took {seconds(took)}; {steps} steps since the start"
    return figures.NOTHING, ""


def _feed(processes: Sequence[Process]) -> tuple[str, str]:
    lags = [last.value("keeper_published_lag") or 0.0 for _, last in _scrapes(processes)]
    return seconds(
        max(lags)
    ), "since the process that is farthest behind saw the database's changes"


def _subscribers(processes: Sequence[Process]) -> tuple[str, str]:
    found = _by_label(processes, "keeper_feed_subscribers", "stream")
    cut_off, longest = 0.0, 0.0
    for _, last in _scrapes(processes):
        cut_off += last.value("keeper_feed_cut_offs_total") or 0
        longest = max(longest, last.value("keeper_feed_queue_longest") or 0)
    of_each = ", ".join(f"{n:,.0f} to {_STREAMS.get(name, name)}" for name, n in found.items())
    return (
        counted(sum(found.values())),
        (
            f"{of_each or 'none'}; the slowest has {figures.count(longest, 'change', 'changes')} to read; "
            f"{cut_off:,.0f} were cut off"
        ),
    )


def _replica(processes: Sequence[Process]) -> tuple[str, str]:
    scrapes = [last for _, last in _scrapes(processes)]
    configured = [last for last in scrapes if last.value("keeper_replica_configured")]
    if not configured:
        return "None", "none is set, so the database itself is read"
    used = [last for last in configured if last.value("keeper_replica_used")]
    if not used:
        return "Not used", "it lags or does not answer: see replica_left in the log"
    lag = max(last.value("keeper_replica_lag") or 0.0 for last in used)
    return (
        "In use",
        f"{seconds(lag)} behind at most, by {len(used):,} of {len(scrapes):,} processes",
    )


def _captured(processes: Sequence[Process]) -> tuple[str, str]:
    found = _by_label(processes, "keeper_captures_total", "disposition")
    each = ", ".join(f"{words(name)} {value:,.0f}" for name, value in sorted(found.items()))
    return counted(sum(found.values())), each or "none since the start, by calls or by an import"


_FACTS: dict[str, Callable[[Sequence[Process]], tuple[str, str]]] = {
    "Detector's leader": _leader,
    "Detector's last step": _last_run,
    "Change feed": _feed,
    "Subscribers": _subscribers,
    "Replica": _replica,
    "Captures, imported ones too": _captured,
}


class Retention:
    """What retention took, and how large the tables are."""

    def __init__(self) -> None:
        with html.div().classes("card"):
            self._taken = Table(
                "Rows that retention deleted or rolled up since the processes began",
                [Column("Kind of row", "wide"), Column("Deleted or rolled up", "number")],
                "No process tells of its retention.",
            )
        with html.div().classes("card"):
            self._sizes = Table(
                "The largest tables",
                [Column("Table", "wide"), Column("Size with indexes", "number")],
                "Sizes are looked up every five minutes.",
            )

    def show(self, processes: Processes) -> None:
        """Show the newest looks."""
        taken = _by_label(processes.answering, "keeper_retention_rows_total", "kind")
        sizes: dict[str, float] = {}
        for _, last in _scrapes(processes.answering):
            # Every process of a database exports the same.
            sizes |= {own["table"]: value for own, value in last.each("keeper_database_table_size")}
        self._taken.show(
            Row(kind, [Cell(words(kind).capitalize()), Cell(counted(value))])
            for kind, value in sorted(taken.items())
        )
        largest = sorted(sizes.items(), key=lambda each: -each[1])[:_LARGEST]
        self._sizes.show(
            Row(table, [Cell(words(table)), Cell(f"{value / 1_000_000:,.1f} MB")])
            for table, value in largest
        )


_LARGEST = 8
