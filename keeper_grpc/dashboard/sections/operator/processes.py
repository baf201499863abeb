"""The server's health, and its processes one by one."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui import html

from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Cell, Column, Row, Status, Table
from keeper_grpc.dashboard.look.terms import heading
from keeper_grpc.dashboard.upstream.health import SERVICES, Health
from keeper_grpc.dashboard.upstream.processes import Process, Processes
from keeper_grpc.dashboard.upstream.scrape import Scrape

NO_METRICS = (
    "No process is named: start keeper dashboard with --metrics, once for each process, as --metrics "
    "http://127.0.0.1:9464/metrics (KEEPER_METRICS_PORT of the server)."
)

_STATUS: Mapping[str, tuple[str, str, str]] = {
    "SERVING": ("good", "\N{CHECK MARK}", "Serving"),
    "NOT_SERVING": ("bad", "\N{MULTIPLICATION X}", "Not serving"),
}


class HealthList:
    """A line for the server and for each service."""

    def __init__(self) -> None:
        self._shown: dict[str, Status] = {}
        with html.dl().classes("card facts"):
            for service, name in SERVICES.items():
                with html.div():
                    heading("dt", name)
                    with html.dd():
                        self._shown[service] = Status()

    def show(self, health: Health) -> None:
        """Show what the server says."""
        for service, status in self._shown.items():
            said = health.statuses.get(service, "Loading")
            status.show(*_STATUS.get(said, ("none", "\N{HORIZONTAL ELLIPSIS}", said)))


class ProcessTable:
    """A row for each process that the dashboard was told of."""

    def __init__(self) -> None:
        with html.div().classes("card"):
            self._table = Table(
                "The server's processes",
                [
                    Column("Process", "wide"),
                    Column("Readiness", "whole"),
                    Column("Calls in progress", "number"),
                    Column("Connections", "number"),
                    Column("Patterns in memory", "number"),
                    Column("Behind the database", "number"),
                ],
                NO_METRICS,
            )

    def show(self, processes: Processes) -> None:
        """Show the newest looks."""
        self._table.show(map(_row, processes.all))


def _row(process: Process) -> Row:
    last = process.last
    if last is None:
        state = Cell("Not known", process.problem)
        return Row(process.url, [Cell(process.name), state, *4 * [Cell(figures.NOTHING)]])
    ready = last.value("keeper_ready") == 1
    leads = last.value("keeper_detector_leader") == 1
    return Row(
        process.url,
        [
            Cell(process.name, _version(last)),
            Cell(
                "\N{CHECK MARK} Serving" if ready else "\N{MULTIPLICATION X} Not serving",
                "detects for all" if leads else "",
            ),
            Cell(counted(last.value("keeper_rpc_in_flight"))),
            Cell(
                counted(last.value("keeper_database_connections", state="used")),
                f"of {counted(last.value('keeper_database_connections_limit'))}",
            ),
            Cell(counted(last.value("keeper_published_patterns"))),
            Cell(seconds(last.value("keeper_published_lag"))),
        ],
    )


def _version(last: Scrape) -> str:
    versions = last.labels("target_info", "service_version")
    return f"version {versions[0]}" if versions else ""


def counted(value: float | None) -> str:
    """A count, or a dash where it is not exported."""
    return figures.NOTHING if value is None else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """A short time, or a dash where it is not exported."""
    if value is None:
        return figures.NOTHING
    return f"{1000 * value:,.0f} ms" if value < 1 else figures.span(value)
