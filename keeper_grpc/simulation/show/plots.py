"""The run as pictures. Needs matplotlib, the extra `plots`.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart; lines differ in
dashes and markers too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_grpc.simulation.measures.report import Report
from keeper_grpc.simulation.measures.reversals import WEEK, Reversals
from keeper_grpc.simulation.measures.value import PRIMARY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#777777"

_SIZE = (6.4, 3.6)
"""Inches; at 100 dots each the picture is as wide as a page and some 30 KB."""

_DOTS = 100


class PlotsUnavailable(Exception):
    """The extra that draws is not installed."""


def write_plots(report: Report, directory: Path) -> list[Path]:
    """Draw the pictures into a directory. Raises PlotsUnavailable."""
    try:
        # An extra: the table needs no plots.
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - see above
        from matplotlib.figure import Figure  # noqa: PLC0415 - see above
    except ImportError as error:
        raise PlotsUnavailable("plots need the extra: pip install 'keeper-grpc[plots]'") from error
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    pictures: list[tuple[str, Callable[[Axes, Report], None]]] = [
        ("simulation-success.png", _success),
        ("simulation-value.png", _value),
        ("simulation-truth.png", _truth),
    ]
    if report.reversals:
        pictures.append(("simulation-reversals.png", partial(_reversals, report.reversals)))
    for name, draw in pictures:
        figure = Figure(figsize=_SIZE, dpi=_DOTS, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot(), report)
        path = directory / name
        # No date and no version inside: the same run writes the same bytes.
        figure.savefig(path, metadata={"Software": None})
        written.append(path)
    return written


def _success(axes: Axes, report: Report) -> None:
    """Success and enhanced share over time."""
    days = [month.day for month in report.months]
    axes.plot(
        days,
        [100 * month.enhanced for month in report.months],
        color=_GREEN,
        linestyle=":",
        marker="^",
        label="insights enhanced",
    )
    axes.plot(
        days,
        [100 * month.networked for month in report.months],
        color=_BLUE,
        marker="o",
        label="success with the network",
    )
    axes.plot(
        days,
        [100 * month.alone for month in report.months],
        color=_ORANGE,
        linestyle="--",
        marker="s",
        label="success without it",
    )
    for each in report.stages:
        axes.axvline(each.stage.reached, color=_GREY, linewidth=0.8)
        axes.annotate(
            f"{each.stage.customers} customers",
            (each.stage.reached, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=_GREY,
            fontsize="small",
        )
    axes.set_title("The network as it grows", pad=18)
    axes.set(
        xlabel="day of the simulation",
        ylabel="percent, by 30 days",
        ylim=(0, 100),
    )
    axes.legend(loc="lower right", fontsize="small")


def _value(axes: Axes, report: Report) -> None:
    """Days to value with and without the network, by stage."""
    width = 0.38
    for place, each in enumerate(report.stages):
        value = each.value[PRIMARY]
        for offset, days, color, hatch, label in (
            (-width / 2, value.alone, _ORANGE, "//", "without the network"),
            (width / 2, value.networked, _BLUE, "", "with the network"),
        ):
            at_least = value.watched if color == _ORANGE else each.stage.ends - each.stage.begins
            bars = axes.bar(
                place + offset,
                at_least if days is None else days,
                width,
                color=color,
                hatch=hatch,
                edgecolor="white",
                label=label if place == 0 else None,
            )
            axes.bar_label(bars, [f"{days:.0f}" if days is not None else f"> {at_least:.0f}"])
    axes.set(
        title="Median days until newcomers do well",
        xlabel="network grown to",
        ylabel="days from joining",
    )
    axes.set_xticks(
        range(len(report.stages)), [f"{each.stage.customers} customers" for each in report.stages]
    )
    axes.margins(y=0.15)
    axes.legend(fontsize="small")


def _truth(axes: Axes, report: Report) -> None:
    """Expected against true success rates of advice."""
    largest = max((bucket.count for bucket in report.calibration), default=1)
    axes.plot((0, 100), (0, 100), color=_GREY, linewidth=0.8, label="expected is true")
    axes.scatter(
        [100 * bucket.expected for bucket in report.calibration],
        [100 * bucket.true for bucket in report.calibration],
        s=[20 + 200 * bucket.count / largest for bucket in report.calibration],
        color=_BLUE,
        label="advice, by expected rate (area: how much)",
    )
    axes.set(
        title="What advice promises and what it is worth",
        xlabel="expected success rate, percent",
        ylabel="true success rate, percent",
        xlim=(0, 100),
        ylim=(0, 100),
    )
    axes.legend(loc="upper left", fontsize="small")


def _reversals(measured: Reversals, axes: Axes, report: Report) -> None:
    """Success in the three arms around the turn, and the advice that fails since."""
    del report
    middle = [span.begins + WEEK / 2 for span in measured.weeks]

    def percents(shares: Sequence[float | None]) -> list[float]:
        return [math.nan if share is None else 100 * share for share in shares]

    for shares, color, dashes, marker, label in (
        ([span.oracle for span in measured.weeks], _GREY, "-.", "", "success with the oracle"),
        ([span.networked for span in measured.weeks], _BLUE, "-", "o", "success with the network"),
        ([span.alone for span in measured.weeks], _ORANGE, "--", "s", "success without it"),
        ([span.stale for span in measured.weeks], _GREEN, ":", "^", "advice that worked and fails"),
    ):
        axes.plot(
            middle, percents(shares), color=color, linestyle=dashes, marker=marker, label=label
        )
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.set(
        title="When truths turn",
        xlabel="days from the turn",
        ylabel="percent, by week",
        ylim=(0, 100),
    )
    axes.legend(loc="upper left", fontsize="small")
