"""The frame of every page: header, state of the connection, live region, footer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import html, ui

from keeper_grpc.client import KeeperClientError, Unavailable
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import WARNING, Status
from keeper_grpc.dashboard.look.money import Money
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.upstream.feed import MetricsFeed

_PAGES = {
    "": "Overview",
    "patterns": "Patterns",
    "emerging": "Emerging",
    "try": "Try an insight",
    "account": "One account",
    "operate": "Operate",
}
"""The pages of the navigation, by their address below the overview."""


class Frame:
    """The parts around a page's content. `home` is the way from this page to the overview, `here` the page's own
    place in the navigation.
    """

    def __init__(self, home: str, here: str = "") -> None:
        with ui.header(fixed=False, bordered=False):
            Text("a", "Skip to the content", "skip", href="#content")
            with html.a(href=home).classes("brand"):
                Text("span", "", "mark", **{"aria-hidden": "true"})
                Text("span", "Keeper Network")
            with html.nav(**{"aria-label": "Pages"}).classes("pages"), html.ul():
                for address, name in _PAGES.items():
                    with html.li():
                        link = Text("a", name, href=f"{home}{address}")
                        if address == here:
                            link.props["aria-current"] = "page"
            with html.div().classes("freshness"):
                self._state = Status()
                self._as_of = Text("span")
            with html.span().classes("status bad lost"):
                Text("span", WARNING, **{"aria-hidden": "true"})
                Text("span", "Disconnected: may be stale")
            with html.label().classes("theme"):
                Text("span", "Theme", "unseen")
                with html.select(id="theme"):
                    for name in ("system", "light", "dark"):
                        Text("option", name.capitalize(), value=name)
        self._notice = Text("p", "", "notice")
        self._live = Text("p", "", "unseen", role="status")
        self.content = html.div(id="content", tabindex="-1").classes("nicegui-column")
        self.content.style("gap: 1.75rem; align-items: stretch")
        with html.div().classes("foot"):
            Text(
                "p",
                f"Times are UTC. Money is {Money.words()}"
                f"{'' if Money.currency else ', added up as plain numbers'}. Nothing here names an account.",
            )
        self._state.show("none", "\N{HORIZONTAL ELLIPSIS}", "Connecting")
        self._notice.set_visibility(False)
        self._was_stale = False

    def say(self, text: str) -> None:
        """Announce news to screen readers, politely (aria-live)."""
        self._live.text = text

    def show(self, feed: MetricsFeed) -> None:
        """Show whether the page's content is live."""
        self._as_of.text = f"as of {figures.clock(feed.heard)}" if feed.heard else ""
        if feed.stale:
            self._state.show("bad", WARNING, "Stale")
            self._notice.text = _why_stale(feed)
            if not self._was_stale:
                self.say(self._notice.text)
        elif feed.report is not None:
            self._state.show("good", "\N{BLACK CIRCLE}", "Live")
            if self._was_stale:
                self.say("Live again")
        self._notice.set_visibility(feed.stale)
        self._was_stale = feed.stale


def _why_stale(feed: MetricsFeed) -> str:
    if feed.problem is None:
        what = "Nothing has been heard from the server"
    elif isinstance(feed.problem, Unavailable):
        what = "The server cannot be reached"
    elif isinstance(feed.problem, KeeperClientError):
        what = "The server answers with an error"
    else:
        what = "This dashboard has a defect"
    if feed.report is None or feed.heard is None:
        return f"{what}. Trying again."
    return (
        f"Stale: {what[0].lower()}{what[1:]}. What you see was true at {figures.clock(feed.heard)}. "
        "Trying again."
    )


@contextmanager
def part(title: str, name: str, about: str = "", *, folds: bool = False) -> Iterator[None]:
    """A section of a page, named by its heading. One that `folds` does so at its heading; the theme's script folds all
    but the first two on a phone.
    """
    with html.section(**{"aria-labelledby": name}).classes("part"):
        if folds:
            with html.details(open=True).classes("fold"):
                with html.summary().classes("part-head"):
                    _heading(title, name, about)
                with html.div().classes("part-body"):
                    yield
        else:
            with html.div().classes("part-head"):
                _heading(title, name, about)
            with html.div().classes("part-body"):
                yield


def _heading(title: str, name: str, about: str) -> None:
    Text("h2", title, id=name)
    if about:
        Text("p", about)
