"""The page of all patterns: search, filters, orders, pages, and the list as a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nicegui import html, ui

from keeper_grpc.dashboard.filters import Filter, words
from keeper_grpc.dashboard.listing import ORDERS, PAGE, Listing, pages
from keeper_grpc.dashboard.look.forms import Choice, SearchField
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.pages.frame import Frame
from keeper_grpc.dashboard.sections.patterns import PatternTable
from keeper_grpc.dashboard.upstream.feeds import MOST_LISTED, Feeds
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse


class PatternsPage:
    """One open page. Its form is a plain one, which changes the address."""

    def __init__(self, feeds: Feeds, listing: Listing) -> None:
        self._listing = listing
        self._metrics = feeds.metrics[Filter()]
        self._listed = feeds.listed[listing.sought]
        self._report: GetNetworkMetricsResponse | None = None
        self._types: set[str] = {listing.sought.pattern_type} - {""}
        self._frame = Frame(home="./", here="patterns")
        with self._frame.content:
            with html.div().classes("head"):
                Text("h1", "All patterns")
                Text(
                    "p",
                    "What enough accounts have seen to work, or to fail. What authors advise and nobody has tested here comes last.",
                    "lead",
                )
                self._form()
            self._count = Text("p", "Loading", "counted")
            with html.div().classes("card"):
                self._table = PatternTable("All patterns", "No pattern matches.")
            self._pager = html.nav(**{"aria-label": "Pages of the list"}).classes("choices pager")
            Text(
                "a",
                "Save the list as CSV",
                "export",
                href=f"patterns.csv{self._listing.by('surest').query}",
                download="patterns.csv",
            )
        client = ui.context.client
        client.on_delete(self._metrics.listen(self._metrics_changed))
        client.on_delete(self._listed.listen(self._listed_changed))
        self._metrics_changed()
        self._listed_changed()

    def _form(self) -> None:
        sought = self._listing.sought
        with html.form(method="get", action="patterns", role="search").classes("fields"):
            SearchField("Search", "search", sought.search)
            self._category = Choice("Line of business", "category", sought.category)
            self._type = Choice("Type", "type", sought.pattern_type)
            order = Choice("Order", "sort", self._listing.order)
            Text("button", "Apply", type="submit")
        order.show(ORDERS)
        self._category.show(_named([sought.category], "All"))
        self._type.show(_named(self._types, "All"))

    def _metrics_changed(self) -> None:
        self._frame.show(self._metrics)
        report = self._metrics.report
        if report is None or report is self._report:
            return
        if self._report is not None:
            self._listed.refresh()
        self._report = report
        found = {*report.business_categories, self._listing.sought.category}
        self._category.show(_named(found, "All"))

    def _listed_changed(self) -> None:
        self._table.show_problem(self._listed)
        found = self._listed.value
        if found is None:
            return
        self._types |= {pattern.pattern_type for pattern in found}
        self._type.show(_named(self._types, "All"))
        self._table.show(self._listing.shown(found))
        self._count.text = _counted(len(found), self._listing)
        self._show_pager(pages(len(found)))

    def _show_pager(self, last: int) -> None:
        self._pager.clear()
        self._pager.set_visibility(last > 1)
        here = min(self._listing.page, last)
        with self._pager, html.ul():
            for name, page in (
                ("First", 1),
                ("Previous", here - 1),
                (f"Page {here} of {last}", here),
                ("Next", here + 1),
                ("Last", last),
            ):
                if not 1 <= page <= last:
                    continue
                with html.li():
                    link = Text("a", name, href=f"patterns{self._listing.on(page).query}")
                    if page == here and name.startswith("Page"):
                        link.props["aria-current"] = "page"


def _named(names: Iterable[str], everything: str) -> Mapping[str, str]:
    return {"": everything} | {name: words(name) for name in sorted(names) if name}


def _counted(found: int, listing: Listing) -> str:
    """How many there are, and which of them are here."""
    if found == 0:
        return "No pattern matches."
    first = (listing.page - 1) * PAGE + 1
    if first > found:
        return f"There are {found:,} patterns, and no page {listing.page:,} of them."
    last = min(first + PAGE - 1, found)
    if found >= MOST_LISTED:
        return f"{first:,} to {last:,} of the {MOST_LISTED:,} surest; search or filter to see the others."
    return f"{first:,} to {last:,} of {found:,}"
