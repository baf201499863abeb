"""The first page: the whole network, or one line of business, over a window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from nicegui import html, ui

from keeper_grpc.client.basis import IN_ALL_SITUATIONS
from keeper_grpc.dashboard.filters import WINDOWS, Filter, words
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.pages.frame import Frame, part
from keeper_grpc.dashboard.sections.adoption import AdoptionFunnel
from keeper_grpc.dashboard.sections.brought import Brought
from keeper_grpc.dashboard.sections.changes import Periods, shown_dates
from keeper_grpc.dashboard.sections.charts import Trends
from keeper_grpc.dashboard.sections.emerging import Emerging
from keeper_grpc.dashboard.sections.patterns import TopPatterns
from keeper_grpc.dashboard.sections.privacy import PrivacyPanel
from keeper_grpc.dashboard.sections.tiles import Kpis, Numbers
from keeper_grpc.dashboard.sections.try_next import TryNext
from keeper_grpc.dashboard.sections.within_dates import WithinDates
from keeper_grpc.dashboard.upstream.feeds import Feeds
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse


class Overview:
    """One open page. It listens to the feeds until its browser disconnects.

    `truth` is the whole network's true uplift, where it is known.
    """

    def __init__(self, feeds: Feeds, where: Filter, truth: float | None = None) -> None:
        self._where = where
        # Decided once: a page that is open over midnight keeps the sections that it has.
        self._over = where.ends_before is not None
        self._truth = None if where.category else truth
        self._metrics = feeds.metrics[where]
        # A window that reaches back over the period before, too.
        self._longer = feeds.metrics[where.twice]
        self._emerging = feeds.emerging[where.category]
        self._patterns = feeds.patterns[where.category]
        self._audit = feeds.audit[None]
        self._report: GetNetworkMetricsResponse | None = None
        self._compared: GetNetworkMetricsResponse | None = None
        self._frame = Frame(home="./")
        with self._frame.content:
            self._head()
            self._body()
        self._show_categories(())
        client = ui.context.client
        for feed, listener in (
            (self._metrics, self._metrics_changed),
            (self._longer, self._longer_changed),
            (self._emerging, self._emerging_changed),
            (self._patterns, self._patterns_changed),
            (self._audit, self._audit_changed),
        ):
            client.on_delete(feed.listen(listener))
            listener()

    def _head(self) -> None:
        with html.div().classes("head"):
            Text("h1", "What the network has learned")
            Text(
                "p",
                "Every account's outcomes, anonymous and together: what works, how sure that is, "
                "and what is only beginning to show.",
                "lead",
            )
            with html.div().classes("filters"):
                self._categories = _Choices("Line of business")
                windows = _Choices("Window")
            self._date_form()
        windows.show(
            [
                (
                    name,
                    self._where.over(days).query,
                    self._where.dates is None and days == self._where.days,
                )
                for days, name in WINDOWS.items()
            ]
        )

    def _date_form(self) -> None:
        """A plain form, which changes the address. It keeps the line of business."""
        today = datetime.now(UTC).date()
        dates = self._where.dates
        with html.form(method="get", action="./", **{"aria-label": "Dates"}).classes("dates"):
            if self._where.category:
                html.input_(type="hidden", name="category", value=self._where.category)
            for name, key, value in (
                ("From", "from", dates.first if dates else ""),
                ("To", "to", dates.last if dates else ""),
            ):
                with html.label().classes("date"):
                    Text("span", name)
                    html.input_(type="date", name=key, defaultValue=str(value), max=str(today))
            Text("button", "Show these dates", type="submit")

    def _body(self) -> None:
        scope = f"{self._where.scope}, {self._where.when}"
        self._withheld = Text(
            "p",
            "Too few accounts were active here within this window for their numbers to be shown: "
            "they are withheld, not zero. Choose a longer window or the whole network.",
            "notice calm",
        )
        self._withheld.set_visibility(False)
        with part(
            "What the network brought", "brought", f"{self._where.scope}, of all time", folds=True
        ):
            self._brought = Brought(self._truth)
        with part(
            "What to try next",
            "next",
            f"The surest for {self._where.scope}"
            if self._where.category
            else "The surest for each line of business",
            folds=True,
        ):
            self._next = TryNext(self._where.category)
        if not self._over:
            with part("What became of the advice", "adoption", scope, folds=True):
                self._adoption = AdoptionFunnel()
            with part("Targets", "targets", scope, folds=True):
                self._kpis = Kpis()
            with part("The numbers behind them", "numbers", scope, folds=True):
                self._numbers = Numbers()
        else:
            with part("Within these dates", "numbers", scope, folds=True):
                self._within = WithinDates()
        with part("Over time", "trends", scope, folds=True):
            self._trends = Trends()
        with (
            part(
                "Emerging now",
                "emerging",
                "Seen by several accounts in the last days; live",
                folds=True,
            ),
            html.div().classes("card"),
        ):
            self._emerging_table = Emerging(self._frame.say, category=self._where.category)
        with (
            part(
                "Top patterns",
                "patterns",
                f"In {self._where.scope}, the surest first; rates are {IN_ALL_SITUATIONS}",
                folds=True,
            ),
            html.div().classes("card"),
        ):
            self._top = TopPatterns(self._where.category)
        with (
            part(
                "Privacy", "privacy", "What is promised, and what shows that it is kept", folds=True
            ),
            html.div().classes("card privacy"),
        ):
            self._privacy = PrivacyPanel()

    def _metrics_changed(self) -> None:
        self._frame.show(self._metrics)
        report = self._metrics.report
        if report is None or report is self._report:
            return
        if self._report is not None:
            self._patterns.refresh()
            self._audit.refresh()
        self._report = report
        self._show_categories(report.business_categories)
        self._withheld.set_visibility(report.withheld)
        self._brought.show(report)
        self._trends.show(report, self._where.dates)
        self._show_numbers(report)

    def _show_numbers(self, report: GetNetworkMetricsResponse) -> None:
        """The numbers of the window, beside those of the period before where they are known."""
        dates = shown_dates(report, self._where.days, self._where.dates)
        self._compared = self._longer.report
        periods = Periods.of(self._compared, dates)
        if self._over:
            self._within.show(report, periods, dates)
            return
        self._adoption.show(report)
        self._kpis.show(report, periods, dates)
        self._numbers.show(report, periods)

    def _longer_changed(self) -> None:
        if self._report is not None and self._longer.report is not self._compared:
            self._show_numbers(self._report)

    def _emerging_changed(self) -> None:
        self._emerging_table.show(self._emerging)

    def _patterns_changed(self) -> None:
        self._top.show(self._patterns)
        if self._patterns.value is not None:
            self._next.show(self._patterns.value)
            self._privacy.show_patterns(self._patterns.value)

    def _show_categories(self, found: Iterable[str]) -> None:
        chosen = self._where.category
        self._categories.show(
            [
                (
                    words(name).capitalize() if name else "All",
                    self._where.of(name).query,
                    name == chosen,
                )
                for name in sorted({"", chosen, *found})
            ]
        )

    def _audit_changed(self) -> None:
        self._privacy.show_audit(self._audit)


class _Choices:
    """A row of links, one of which is current."""

    def __init__(self, name: str) -> None:
        with html.nav(**{"aria-label": name}).classes("choices"):
            Text("span", name, "name", **{"aria-hidden": "true"})
            self._list = html.ul()
        self._shown: Sequence[tuple[str, str, bool]] = ()

    def show(self, choices: Sequence[tuple[str, str, bool]]) -> None:
        """Show these links: name, address, and whether it is the current one."""
        if choices == self._shown:
            return
        self._shown = choices
        self._list.clear()
        with self._list:
            for name, address, current in choices:
                with html.li():
                    link = Text("a", name, href=address)
                    if current:
                        link.props["aria-current"] = "true"
