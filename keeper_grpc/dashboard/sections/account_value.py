"""What the network is worth to one account."""

from __future__ import annotations

from nicegui import html

from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.effect import UNKNOWN, state_of
from keeper_grpc.dashboard.look.interval import Interval
from keeper_grpc.dashboard.look.markup import Cell, Column, Row, Status, Table
from keeper_grpc.dashboard.look.money import money
from keeper_grpc.dashboard.look.terms import heading
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.gen.keeper.network.v1.account_value_pb2 import (
    AccountAdvice,
    AccountGiven,
    AccountUplift,
    PeerQuartiles,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetAccountValueResponse

_MEASURES = {
    PeerQuartiles.MEASURE_SUCCESS_RATE: "Success of everything it did",
    PeerQuartiles.MEASURE_ADVISED_SUCCESS_RATE: "Success with advice",
    PeerQuartiles.MEASURE_ADOPTION_RATE: "Advice accepted, of what was shown",
}


class AccountValue:
    """Hidden until there is something to show."""

    def __init__(self) -> None:
        with html.div().classes("account") as self._all:
            self._nothing = Text(
                "p",
                "The network has nothing of this account in this window. Is its id written as its systems send it? A "
                "longer window may have more.",
                "notice wide-card",
            )
            with html.section(**{"aria-labelledby": "brought-here"}).classes("card"):
                heading("h2", "What advice brought", id="brought-here")
                self._brought = Text("p", figures.NOTHING, "value")
                self._status = Status()
                with html.p().classes("basis"):
                    self._unsure = Text("span")
                    self._interval = Interval()
                self._arms = Text("p")
            with html.section(**{"aria-labelledby": "told"}).classes("card"):
                heading("h2", "What the network told it", id="told")
                self._told = Text("p", figures.NOTHING, "value")
                self._followed = Text("p")
                self._reactions = Text("p", "", "basis")
            with html.section(**{"aria-labelledby": "given"}).classes("card"):
                heading("h2", "What it gave to others", id="given")
                self._helped = Text("p", figures.NOTHING, "value")
                self._given = Text("p")
            with html.section(**{"aria-labelledby": "peers"}).classes("card wide-card"):
                heading("h2", "Others of its kind", id="peers")
                self._peers = Table(
                    "The account beside others of its line of business",
                    [
                        Column("Measure", "wide"),
                        Column("This account", "number"),
                        Column("Lower quarter", "number"),
                        Column("Middle", "number"),
                        Column("Upper quarter", "number"),
                        Column("Owners", "number"),
                    ],
                    "Too few others of its kind have enough outcomes to compare with, or it has done nothing yet.",
                )
        self._all.set_visibility(False)

    def hide(self) -> None:
        """Show nothing."""
        self._all.set_visibility(False)

    def show(self, found: GetAccountValueResponse) -> None:
        """Show one account's answer."""
        self._show_uplift(found.uplift if found.HasField("uplift") else None)
        self._show_advice(found.advice)
        self._show_given(found.given)
        self._peers.show(map(_row, found.peers.quartiles))
        self._nothing.set_visibility(
            not (
                found.advice.question_count
                or found.given.observation_count
                or found.given.shared_pattern_count
                or found.HasField("uplift")
            )
        )
        self._all.set_visibility(True)

    def _show_uplift(self, uplift: AccountUplift | None) -> None:
        if uplift is None:
            self._brought.text = figures.NOTHING
            self._status.show(*UNKNOWN)
            self._unsure.text = ""
            self._interval.show("")
            self._arms.text = "It takes outcomes with advice, and of questions that were held out."
            return
        known = uplift.difference.HasField("value")
        self._status.show(*state_of(uplift.difference))
        self._brought.text = figures.figure(uplift.difference, difference=True)
        self._unsure.text = (
            "Success with advice, less without; "
            if known
            else "It takes 20 outcomes with advice and 20 without."
        )
        self._interval.show(figures.interval(uplift.difference, difference=True))
        self._arms.text = (
            f"{_rate(uplift.advised_success_count, uplift.advised_count)} succeeded with advice, "
            f"{_rate(uplift.held_out_success_count, uplift.held_out_count)} without; "
            f"{figures.count(uplift.distinct_question_count, 'question', 'questions')}, of all time."
        )

    def _show_advice(self, advice: AccountAdvice) -> None:
        self._told.text = f"{advice.advised_count:,} of {advice.question_count:,}"
        revenue = advice.followed_revenue
        brought_in = (
            f", with {money(revenue.value)} of revenue" if revenue.HasField("value") else ""
        )
        self._followed.text = (
            f"{'question was' if advice.question_count == 1 else 'questions were'} answered with advice; "
            f"{figures.count(advice.followed_count, 'answer was', 'answers were')} followed, "
            f"{advice.followed_success_count:,} with success{brought_in}."
        )
        self._reactions.text = (
            f"Shown {advice.shown_count:,}, accepted {advice.accepted_count:,}, "
            f"dismissed {advice.dismissed_count:,}, done {advice.done_count:,}."
        )

    def _show_given(self, given: AccountGiven) -> None:
        helped = given.helped_owner_count
        self._helped.text = f"{helped:,} or more" if helped else figures.NOTHING
        self._given.text = (
            (
                "others were advised by what it had contributed"
                if helped
                else "Fewer than five others were advised by what it contributed, or none"
            )
            + f"; it has evidence in {figures.count(given.shared_pattern_count, 'published pattern', 'published patterns')}, "
            f"and reported {figures.count(given.observation_count, 'outcome', 'outcomes')} in the window."
        )


def _row(quartiles: PeerQuartiles) -> Row:
    return Row(
        str(quartiles.measure),
        [
            Cell(_MEASURES.get(quartiles.measure, "")),
            Cell(
                figures.figure(quartiles.own),
                f"from {quartiles.own.sample_size:,}" if quartiles.own.sample_size else "",
            ),
            Cell(figures.share(quartiles.lower_quartile)),
            Cell(figures.share(quartiles.median)),
            Cell(figures.share(quartiles.upper_quartile)),
            Cell(f"{quartiles.owner_count:,} or more"),
        ],
    )


def _rate(successes: int, trials: int) -> str:
    return f"{figures.share(successes / trials)} of {trials:,}" if trials else "none of 0"
