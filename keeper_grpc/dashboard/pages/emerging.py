"""The pages of what is emerging: all of it, and one emerging pattern."""

from __future__ import annotations

from nicegui import html, ui

from keeper_grpc.dashboard.filters import Filter, words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Fact
from keeper_grpc.dashboard.look.masks import plainly
from keeper_grpc.dashboard.look.money import money
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.pages.frame import Frame, part
from keeper_grpc.dashboard.pages.title import PageTitle
from keeper_grpc.dashboard.sections.emerging import Emerging, title
from keeper_grpc.dashboard.sections.notice import Notice
from keeper_grpc.dashboard.upstream.feeds import Feeds
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern


class EmergingPage:
    """All emerging patterns of one line of business, or of all of them."""

    def __init__(self, feeds: Feeds, where: Filter) -> None:
        self._metrics = feeds.metrics[Filter()]
        self._emerging = feeds.emerging[where.category]
        self._frame = Frame(home="./", here="emerging")
        with self._frame.content:
            with html.div().classes("head"):
                Text("h1", "All that is emerging")
                Text(
                    "p",
                    f"What several accounts of {where.scope} began to see in the last days: new discoveries first, "
                    "routine last. Live.",
                    "lead",
                )
            with html.div().classes("card"):
                self._table = Emerging(self._frame.say, category=where.category, most=None)
        client = ui.context.client
        client.on_delete(self._metrics.listen(self._live))
        client.on_delete(self._emerging.listen(self._changed))
        self._live()
        self._changed()

    def _live(self) -> None:
        self._frame.show(self._metrics)

    def _changed(self) -> None:
        self._table.show(self._emerging)


class EmergingPatternPage:
    """One emerging pattern, as long as it emerges."""

    def __init__(self, feeds: Feeds, emerging_pattern_id: str) -> None:
        self._id = emerging_pattern_id
        self._metrics = feeds.metrics[Filter()]
        self._emerging = feeds.emerging[""]
        self._frame = Frame(home="../", here="emerging")
        with self._frame.content:
            with html.div().classes("head"):
                with html.nav(**{"aria-label": "Back"}):
                    Text("a", "\N{LEFTWARDS ARROW} All that is emerging", href="../emerging")
                self._title = PageTitle("Emerging pattern")
                self._about = Text("p", "Loading", "lead")
            self._notice = Notice("This emerging pattern")
            self._body = html.div().classes("nicegui-column")
        with self._body, part("What is seen", "seen", "In words that enough accounts used"):
            with html.div().classes("card"):
                self._words = Text("blockquote")
            with html.dl().classes("card facts"):
                self._facts = {name: Fact(name, note) for name, note in _FACTS.items()}
            self._known = Text("a", "The pattern that it became", "more", href="../")
        self._body.set_visibility(False)
        client = ui.context.client
        client.on_delete(self._metrics.listen(lambda: self._frame.show(self._metrics)))
        client.on_delete(self._emerging.listen(self._changed))
        self._frame.show(self._metrics)
        self._changed()

    def _changed(self) -> None:
        feed = self._emerging
        self._notice.show(feed.problem, known=feed.complete)
        if not feed.complete:
            return
        gone = {each.emerging_pattern_id: each for each in feed.gone}
        found = feed.patterns.get(self._id) or gone.get(self._id)
        self._body.set_visibility(found is not None)
        if found is None:
            self._title.show("Nothing of this is emerging now")
            self._about.text = "It faded, became a pattern some time ago, or never was."
            return
        self._show(found)

    def _show(self, pattern: EmergingPattern) -> None:
        self._title.show(title(pattern))
        where = ", ".join(map(words, pattern.business_categories)) or "several lines of business"
        self._about.text = f"{words(pattern.pattern_type)}, {where}".capitalize()
        self._words.text = plainly(pattern.common_pattern) or "They share no words."
        for name, value in {
            "Accounts": f"{pattern.account_count:,}",
            "Sightings": f"{pattern.sighting_count:,}",
            "Novelty": figures.share(pattern.novelty),
            "Growth": figures.growth(pattern.growth_rate),
            "Alike": f"{pattern.mean_similarity:.2f}",
            "Potential value": money(pattern.total_potential_value),
            "First seen": figures.at(pattern.first_seen_time),
            "Last seen": figures.at(pattern.last_seen_time),
        }.items():
            self._facts[name].show(value)
        known = pattern.promoted_pattern_id or pattern.fading_pattern_id
        self._known.set_visibility(bool(known))
        self._known.props["href"] = f"../patterns/{known}"
        self._known.text = (
            "The pattern that it became"
            if pattern.promoted_pattern_id
            else "The pattern that says the same, and is fading"
        )


_FACTS = {
    "Accounts": "owners of accounts that see it",
    "Sightings": "insights within the window",
    "Novelty": "100% is like nothing known before, 0% is what is known",
    "Growth": "insights of the last day, beside a day before",
    "Alike": "1.00 where all say the same",
    "Potential value": "of all insights",
    "First seen": "",
    "Last seen": "",
}
