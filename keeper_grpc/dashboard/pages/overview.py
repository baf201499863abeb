"""The first page: the whole network, or one line of business, over a window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nicegui import html, ui

from keeper_grpc.client.basis import IN_ALL_SITUATIONS
from keeper_grpc.dashboard.filters import WINDOWS, Filter, words
from keeper_grpc.dashboard.look.markup import Text
from keeper_grpc.dashboard.pages.frame import Frame, part
from keeper_grpc.dashboard.sections.adoption import AdoptionFunnel
from keeper_grpc.dashboard.sections.brought import Brought
from keeper_grpc.dashboard.sections.charts import Trends
from keeper_grpc.dashboard.sections.emerging import Emerging
from keeper_grpc.dashboard.sections.patterns import TopPatterns
from keeper_grpc.dashboard.sections.privacy import PrivacyPanel
from keeper_grpc.dashboard.sections.tiles import Kpis, Numbers
from keeper_grpc.dashboard.upstream.feeds import Feeds
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse


class Overview:
    """One open page. It listens to the feeds until its browser disconnects.

    `truth` is the whole network's true uplift, where it is known.
    """

    def __init__(self, feeds: Feeds, where: Filter, truth: float | None = None) -> None:
        self._where = where
        self._truth = None if where.category else truth
        self._metrics = feeds.metrics[where]
        self._emerging = feeds.emerging[where.category]
        self._patterns = feeds.patterns[where.category]
        self._audit = feeds.audit[None]
        self._report: GetNetworkMetricsResponse | None = None
        self._frame = Frame(home="./")
        with self._frame.content:
            self._head()
            self._body()
        self._show_categories(())
        client = ui.context.client
        for feed, listener in (
            (self._metrics, self._metrics_changed),
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
        windows.show(
            [
                (name, Filter(self._where.category, days).query, days == self._where.days)
                for days, name in WINDOWS.items()
            ]
        )

    def _body(self) -> None:
        window = WINDOWS[self._where.days]
        scope = f"{self._where.scope}, last {window}"
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
        with part("What became of the advice", "adoption", scope, folds=True):
            self._adoption = AdoptionFunnel()
        with part("Targets", "targets", scope, folds=True):
            self._kpis = Kpis()
        with part("The numbers behind them", "numbers", scope, folds=True):
            self._numbers = Numbers()
        with part("Over time", "trends", scope, folds=True):
            self._trends = Trends(self._where.days)
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
        self._adoption.show(report)
        self._kpis.show(report)
        self._numbers.show(report)
        self._trends.show(report)

    def _emerging_changed(self) -> None:
        self._emerging_table.show(self._emerging)

    def _patterns_changed(self) -> None:
        self._top.show(self._patterns)
        if self._patterns.value is not None:
            self._privacy.show_patterns(self._patterns.value)

    def _show_categories(self, found: Iterable[str]) -> None:
        chosen = self._where.category
        self._categories.show(
            [
                (
                    words(name).capitalize() if name else "All",
                    Filter(name, self._where.days).query,
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
