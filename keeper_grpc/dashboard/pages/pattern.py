"""The page of one pattern: when it applies, its evidence, its scripts, its history."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value
from nicegui import html, ui

from keeper_grpc.client import InvalidRequest, NotFound
from keeper_grpc.client.basis import IN_ALL_SITUATIONS
from keeper_grpc.client.harms import harms
from keeper_grpc.client.triggers import lead_time, lift
from keeper_grpc.dashboard.filters import Filter, words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.claims import claimed
from keeper_grpc.dashboard.look.markup import Cell, Column, Fact, Row, Table
from keeper_grpc.dashboard.look.masks import plainly
from keeper_grpc.dashboard.look.money import Money, money
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.pages.frame import Frame, part
from keeper_grpc.dashboard.pages.title import PageTitle
from keeper_grpc.dashboard.sections.charts import History
from keeper_grpc.dashboard.sections.notice import Notice
from keeper_grpc.dashboard.sections.patterns import at_least, fading
from keeper_grpc.dashboard.upstream.feeds import Feeds
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsResponse,
    GetPatternResponse,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence, Pattern

_EVIDENCE = (
    Column("Success rate", "number"),
    Column("Cases", "number"),
    Column("Accounts", "number"),
)


def _cells(evidence: Evidence) -> tuple[Cell, ...]:
    """What stands in these columns."""
    return (
        Cell(figures.share(evidence.success_rate), at_least(evidence)),
        Cell(f"{evidence.occurrence_count:,}"),
        Cell(f"{evidence.account_count:,}"),
    )


class PatternPage:
    """One open page. The metrics feed shows whether it is live, and triggers a new read."""

    def __init__(self, feeds: Feeds, pattern_id: str) -> None:
        # An address may hold anything: what is no id leads nowhere.
        self._pattern_id = quote(pattern_id, safe="")
        self._metrics = feeds.metrics[Filter()]
        self._history_feed = feeds.histories[pattern_id]
        self._report: GetNetworkMetricsResponse | None = None
        self._frame = Frame(home="../", here="patterns")
        with self._frame.content:
            with html.div().classes("head"):
                with html.nav(**{"aria-label": "Back"}):
                    Text("a", "\N{LEFTWARDS ARROW} All patterns", href="../patterns")
                self._title = PageTitle("Pattern")
                self._about = Text("p", "Loading", "lead")
            self._notice = Notice("This pattern")
            self._body = html.div().classes("nicegui-column")
            self._body.style("gap: 1.75rem; align-items: stretch; width: 100%")
        with self._body:
            self._sections()
        self._body.set_visibility(False)
        client = ui.context.client
        client.on_delete(self._metrics.listen(self._metrics_changed))
        client.on_delete(self._history_feed.listen(self._pattern_changed))
        self._metrics_changed()
        self._pattern_changed()

    def _sections(self) -> None:
        with part("Evidence", "evidence"), html.dl().classes("card facts"):
            self._facts = {
                name: Fact(name)
                for name in (
                    "Success rate",
                    "State",
                    "Cases",
                    "Accounts",
                    "Advice accepted",
                    "Revenue per case",
                    "First observed",
                    "Last observed",
                )
            }
        self._claim_section = html.div()
        about = "From elsewhere: not observed on this network, and no part of the evidence"
        with (
            self._claim_section,
            part("The author's claim", "claim", about),
            html.div().classes("card"),
        ):
            self._claim = Table(
                "What its author claims",
                [Column("Figure"), Column("Claim", "wide")],
                "Its author states no figures.",
            )
        with part("When it applies", "conditions"), html.div().classes("card"):
            self._conditions_of = Text("p", "", "basis")
            self._conditions = Table(
                "When it applies",
                [Column("Condition"), Column("Value", "wide")],
                "No conditions: it applies to every insight of its type.",
            )
        about = "Wordings that enough accounts used, the surest first"
        with part("Scripts", "scripts", about), html.div().classes("card"):
            self._scripts = Table(
                "Scripts and how often they worked",
                [Column("Wording", "wide"), *_EVIDENCE],
                "No wording was used by enough accounts to be shown.",
            )
        about = "By its author's condition, and by those that outcomes taught"
        with part("When it is suggested", "triggers", about), html.div().classes("card"):
            self._triggers = Table(
                "The conditions under which it is suggested as a move",
                [
                    Column("Where", "wide"),
                    Column("Says who"),
                    Column("Precision", "number"),
                    Column("Lift", "number"),
                    Column("Lead time", "number"),
                    Column("Accounts", "number"),
                ],
                "No author wrote a condition, and outcomes have taught none.",
            )
        about = "By single conditions that enough accounts observed"
        with part("Where it works, and where not", "where", about), html.div().classes("card"):
            self._where = Table(
                "Success by condition",
                [Column("When", "wide"), *_EVIDENCE],
                "No condition was observed by enough accounts to be shown.",
            )
        with part("History", "history"):
            self._history = History()
        Text(
            "a", "For operators: withdraw it", "more", href=f"../operate?pattern={self._pattern_id}"
        )

    def _metrics_changed(self) -> None:
        self._frame.show(self._metrics)
        if self._report is not None and self._metrics.report is not self._report:
            self._history_feed.refresh()
        self._report = self._metrics.report

    def _pattern_changed(self) -> None:
        problem = self._history_feed.problem
        value = self._history_feed.value
        absent = isinstance(problem, NotFound | InvalidRequest)
        self._notice.show(None if absent else problem, known=value is not None)
        if absent:
            # Also after it was shown: too few accounts support it now, or it was retired.
            self._title.show("No such pattern")
            self._about.text = "It does not exist, or too few accounts support it to be shown."
            self._body.set_visibility(False)
        elif value is not None:
            self._show(value)

    def _show(self, found: GetPatternResponse) -> None:
        pattern = found.pattern
        self._title.show(plainly(pattern.action))
        untested = pattern.HasField("author_claim") and not pattern.evidence.occurrence_count
        where = "authored, untested here, for" if untested else "learned in"
        self._about.text = (
            f"{words(pattern.pattern_type)}, {where} {words(pattern.business_category)}"
        ).capitalize()
        self._show_evidence(pattern)
        self._show_adoption(found)
        self._claim_section.set_visibility(pattern.HasField("author_claim"))
        self._claim.show(
            Row(name, [Cell(name), Cell(value)]) for name, value in claimed(pattern.author_claim)
        )
        self._conditions_of.text = (
            "As its author put it" if untested else "As its first observation put it, anonymized"
        )
        self._conditions.show(
            Row(name, [Cell(words(name)), Cell(_value(value))])
            for name, value in sorted(pattern.conditions.items())
        )
        self._scripts.show(
            Row(
                script.template,
                [
                    Cell(script.template),
                    *_cells(script.evidence),
                ],
            )
            for script in found.scripts
        )
        self._triggers.show(_triggers(found))
        self._where.show(
            Row(
                f"{fact.key} {fact.value}",
                [
                    Cell(f"{words(fact.key)}: {_value(_plain(fact.value))}"),
                    *_cells(fact.evidence),
                ],
            )
            for fact in found.facts
        )
        self._history.show(found.history)
        self._body.set_visibility(True)

    def _show_adoption(self, found: GetPatternResponse) -> None:
        fact = self._facts["Advice accepted"]
        if not found.HasField("adoption"):
            fact.show(figures.NOT_ENOUGH, "")
            return
        adoption = found.adoption
        fact.show(
            figures.share(adoption.adoption_rate),
            f"shown {adoption.shown_count:,}, accepted {adoption.accepted_count:,}, dismissed "
            f"{adoption.dismissed_count:,}, done {adoption.done_count:,}",
        )

    def _show_evidence(self, pattern: Pattern) -> None:
        evidence = pattern.evidence
        observed = bool(evidence.occurrence_count)
        revenue = evidence.HasField("mean_revenue_impact")
        for name, (value, note) in {
            "Success rate": (
                figures.share(evidence.success_rate) if observed else figures.NOT_ENOUGH,
                f"{at_least(evidence)} with 95% certainty, {IN_ALL_SITUATIONS}" if observed else "",
            ),
            "State": _state(pattern),
            "Cases": (
                f"{evidence.occurrence_count:,}" if observed else figures.NOT_ENOUGH,
                f"{evidence.success_count:,} successful" if observed else "",
            ),
            "Accounts": (
                f"{evidence.account_count:,}" if observed else figures.NOT_ENOUGH,
                "",
            ),
            "Revenue per case": (
                money(evidence.mean_revenue_impact) if revenue else figures.NOT_ENOUGH,
                f"the median account's mean, {Money.words()}" if revenue else "",
            ),
            "First observed": (figures.day(pattern.first_discovered_time), ""),
            "Last observed": (figures.day(pattern.last_validated_time), ""),
        }.items():
            self._facts[name].show(value, note)


def _triggers(found: GetPatternResponse) -> Iterator[Row]:
    """The author's condition first, which has no figures: nobody counted what became of it."""
    if found.authored_trigger:
        cells = [Cell(found.authored_trigger), Cell("Its author")]
        yield Row("authored", [*cells, *[Cell(figures.NOTHING)] * 4])
    for trigger in found.learned_triggers:
        yield Row(
            trigger.condition,
            [
                Cell(trigger.condition),
                Cell("Outcomes"),
                Cell(
                    figures.share(trigger.precision),
                    f"{figures.share(trigger.precision_low)} to {figures.share(trigger.precision_high)}",
                ),
                Cell(lift(trigger)),
                Cell(lead_time(trigger) or figures.NOTHING),
                Cell(
                    f"{trigger.account_count:,}", figures.count(trigger.case_count, "case", "cases")
                ),
            ],
        )


def _state(pattern: Pattern) -> tuple[str, str]:
    """Whether it is advised, and if not, why."""
    if pattern.crossed_guardrails:
        return "Harmful", f"{harms(pattern)}: it is not advised"
    if fading(pattern):
        return fading(pattern), "works less often of late, and is not applied until it recovers"
    if not pattern.evidence.occurrence_count:
        return "Untested", "advised as its author's, until evidence says more"
    return "Active", ""


def _value(value: object) -> str:
    """A condition's value for people: 60 instead of 60.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _plain(value: Value) -> object:
    return MessageToDict(value)
