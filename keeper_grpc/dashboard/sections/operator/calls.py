"""What is called, how often and with what result; and how the gate copes with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from nicegui import html

from keeper_grpc.dashboard.filters import words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import WARNING, Cell, Column, Row, Table
from keeper_grpc.dashboard.sections.operator.processes import counted
from keeper_grpc.dashboard.upstream.processes import Process, Processes
from keeper_grpc.dashboard.upstream.scrape import by_label

_ADMITTED = "keeper_admission_admitted_total"
_DURATION = "keeper_rpc_duration_seconds"
_STREAMS = "keeper_rpc_streams_ended_total"
_QUESTIONS = "keeper_rpc_question_duration_seconds"
_EACH_QUESTION = "EnhanceInsights, each question"

_ENDED_WELL = {"OK"}
_STREAM_ENDED_WELL = {"OK", "CANCELLED", "UNAVAILABLE"}
"""A stream ends when its reader leaves, or when the server drains."""


@dataclass(slots=True)
class Rates:
    """Of one method, a second: calls, time spent in them, and calls that failed, by code."""

    calls: float = 0.0
    spent: float = 0.0
    failed: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def rates(processes: Iterable[Process]) -> Mapping[str, Rates]:
    """By method, of all processes together."""
    found: dict[str, Rates] = defaultdict(Rates)

    def counts(method: str, code: str, rate: float, well: set[str]) -> None:
        found[method].calls += rate
        if code not in well and rate:
            found[method].failed[code] += rate

    for process in processes:
        for own, rate in process.rates(f"{_DURATION}_count"):
            counts(own["method"].partition("/")[2], own["code"], rate, _ENDED_WELL)
        for own, rate in process.rates(f"{_DURATION}_sum"):
            found[own["method"].partition("/")[2]].spent += rate
        for own, rate in process.rates(_STREAMS):
            method = f"{own['method'].partition('/')[2]}, streams that ended"
            counts(method, own["code"], rate, _STREAM_ENDED_WELL)
        for own, rate in process.rates(f"{_QUESTIONS}_count"):
            counts(_EACH_QUESTION, own["code"], rate, _ENDED_WELL)
        for _, rate in process.rates(f"{_QUESTIONS}_sum"):
            found[_EACH_QUESTION].spent += rate
    return found


class CallTable:
    """A row for each method that was called since the processes began."""

    def __init__(self) -> None:
        with html.div().classes("card"):
            self._table = Table(
                "Calls a second, of all processes, within the last minute",
                [
                    Column("Call", "wide"),
                    Column("Calls a second", "number"),
                    Column("Mean time", "number"),
                    Column("Errors a second", "number"),
                ],
                "No call was seen yet: it takes two looks at a process of --metrics, some seconds apart.",
            )

    def show(self, processes: Processes) -> None:
        """Show the newest looks."""
        found = rates(processes.all)
        ordered = sorted(found.items(), key=lambda each: (-each[1].calls, each[0]))
        self._table.show(_row(method, each) for method, each in ordered)


def _row(method: str, found: Rates) -> Row:
    failed = sum(found.failed.values())
    codes = ", ".join(
        f"{code} {a_second(rate)}" for code, rate in sorted(found.failed.items()) if rate
    )
    return Row(
        method,
        [
            Cell(method),
            Cell(a_second(found.calls)),
            Cell(
                f"{1000 * found.spent / found.calls:,.0f} ms"
                if found.calls and found.spent
                else figures.NOTHING
            ),
            Cell(a_second(failed), codes),
        ],
    )


class GateTable:
    """A row for each kind of work that shares the gate."""

    def __init__(self) -> None:
        with html.div().classes("card"):
            self._table = Table(
                "The admission gate, of all processes together",
                [
                    Column("Kind of work"),
                    Column("Load", "whole"),
                    Column("Begun a second", "number"),
                    Column("In progress", "number"),
                    Column("Waiting", "number"),
                    Column("Refused a second", "number"),
                ],
                "No process tells of its gate.",
            )

    def show(self, processes: Processes) -> None:
        """Show the newest looks."""
        answering = processes.answering
        scrapes = [process.last for process in answering if process.last is not None]
        kinds = dict.fromkeys(kind for last in scrapes for kind in last.labels(_ADMITTED, "kind"))
        begun, refused = (
            by_label(chain.from_iterable(each.rates(name) for each in answering), "kind")
            for name in (_ADMITTED, "keeper_admission_shed_total")
        )

        def total(name: str, kind: str) -> float:
            return sum(last.value(name, kind=kind) or 0.0 for last in scrapes)

        self._table.show(
            Row(
                kind,
                [
                    Cell(words(kind).capitalize()),
                    Cell(f"{WARNING} Under pressure")
                    if total("keeper_admission_pressure", kind)
                    else Cell("\N{CHECK MARK} Keeps up"),
                    Cell(a_second(begun.get(kind, 0.0))),
                    Cell(counted(total("keeper_admission_in_progress", kind))),
                    Cell(counted(total("keeper_admission_waiting", kind))),
                    Cell(a_second(refused.get(kind, 0.0))),
                ],
            )
            for kind in kinds
        )


def a_second(rate: float) -> str:
    """A rate: what is rare gets more digits, and nothing is a zero."""
    if rate == 0:
        return "0"
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:,.1f}" if rate >= 1 else f"{rate:.2f}"  # noqa: PLR2004 - three digits
