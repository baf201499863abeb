"""What the network brought: the uplift of advice over its holdout, and how sure that is."""

from __future__ import annotations

from nicegui import html

from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.effect import UNKNOWN, state_of
from keeper_grpc.dashboard.look.interval import Interval
from keeper_grpc.dashboard.look.markup import Status
from keeper_grpc.dashboard.look.terms import term
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Metric, Uplift
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse

_NO_HOLDOUT = (
    "Nothing is compared yet: it takes a holdout (KEEPER_HOLDOUT_SHARE) and outcomes of enough accounts, with "
    "advice and without."
)
_WITHHELD = "Withheld: too few accounts were active in this window."
_HOW = (
    "Chance decided which questions got their advice, and every outcome counts as chance assigned it, whether or not "
    "the advice was followed. Questions of one owner are alike, and widen the interval. It may be read any day."
)


class Brought:
    """The uplift in large, its interval, and what it was made of. `truth` is shown beside it where it is known."""

    def __init__(self, truth: float | None) -> None:
        with html.div().classes("card brought"):
            with html.div():
                self._value = Text("p", figures.NOTHING, "value")
                with html.p().classes("meaning"):
                    term("Uplift")
                    Text("span", ": success with advice, less without")
                self._status = Status()
                with html.p().classes("basis"):
                    self._interval = Interval()
            with html.div():
                self._successes = Text("p", figures.NOTHING, "value")
                Text("p", "Successes that would not have come otherwise", "meaning")
                self._between = Text("p", "", "basis")
            with html.div():
                self._arms = Text("p", "", "arms")
                self._treated = Text("p", "", "arms")
                self._how = Text("p", _HOW, "basis")
                self._how.set_visibility(False)
                self._explored = Text("p", "", "basis")
                if truth is not None:
                    known = f"The truth is {figures.points(truth)}: this world is invented."
                    Text("p", known, "arms")
        self._status.show(*UNKNOWN)

    def show(self, report: GetNetworkMetricsResponse) -> None:
        """Show a report."""
        uplift = report.uplift
        known = uplift.difference.HasField("value")
        self._value.text = figures.points(uplift.difference.value) if known else figures.NOTHING
        self._status.show(*state_of(uplift.difference))
        self._interval.show(figures.interval(uplift.difference, difference=True))
        self._successes.text = (
            f"{uplift.successes_brought.value:,.0f}" if known else figures.NOTHING
        )
        between = uplift.successes_brought.interval
        self._between.text = (
            f"Between {between.lower:,.0f} and {between.upper:,.0f}" if known else ""
        )
        self._treated.text = _treated(uplift)
        self._explored.text = _explored(report.metrics.exploration_loss)
        self._how.set_visibility(known)
        if report.withheld:
            self._arms.text = _WITHHELD
        else:
            self._arms.text = _arms(uplift) if report.HasField("uplift") else _NO_HOLDOUT


def _explored(loss: Metric) -> str:
    """What learning which advice is best costs, of which the uplift is what is left."""
    if not loss.HasField("value"):
        return ""
    return (
        f"Exploring which advice is best was expected to cost {100 * loss.value:.2f} points of success an answer, "
        "within the window."
    )


def _treated(uplift: Uplift) -> str:
    """What advice brings where it is followed, in a sentence."""
    if not uplift.as_treated.HasField("value"):
        return ""
    effect = figures.points(uplift.as_treated.value)
    interval = figures.interval(uplift.as_treated, difference=True)
    return (
        f"Where advice is followed, {uplift.followed_count:,} times so far, it brings {effect}, "
        f"95% interval {interval}."
    )


def _arms(uplift: Uplift) -> str:
    """The outcomes of both arms, in a sentence."""
    return (
        f"{_rate(uplift.advised_success_count, uplift.advised_count)} succeeded with advice, "
        f"{_rate(uplift.held_out_success_count, uplift.held_out_count)} without; "
        f"{figures.count(uplift.owner_count, 'owner', 'owners')}."
    )


def _rate(successes: int, trials: int) -> str:
    return f"{figures.share(successes / trials)} of {trials:,}" if trials else "none of 0"
